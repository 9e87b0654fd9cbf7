"""How the variance of the latent response divides: intraclass correlations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._config import double_precision
from eirt._math import spread
from eirt.design import Design
from eirt.effects import EASINESS
from eirt.errors import DataError
from eirt.factors import constant_within
from eirt.likelihood.incidence import person_data
from eirt.model import Cell, Model, Person, cell_data
from eirt.responses import Gaussian
from eirt.results import Fit
from eirt.tables import LEVEL, quantile, require_abilities
from eirt.terms import Term

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Array, Float, Int


class Variances(NamedTuple):
    """Variances of the predictor over the responses.

    Attributes:
        random: of each random term, on average over the responses.
        fixed: of what is explained.
    """

    random: Float[np.ndarray | Array, " T"]
    fixed: Float[np.ndarray | Array, ""]


def patterns(fit: Fit) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return a response of each pair of a cell and covariates of a person, and shares of all."""
    design = fit.design
    about = np.hstack(jax.tree.leaves(person_data(design)))
    kind = np.unique(about, axis=0, return_inverse=True)[1].ravel()
    pairs = design.obs_cell.astype(np.int64) * (kind.max() + 1) + kind[design.obs_person]
    _, first, count = np.unique(pairs, return_index=True, return_counts=True)
    return first, count / design.n_obs


@compiled(0, 1)
def _variances(
    model: Model,
    moved: tuple[int, ...],
    full: jax.Array,
    cells: Cell,
    people: Person,
    weight: jax.Array,
) -> tuple[Variances, Variances]:
    """Return the variances, and their derivatives in the parameters.

    Args:
        model: the model.
        moved: columns of easiness that describe persons.
        full: the parameters.
        cells: of each pattern.
        people: of each pattern.
        weight: of each pattern.
    """

    def found(full: jax.Array) -> Variances:
        params = model.unpack(full)
        gamma = params.beta[np.asarray(moved, int)]

        def one(cell: Cell, person: Person) -> tuple[jax.Array, jax.Array]:
            here = model.on_ability(params, cell, jnp.zeros(cell.places.shape))
            standing = model.standing(params, gamma, person)
            by_persons, start, shares = here.loading * jnp.exp(standing.log_sd), 0, []
            for effect, theta, z in zip(model.effects, params.theta, cell.z, strict=True):
                q = effect.covariance.dimension
                if effect.local:
                    z, start = by_persons[start : start + q], start + q
                shares.append(jnp.sum((z @ effect.covariance.factor(theta)) ** 2))
            return jnp.stack(shares), here.location + here.loading @ standing.mean

        shares, eta = jax.vmap(one)(cells, people)
        return Variances(weight @ shares, weight @ (eta - weight @ eta) ** 2)

    return found(full), jax.jacfwd(found)(full)


@double_precision
def variances(fit: Fit) -> tuple[Variances, Variances]:
    """Return the variances of a fit's predictor, and their derivatives in all parameters.

    Raises:
        DataError: where abilities have no distribution, or effects move more than easiness.
    """
    require_abilities(fit, "variance")
    others = [t for e in fit.model.effects if not e.local for t in e.targets if t != EASINESS]
    if others:
        raise DataError(
            f"Random effects of {fit.name} move {others[0].parameter}, and the variance that they "
            "make differs from person to person; refit without them."
        )
    design, (obs, weight) = fit.design, patterns(fit)
    cells = jax.tree.map(lambda leaf: leaf[design.obs_cell[obs]], cell_data(design))
    people = jax.tree.map(lambda leaf: leaf[design.obs_person[obs]], person_data(design))
    moved = tuple(int(column) for column in design.person_columns)
    found = _variances(fit.model, moved, jnp.asarray(fit.full), cells, people, weight)
    return tuple(Variances(*map(np.asarray, each)) for each in found)  # type: ignore[return-value]


