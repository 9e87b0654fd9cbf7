"""Covariances of random effects, and extra parameters of the response, as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._config import double_precision
from eirt._math import spread
from eirt.covariances import Covariance
from eirt.extras import answers
from eirt.responses import Response

if TYPE_CHECKING:
    from eirt.results import Fit


@compiled(0, once=True)
def _components(block: Covariance, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return standard deviations, then correlations, of a covariance, and their derivatives."""

    def found(theta: jax.Array) -> jax.Array:
        factor = block.factor(theta)
        covariance = factor @ factor.T
        sd = jnp.sqrt(jnp.maximum(jnp.diagonal(covariance), 1e-300))
        return jnp.concatenate([sd, (covariance / jnp.outer(sd, sd)).ravel()])

    return found(theta), jax.jacfwd(found)(theta)


@compiled(0, once=True)
def _constrained(response: Response, raw: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the constrained extra parameters of each set, and their derivatives."""
    return jax.vmap(response.constrain)(raw), jax.vmap(jax.jacfwd(response.constrain))(raw)


def thetas(fit: Fit) -> list[np.ndarray]:
    """Return the places of each effect's covariance parameters in the full vector."""
    ends = np.cumsum([fit.model.n_fixed, *(e.covariance.n_theta for e in fit.model.effects)])
    return [np.arange(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]


@double_precision
def variance_components(fit: Fit) -> list[tuple]:
    """Return a row per standard deviation and per correlation, with delta-method errors."""
    if fit.likelihood.conditional:  # nothing is assumed of abilities
        return []
    rows = []
    for effect, term, places in zip(fit.model.effects, fit.design.terms, thetas(fit), strict=True):
        block = effect.covariance.block
        q = block.dimension
        names = term.effects if q == len(term.effects) else ("(Intercept)",) * q
        found, jacobian = map(np.asarray, _components(block, fit.full[places]))
        variance = spread(jacobian, fit.covariance_of(places[None])[0])
        se = np.sqrt(np.maximum(variance, 0.0))
        sd, correlation = found[:q], found[q:].reshape(q, q)
        for a in range(q):
            error = se[a] if np.any(jacobian[a]) else np.nan
            rows.append((term.group, names[a], sd[a] ** 2, sd[a], np.nan, error))
        if block.correlated:
            for a in range(q):
                for b in range(a):
                    pair = f"{names[b]} ~ {names[a]}"
                    shared = correlation[a, b] * sd[a] * sd[b]
                    bound = abs(correlation[a, b]) > 1 - 1e-6
                    error = np.nan if bound else se[q + a * q + b]
                    rows.append((term.group, pair, shared, np.nan, correlation[a, b], error))
    return rows


@double_precision
def response_parameters(fit: Fit) -> list[tuple]:
    """Return the constrained extra parameters with delta-method errors."""
    response, n_sets = fit.model.response, fit.model.n_sets
    size = n_sets * response.n_aux
    if size == 0:
        return []
    places = len(fit.full) - size + np.arange(size).reshape(n_sets, -1)
    values, jacobian = map(np.asarray, _constrained(response, fit.full[places]))
    variance = np.einsum("sij,sjk,sik->si", jacobian, fit.covariance_of(places), jacobian)
    values, se = values.ravel(), np.sqrt(variance).ravel()
    labels = [f"{item}: " for item in fit.design.items] if fit.model.aux_by_item else [""]
    names = [label + name for label in labels for name in response.aux_names]
    sets = answers(fit.design, fit.model.aux_by_item)
    absent = [response.absent(y, *given) for y, given in sets]
    return [
        row
        for k, row in enumerate(zip(names, values, se, strict=True))
        if k % response.n_aux not in absent[k // response.n_aux]
    ]
