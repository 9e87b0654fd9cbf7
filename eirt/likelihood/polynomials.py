"""Polynomials that are uncorrelated under the posterior of each person.

A posterior is narrow next to what bends a response function, so that a function of the trait is
there a polynomial of low degree, and covariances of functions are sums over few coefficients.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt._math import Grid

if TYPE_CHECKING:
    from jaxtyping import Array, Float

MOST_DEGREE = {1: 14, 2: 8, 3: 5}  # of the polynomials of posteriors, by dimension
LEFT_OUT = 1e-8  # of the posterior variance of a score
RANK, LINE = 24, 401  # functions that stand for all on a line of at most so many nodes
TOLD = 0.2  # about what one response tells of its predictor
RIDGE = 1e-12  # a sharp posterior on few nodes cannot tell high degrees apart


def enough(responses: float, dimension: int, left_out: float = LEFT_OUT) -> int:
    """Return a degree that leaves nothing of note.

    Derivatives of a logistic function grow like n! / pi^n, so that polynomials up to n leave
    about n! (sd / pi)^2n of its variance under a normal posterior.

    Args:
        responses: of a person, per dimension.
        dimension: of the trait.
        left_out: of the posterior variance of a score, at most.

    >>> enough(5.0, 1), enough(20.0, 1), enough(100.0, 1)
    (14, 7, 5)
    """
    relative = 1.0 / (1.0 + TOLD * responses) / np.pi**2
    degree, left = 0, 1.0
    while left > left_out and degree < MOST_DEGREE.get(dimension, 4):
        degree += 1
        left *= degree * relative
    return degree


def powers_up_to(dimension: int, degree: int) -> tuple[tuple[int, ...], ...]:
    """Return the exponents of the polynomials, constants left out."""
    every = itertools.product(range(degree + 1), repeat=dimension)
    return tuple(power for power in every if 0 < sum(power) <= degree)


def polynomials(
    w: Float[Array, "n K"], grid: Grid, powers: tuple[tuple[int, ...], ...]
) -> Float[Array, "n q K"]:
    """Return Hermite polynomials around each person's posterior at the nodes, centred."""
    nodes, still = jnp.asarray(grid.nodes), jax.lax.stop_gradient(w)
    mean = still @ nodes
    sd = jnp.sqrt(still @ nodes**2 - mean**2)
    z = (nodes - mean[:, None, :]) / sd[:, None, :]
    degree = max(map(max, powers))
    one = [jnp.ones_like(z), z]
    for n in range(1, degree):
        one.append((z * one[n] - np.sqrt(n) * one[n - 1]) / np.sqrt(n + 1))
    columns = [
        jnp.prod(jnp.stack([one[n][:, :, d] for d, n in enumerate(power)]), axis=0)
        for power in powers
    ]
    v = jnp.stack(columns, axis=1)
    size = jnp.sqrt(jnp.einsum("nk,nqk->nq", still, v**2))[:, :, None]
    return (v - jnp.einsum("nk,nqk->nq", w, v)[:, :, None]) / size


def compressed(
    table: Float[Array, "S K m"], weights: Float[Array, "N K"]
) -> tuple[Float[Array, "S m r"], Float[Array, "K r"]]:
    """Return functions on nodes as combinations of a few, and these.

    Smooth functions on a line hardly differ where they lie: with RANK principal functions, nodes
    weighted by how many persons are there, what is left out is below 1e-6 for discriminations up
    to 3.

    Args:
        table: S x m functions.
        weights: posterior weights of the nodes, by person.
    """
    n_rows, n_nodes, m = table.shape
    flat = jnp.moveaxis(table, 1, 2)
    if n_nodes > LINE or n_nodes <= RANK:
        return flat, jnp.eye(n_nodes)
    far = jnp.sqrt(jnp.mean(weights, axis=0) + 1e-12)
    functions = flat.reshape(-1, n_nodes) * far
    size = jnp.sum(functions**2, axis=1, keepdims=True)
    scaled = functions / jnp.sqrt(jnp.where(size > 0, size, 1.0))
    principal = jnp.linalg.eigh(scaled.T @ scaled)[1][:, -RANK:]
    return (functions @ principal).reshape(n_rows, m, RANK), principal / far[:, None]


def orthonormal(v: Float[Array, "n q K"], w: Float[Array, "n K"]) -> Float[Array, "n q K"]:
    """Return functions that span the same, uncorrelated under w, by modified Gram-Schmidt.

    All persons go in step: a library call for each would be slower.
    """
    n_functions = v.shape[1]

    def settle(j: int, v: Array) -> Array:
        one = v[:, j]
        one = one / jnp.sqrt(jnp.sum(w * one**2, axis=1) + RIDGE)[:, None]
        share = jnp.einsum("nk,nqk->nq", w * one, v) * (jnp.arange(n_functions) > j)
        return (v - share[:, :, None] * one[:, None, :]).at[:, j].set(one)

    return jax.lax.fori_loop(0, n_functions, settle, v)