@double_precision
def residual_variance(fit: Fit) -> tuple[float, Float[np.ndarray, " P"]]:
    """Return the variance of the latent response around the predictor, and its derivatives.

    Raises:
        DataError: for a family that has no latent response of constant variance.
    """
    response, derivative = fit.model.response, np.zeros(len(fit.full))
    if isinstance(response, Gaussian):
        log_sd = fit.full[-fit.model.n_sets :]
        derivative[-fit.model.n_sets :] = 2 * np.exp(2 * log_sd) / len(log_sd)
        return float(np.mean(np.exp(2 * log_sd))), derivative
    if not np.isfinite(response.residual_variance):
        link = getattr(getattr(response, "distribution", None), "name", "")
        kind = f"{type(response).__name__}{f' ({link})' if link else ''}"
        raise DataError(
            f"{kind} responses have no latent response of a constant, finite variance, against "
            "which variances could be held: that takes a Bernoulli or Cumulative family with link "
            "logit, probit, cloglog or loglog, or Gaussian."
        )
    return response.residual_variance, derivative


@double_precision
def icc(fit: Fit, level: float = LEVEL) -> pd.DataFrame:
    """Return intraclass correlations of the latent response.

        share_g = v_g / (sum_h v_h + v_e),   icc_g = sum_{h shared} v_h / (sum_h v_h + v_e)

    v_e is the variance of the latent response around the predictor: pi^2 / 3 = 3.29 for logit, 1
    for probit, pi^2 / 6 for cloglog and loglog, the residual variance of Gaussian responses. The
    intraclass correlation is that of two latent responses of the same level, what is explained held
    constant; they share the random effects of that group and of the groups in which it is nested
    (pupils of a school share the school), and of no other. With random slopes or discriminations a
    variance is the average over the responses.

    Args:
        fit: a fit with random effects on easiness.
        level: of the limits, which are symmetric in the logit of the correlation.

    Returns:
        A row per grouping factor: group, variance, share, icc, se, lower, upper; then "(residual)".
        Without limits where the correlation is at zero.

    Raises:
        DataError: for families without a latent residual variance, conditional likelihood, and
            random discriminations.

    Source: Goldstein, Browne & Rasbash (2002) for the latent response; Snijders & Bosker (2012),
    sections 3.4 and 17.3; Johnson (2014) for random slopes.

    >>> import eirt
    >>> fit = eirt.eirm(eirt.load("verbagg"), "r2 ~ mode + (1 | id) + (1 | item)")
    >>> icc(fit).round(3)
            group  variance  share    icc     se  lower  upper
    0          id     1.910  0.301  0.301  0.026  0.252  0.354
    1        item     1.154  0.182  0.182  0.044  0.110  0.284
    2  (residual)     3.290  0.518    NaN    NaN    NaN    NaN
    """
    import pandas as pd
    from scipy.special import expit, logit

    found, derivative = variances(fit)
    residual, by_residual = residual_variance(fit)
    groups = list(dict.fromkeys(term.group for term in fit.design.terms))
    member = np.array([[t.group == g for t in fit.design.terms] for g in groups], float)
    pile, by_pile = member @ found.random, member @ derivative.random
    total, by_total = pile.sum() + residual, by_pile.sum(axis=0) + by_residual
    shared = _shared(fit, groups)
    values = shared @ pile / total
    jacobian = (shared @ by_pile - np.outer(values, by_total)) / total
    se = np.sqrt(spread(jacobian, fit.vcov.to_numpy()))
    inside = values > 1e-8
    at = np.where(inside, values, np.nan)
    half = quantile(level) * se / (at * (1 - at))
    table = pd.DataFrame(
        {
            "group": groups,
            "variance": pile,
            "share": pile / total,
            "icc": values,
            "se": np.where(inside, se, np.nan),
            "lower": expit(logit(at) - half),
            "upper": expit(logit(at) + half),
        }
    )
    last = {"group": "(residual)", "variance": residual, "share": residual / total}
    return pd.concat([table, pd.DataFrame([last])], ignore_index=True)


def _shared(fit: Fit, groups: list[str]) -> Float[np.ndarray, "G G"]:
    """Return 1 where responses of the same level of one group are of the same level of another."""
    level = {term.group: _levels(fit.design, term) for term in fit.design.terms}
    return np.array([[constant_within(level[b], level[a]) for b in groups] for a in groups], float)


def _levels(design: Design, term: Term) -> Int[np.ndarray, " N"]:
    """Return the level of each response, a testlet of a person among them."""
    if term.index is not None:
        return term.index[design.obs_cell]
    block = np.argmax(term.z != 0, axis=1) // (len(term.effects) // term.blocks)
    return design.obs_person * term.blocks + block[design.obs_cell] % term.blocks
