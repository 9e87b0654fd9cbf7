"""Laplace's method around the integral over persons.

f(u)   = m(u) - u'u / 2
log L ~= f(u^) - log|H(u^)| / 2,    H = I - d2 m(u^)
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from eirt._math import cholesky_logdet, cholesky_solve, newton_mode
from eirt.likelihood.base import importance_error
from eirt.likelihood.canonical import Assembly
from eirt.likelihood.carry import Local
from eirt.likelihood.cells import moves
from eirt.likelihood.inner import Inner, information, integrate, total
from eirt.likelihood.inner import moments as moments_given
from eirt.model import Model

MODE_FOUND = 1e-18  # Newton decrement
OLD_STEPS = 30


def _penalised(model: Model, psi: Array, u: Float[Array, " U"], inner: Inner) -> Array:
    """Return f(u)."""
    return total(model, psi, inner, u) - u @ u / 2


value_of = jax.jit(_penalised, static_argnums=0)


def _expansion(
    model: Model, how: Assembly, psi: Array, u: Float[Array, " U"], inner: Inner
) -> tuple[Array, Array, Array, Array]:
    """Return f, its gradient in u, its negative Hessian H, and that H for complete data."""
    data = inner.data
    now = integrate(model, psi, inner, u)
    moved = moves(model, data.restriction.expand(psi), data, u)
    carry = Local(moved.first, data.cells.places, u.size)
    sums = information(model, how, psi, inner, u, now.weights, carry)
    value = jnp.sum(inner.who.weight * now.loglik) - u @ u / 2
    complete = jnp.eye(u.size) + sums.complete
    curvature = complete - sums.lost
    if moved.second is not None:
        curvature = curvature - carry.spread(jnp.einsum("cm,cmqr->cqr", sums.by_cell, moved.second))
    return value, carry.score(sums.by_cell) - u, curvature, complete


@functools.partial(jax.jit, static_argnums=(0, 1))
def find_mode(
    model: Model,
    how: Assembly,
    psi: Array,
    u: Float[Array, " U"],
    factor: Float[Array, "U U"],
    inner: Inner,
) -> Float[Array, " U"]:
    """Return the mode of f, from u.

    Steps with the curvature of another psi (the Cholesky factor of H there) cost a gradient each;
    Newton's method takes over unless they converge fast (Kelley, 1995, section 5.4).
    """
    gradient_of = jax.grad(_penalised, 2)

    def expand(v: Array) -> tuple[Array, Array, Array, tuple]:
        value, gradient, curvature, complete = _expansion(model, how, psi, v, inner)
        factor = jnp.linalg.cholesky(curvature)
        # far from the mode a grid can be too coarse for concavity: complete data never lack it
        sound = jnp.all(jnp.isfinite(factor))
        factor = jnp.where(sound, factor, jnp.linalg.cholesky(complete))
        step = cholesky_solve(factor, gradient)
        return value, step, gradient @ step, ()

    def old_step(v: Array) -> tuple[Array, Array]:
        gradient = gradient_of(model, psi, v, inner)
        step = cholesky_solve(factor, gradient)
        return step, gradient @ step

    def unfinished(state: tuple) -> Array:
        _, _, decrement, before, count = state
        fast = (decrement < before / 4) | (count < 2)
        return (decrement > MODE_FOUND) & fast & (count < OLD_STEPS)

    def advance(state: tuple) -> tuple:
        v, step, decrement, _, count = state
        return v + step, *old_step(v + step), decrement, count + 1

    state = (u, jnp.zeros_like(u), jnp.inf, jnp.inf, 0)
    v, _, decrement, _, _ = jax.lax.while_loop(unfinished, advance, state)
    found = decrement <= MODE_FOUND
    return jax.lax.cond(found, lambda: v, lambda: newton_mode(expand, u, MODE_FOUND)[0])


@functools.partial(jax.jit, static_argnums=(0, 1))
def value_and_grad(
    model: Model, how: Assembly, psi: Array, mode: Float[Array, " U"], inner: Inner
) -> tuple[Array, Array, Array]:
    """Return the Laplace log-likelihood, its total derivative, and the Cholesky factor of H.

        dL/dpsi = df/dpsi - dl/dpsi - (d2f/dpsi du) H^-1 dl/du,   l = log|H| / 2

    The last term is there because the mode moves: du^/dpsi = H^-1 d2f/(du dpsi).
    """

    def half_logdet(psi: Array, u: Array) -> tuple[Array, Array]:
        factor = jnp.linalg.cholesky(_expansion(model, how, psi, u, inner)[2])
        return cholesky_logdet(factor) / 2, factor

    def slope(psi: Array, along: Array) -> Array:
        return jax.grad(_penalised, 2)(model, psi, mode, inner) @ along

    by_both = jax.value_and_grad(half_logdet, (0, 1), has_aux=True)
    (half, factor), (by_psi, by_mode) = by_both(psi, mode)
    value, gradient = jax.value_and_grad(_penalised, 1)(model, psi, mode, inner)
    through = jax.grad(slope)(psi, cholesky_solve(factor, by_mode))
    return value - half, gradient - by_psi - through, factor


@functools.partial(jax.jit, static_argnums=(0, 1))
def moments(
    model: Model, how: Assembly, psi: Array, mode: Float[Array, " U"], inner: Inner
) -> tuple[Array, Array, Array]:
    """Return posterior means and covariances of persons, and H."""
    curvature = _expansion(model, how, psi, mode, inner)[2]
    return *moments_given(model, psi, inner, mode), curvature


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def importance(
    model: Model, how: Assembly, draws: int, psi: Array, mode: Float[Array, " U"], inner: Inner
) -> tuple[Array, Array]:
    """Estimate log L - (Laplace) by importance sampling from N(u^, H^-1), antithetically.

    Returns:
        The estimated error of the Laplace step and its Monte-Carlo standard error.
    """
    centre, _, curvature, _ = _expansion(model, how, psi, mode, inner)
    factor = jnp.linalg.cholesky(curvature)
    return importance_error(draws, lambda u: _penalised(model, psi, u, inner), mode, centre, factor)
