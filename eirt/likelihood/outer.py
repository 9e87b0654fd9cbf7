"""Laplace's method around the integral over persons.

f(u)   = m(u) - u'u / 2
log L ~= f(u^) - log|H(u^)| / 2,    H = I - d2 m(u^)
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from eirt._compiled import compiled
from eirt._math import cholesky, cholesky_logdet, cholesky_solve
from eirt._modes import secant_mode
from eirt.likelihood.base import importance_error
from eirt.likelihood.canonical import Assembly
from eirt.likelihood.carry import Local
from eirt.likelihood.cells import moves
from eirt.likelihood.inner import Inner
from eirt.model import Model

if TYPE_CHECKING:
    from jaxtyping import Array, Float

MODE_FOUND = 1e-18  # Newton decrement
STEPS = 12  # with one curvature


def _penalised(model: Model, psi: Array, u: Float[Array, " U"], inner: Inner) -> Array:
    """Return f(u)."""
    return inner.total(model, psi, u) - u @ u / 2


value_of = compiled(0)(_penalised)


@compiled(0, 1)
def expansion(
    model: Model, how: Assembly, psi: Array, u: Float[Array, " U"], inner: Inner
) -> tuple[Array, Float[Array, "U U"], Float[Array, "U U"]]:
    """Return f, its negative Hessian H in u, and that H for complete data."""
    data = inner.data
    moved = moves(model, data.restriction.expand(psi), data, u)
    carry = Local(moved.first, data.cells.places, u.size)
    total, sums = inner.louis(model, how, psi, u, carry)
    value = total - u @ u / 2
    complete = jnp.eye(u.size) + sums.complete
    curvature = complete - sums.lost
    if moved.second is not None:
        curvature = curvature - carry.spread(jnp.einsum("cm,cmqr->cqr", sums.by_cell, moved.second))
    return value, curvature, complete


@compiled(0)
def climb(
    model: Model, psi: Array, u: Float[Array, " U"], covariance: Float[Array, "U U"], inner: Inner
) -> tuple[Float[Array, " U"], Array]:
    """Go from u towards the mode of f with the curvature of another point.

    A step costs a gradient; near the mode they converge fast (Kelley, 1995, section 5.4).

    Args:
        model: the model.
        psi: free parameters.
        u: where to begin.
        covariance: H^-1 at a point nearby, of another psi maybe.
        inner: the integral over persons.

    Returns:
        Where STEPS evaluations have led, or less if they sufficed, and whether it is the mode.
    """

    def expand(v: Array) -> tuple[Array, Array]:
        return jax.value_and_grad(_penalised, 2)(model, psi, v, inner)

    return secant_mode(expand, functools.partial(jnp.matmul, covariance), u, MODE_FOUND, STEPS)


@compiled(0, 1)
def value_and_grad(
    model: Model, how: Assembly, psi: Array, mode: Float[Array, " U"], inner: Inner
) -> tuple[Array, Array, Array]:
    """Return the Laplace log-likelihood, its total derivative, and H^-1.

    They are not numbers where H is not positive definite, as happens far from the mode.

        L(psi, u) = f - log|H| / 2,    dL/dpsi + (d2f/dpsi du) H^-1 dL/du

    The last term is there because the mode moves: du^/dpsi = H^-1 d2f/(du dpsi).
    """
    if not mode.size:  # nothing but persons
        value, gradient = jax.value_and_grad(_penalised, 1)(model, psi, mode, inner)
        return value, gradient, jnp.zeros((0, 0))

    def integral(psi: Array, u: Array) -> tuple[Array, Array]:
        value, curvature, _ = expansion(model, how, psi, u, inner)
        fixed = jax.lax.stop_gradient(curvature)
        factor = cholesky(fixed)
        covariance = cholesky_solve(factor, jnp.eye(u.size))
        moving = jnp.sum(covariance * (curvature - fixed))  # d log|H| = trace(H^-1 dH)
        return value - (cholesky_logdet(factor) + moving) / 2, covariance

    def slope(psi: Array, along: Array) -> Array:
        return jax.grad(_penalised, 2)(model, psi, mode, inner) @ along

    by_both = jax.value_and_grad(integral, (0, 1), has_aux=True)
    (value, covariance), (by_psi, by_mode) = by_both(psi, mode)
    through = jax.grad(slope)(psi, covariance @ by_mode)
    return value, by_psi + through, covariance


@compiled(0)
def moments(
    model: Model, psi: Array, mode: Float[Array, " U"], inner: Inner
) -> tuple[Float[Array, "N D"], Float[Array, "N D D"]]:
    """Return posterior means and covariances of persons."""
    return inner.moments(model, psi, mode)


@compiled(0)
def importance(
    model: Model,
    psi: Array,
    mode: Float[Array, " U"],
    half: Float[Array, "U U"],
    inner: Inner,
    normals: Float[Array, "draws U"],
) -> tuple[Array, Array]:
    """Estimate log L - (Laplace) by importance sampling from N(u^, H^-1), H^-1 = half half'.

    Returns:
        The estimated error of the Laplace step and its Monte-Carlo standard error.
    """

    def log_integrand(u: Array) -> Array:
        return _penalised(model, psi, u, inner)

    return importance_error(log_integrand, mode, half, normals)[:2]
