"""The conditional Akaike criterion: how well these persons and items are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._config import double_precision
from eirt.errors import DataError
from eirt.predictions import Rows, levels_at, rows_at, slopes_at, spread_at
from eirt.results import Fit

if TYPE_CHECKING:
    import scipy.sparse
    from jaxtyping import Float

MOST_EFFECTS = 20_000


class ConditionalAIC(NamedTuple):
    """The criterion and its parts.

    Attributes:
        loglik: log-likelihood of the responses given the random effects.
        edf: effective number of parameters, random effects among them.
        aic: -2 loglik + 2 edf.
    """

    loglik: float
    edf: float
    aic: float


@double_precision
def conditional_aic(fit: Fit) -> ConditionalAIC:
    """Return Akaike's criterion for predictions of the same persons and items.

        cAIC = -2 log p(y | psi, u) + 2 rho,
        rho = tr{(C'WC + P)^-1 C'WC},   C = (X, Z)

    `fit.aic` asks how well persons and items like these are predicted, and counts a variance as
    one parameter; this asks about these ones, and counts a random effect as far as the data move
    it. Random effects are at their posterior means (modes of global ones), W is the expected
    information of each response in its predictor, P is the identity for spherical effects and
    zero for parameters. Variances are taken as known; thresholds, dispersions and the like count
    one each.

    Args:
        fit: a fit with random effects.

    Returns:
        The conditional log-likelihood, the effective number of parameters, the criterion.

    Raises:
        DataError: without random effects, for a conditional likelihood, or for very many effects.

    Source: Vaida & Blanchard (2005); for generalised linear mixed models, Saefken et al. (2014).

    >>> import eirt
    >>> fit = eirt.rasch(eirt.load("lsat7")[::20], wide=True)
    >>> found = fit.conditional_aic()
    >>> round(found.edf), found.aic < fit.aic
    (26, True)
    """
    _require_effects(fit)
    rows = rows_at(fit, None, grouped=True)
    cells = spread_at(fit, rows, conditional=True)[0]
    response, y = fit.model.response, jnp.asarray(fit.design.y)
    loglik = float(jnp.sum(jax.vmap(response.log_prob)(y, cells.location, cells.aux)))
    weight = np.asarray(jax.vmap(response.information)(cells.location, cells.aux))
    moving = _moving(fit)
    x = _of_parameters(fit, rows) @ fit.restriction.select
    x = x[:, np.any(x != 0, axis=0) & moving]
    others = int(moving.sum()) - x.shape[1]
    edf = _effective(x, _of_effects(fit, rows), weight) + others
    return ConditionalAIC(loglik, edf, -2 * loglik + 2 * edf)


def _require_effects(fit: Fit) -> None:
    n = sum(len(term.levels) * len(term.effects) for term in fit.design.terms)
    if fit.likelihood.conditional or n == 0:
        raise DataError(f"{fit.name} has no random effects to condition on; use fit.aic.")
    if n > MOST_EFFECTS:
        raise DataError(
            f"{fit.name} has {n} random effects; the conditional criterion takes up to "
            f"{MOST_EFFECTS}: fit a sample of the persons."
        )


def _moving(fit: Fit) -> np.ndarray:
    """Return which free parameters are no variances or correlations of random effects."""
    begin, n = fit.model.n_fixed, sum(effect.covariance.n_theta for effect in fit.model.effects)
    of_effects = np.zeros(len(fit.full), bool)
    of_effects[begin : begin + n] = True
    return ~(of_effects @ fit.restriction.select > 0)


def _of_parameters(fit: Fit, rows: Rows) -> Float[np.ndarray, "n P"]:
    """Return the derivatives of the predictor of each response in all parameters."""
    from dataclasses import replace

    def predictor(full: jax.Array) -> jax.Array:
        there = replace(fit)
        there.__dict__["full"] = full
        return spread_at(there, rows, conditional=True)[0].location

    return np.asarray(jax.jacfwd(predictor)(jnp.asarray(fit.full)))


def _of_effects(fit: Fit, rows: Rows) -> scipy.sparse.csr_array:
    """Return the derivatives of the predictor in the spherical effects, responses x effects."""
    import scipy.sparse

    slopes = [np.asarray(part) for part in slopes_at(fit, rows)]
    blocks, seen = [], [0, 0]
    for term, level in zip(fit.design.terms, levels_at(fit, None), strict=True):
        q, local = len(term.effects), int(term.local)
        values = slopes[local][:, seen[local] : seen[local] + q]
        seen[local] += q
        places = level[:, None] * q + np.arange(q)
        at = np.repeat(np.arange(len(values)), q), places.ravel()
        shape = len(values), len(term.levels) * q
        blocks.append(scipy.sparse.coo_array((values.ravel(), at), shape))
    return scipy.sparse.hstack(blocks, format="csr")


def _effective(
    x: Float[np.ndarray, "n p"], z: scipy.sparse.csr_array, weight: Float[np.ndarray, " n"]
) -> float:
    """Return tr{(C'WC + P)^-1 C'WC}: parameters plus effects less what priors hold of these."""
    import scipy.sparse
    import scipy.sparse.linalg

    q = z.shape[1]
    weighted = z.multiply(weight[:, None]).tocsr()
    solve = scipy.sparse.linalg.splu((z.T @ weighted + scipy.sparse.eye_array(q)).tocsc()).solve
    held = sum(
        np.trace(solve(np.eye(q, min(500, q - k), -k))[k : k + 500]) for k in range(0, q, 500)
    )
    cross = solve(np.asarray(weighted.T @ x))
    schur = x.T @ (weight[:, None] * x) - (weighted.T @ x).T @ cross
    return x.shape[1] + q - float(held) - float(np.trace(np.linalg.solve(schur, cross.T @ cross)))
