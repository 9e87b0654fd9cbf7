"""What covariates say of a person before the responses: N(m_p, V_p) instead of N(0, I).

Relative to the standard normal density, which quadrature weights hold, that is the exponential
family

    log N(x; m, V) - log N(x; 0, I) = l'x + x'Qx - A(l, Q),   l = V^-1 m,   Q = (I - V^-1) / 2

so that persons differ by natural parameters and share nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from eirt._math import Grid, cholesky, cholesky_logdet, cholesky_solve, lower_solve
from eirt.model import Standing

if TYPE_CHECKING:
    from jaxtyping import Array, Float


def natural(
    factor: Float[Array, "D D"], person: Standing, centre: Standing, spreads: bool
) -> Float[Array, " s"]:
    """Return the natural parameters of ONE person: l, then Q where variances differ.

    Effects are spherical around the centre: ability = mu_0 + diag(e_0) Lambda x, where mu_0 and
    log e_0 are what covariates predict at the centre.

    Args:
        factor: Lambda.
        person: what covariates predict of the person.
        centre: what they predict on average.
        spreads: whether variances differ between persons.
    """
    mean = lower_solve(factor, (person.mean - centre.mean) * jnp.exp(-centre.log_sd))
    if not spreads:
        return mean
    relative = jnp.exp(person.log_sd - centre.log_sd)
    half = lower_solve(factor, factor / relative[:, None])  # V^-1/2
    precision = half.T @ half
    return jnp.concatenate([precision @ mean, ((jnp.eye(len(mean)) - precision) / 2).ravel()])


def statistics(x: Float[Array, " D"], size: int) -> Float[Array, " s"]:
    """Return what the natural parameters multiply: x, then the products of its elements."""
    return x if size == len(x) else jnp.concatenate([x, jnp.outer(x, x).ravel()])


def precision_of(coefficients: Float[Array, " s"], dimension: int) -> Float[Array, "D D"]:
    """Return V^-1."""
    identity = jnp.eye(dimension)
    if len(coefficients) == dimension:
        return identity
    return identity - 2 * coefficients[dimension:].reshape(dimension, dimension)


def mean_of(coefficients: Float[Array, " s"], dimension: int) -> Float[Array, " D"]:
    """Return m."""
    linear = coefficients[:dimension]
    if len(coefficients) == dimension:
        return linear
    return cholesky_solve(cholesky(precision_of(coefficients, dimension)), linear)


def partition(coefficients: Float[Array, " s"], dimension: int) -> Float[Array, ""]:
    """Return A(l, Q) = l'Vl / 2 - log|V^-1| / 2."""
    half = coefficients[:dimension] @ mean_of(coefficients, dimension) / 2
    if len(coefficients) == dimension:
        return half
    return half - cholesky_logdet(cholesky(precision_of(coefficients, dimension))) / 2


def log_ratio(x: Float[Array, " D"], coefficients: Float[Array, " s"]) -> Float[Array, ""]:
    """Return log N(x; m, V) - log N(x; 0, I)."""
    size = len(coefficients)
    return statistics(x, size) @ coefficients - partition(coefficients, len(x))


def node_statistics(grid: Grid, size: int) -> Float[Array, "K s"]:
    """Return what natural parameters of persons multiply, at every node."""
    return jax.vmap(statistics, (0, None))(jnp.asarray(grid.nodes), size)
