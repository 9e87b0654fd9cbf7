"""The joint mode of all random effects, and integrals around it.

f(x, u) = sum_n log p(y_n | eta_n) - sum_p |x_p - m_p|^2 / 2 - u'u / 2
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from eirt._compiled import compiled
from eirt._math import Grid, cholesky_logdet, cholesky_solve, upper_solve
from eirt._modes import newton_mode
from eirt.likelihood.ability import log_ratio
from eirt.likelihood.arrowhead import (
    Arrow,
    Effects,
    Information,
    Setting,
    arrow_at,
    cells_of,
    each_response,
    prior_of,
)
from eirt.likelihood.base import importance_error
from eirt.likelihood.cells import on_common_scale
from eirt.model import Model

if TYPE_CHECKING:
    from jaxtyping import Array, Float


def _joint(model: Model, psi: Array, effects: Effects, setting: Setting) -> Array:
    """Return f(x, u)."""
    y, cells = each_response(cells_of(model, psi, effects.u, setting), setting)
    log_prob = jax.vmap(jax.vmap(model.log_prob, (0, 0, None)))(cells, y, effects.x)
    relative = jax.vmap(log_ratio)(effects.x, prior_of(model, psi, setting))
    penalty = jnp.sum(effects.x**2) + jnp.sum(effects.u**2)
    return jnp.sum(setting.who.present * log_prob) + jnp.sum(relative) - penalty / 2


@compiled(0)
def joint_mode(model: Model, psi: Array, start: Effects, setting: Setting) -> tuple[Effects, Arrow]:
    """Return the joint mode by Newton's method, and the observed H there."""

    def expand(at: Effects) -> tuple[Array, Effects, Array, Arrow]:
        value, gradient = jax.value_and_grad(_joint, 2)(model, psi, at, setting)
        arrow = arrow_at(model, "observed", psi, at, setting)
        if model.moved > 1:  # products of effects: not concave far from the mode
            arrow = jax.lax.cond(
                jnp.isfinite(arrow.logdet()),
                lambda: arrow,
                lambda: arrow_at(model, "safe", psi, at, setting),
            )
        step = arrow.solve(gradient)
        decrement = jnp.sum(gradient.x * step.x) + jnp.sum(gradient.u * step.u)
        return value, step, decrement, arrow

    return newton_mode(expand, start)


def _at_nodes(
    model: Model,
    psi: Array,
    centre: Effects,
    persons: Float[Array, "N D D"],
    setting: Setting,
    grid: Grid,
) -> tuple[Float[Array, "N K"], Float[Array, "N K D"]]:
    """Return each person's log integrand, weights included, at their own nodes."""
    spread = jax.vmap(lambda factor: upper_solve(factor, jnp.asarray(grid.nodes).T).T)
    nodes = centre.x[:, None, :] + spread(persons)
    y, cells = each_response(cells_of(model, psi, centre.u, setting), setting)
    at_node = jax.vmap(model.log_prob, (None, None, 0))
    log_prob = jax.vmap(jax.vmap(at_node, (0, 0, None)))(cells, y, nodes)
    density = jnp.einsum("nj,njk->nk", setting.who.present, log_prob)
    relative = jax.vmap(jax.vmap(log_ratio, (0, None)))(nodes, prior_of(model, psi, setting))
    ratio = (jnp.sum(grid.nodes**2, axis=-1) - jnp.sum(nodes**2, axis=-1)) / 2
    weight = grid.log_weights - cholesky_logdet(persons)[:, None] / 2
    return density + relative + ratio + weight, nodes


def _integral(
    model: Model, psi: Array, at: Effects, arrow: Arrow, setting: Setting, grid: Grid
) -> Array:
    """Return the log-likelihood from nodes at `at`: with one node, Laplace's."""
    joint, _ = _at_nodes(model, psi, at, arrow.persons, setting, grid)
    total = jnp.sum(jax.nn.logsumexp(joint, axis=1)) - jnp.sum(at.u**2) / 2
    return total - cholesky_logdet(arrow.others) / 2


integral_around = compiled(0)(_integral)


@compiled(0, 1)
def integral_and_gradient(
    model: Model,
    information: Information,
    psi: Array,
    mode: Effects,
    arrow: Arrow,
    setting: Setting,
    grid: Grid,
) -> tuple[Array, Array]:
    """Return the log-likelihood and its total derivative.

    One Newton step from the (constant) mode makes the mode a function of psi with the right
    first derivative, so reverse mode adds the implicit terms.
    """

    def integral(psi: Array) -> Array:
        gradient = jax.grad(_joint, 2)(model, psi, mode, setting)
        moved = jax.tree.map(jnp.add, mode, arrow.solve(gradient))
        there = arrow_at(model, information, psi, moved, setting)
        return _integral(model, psi, moved, there, setting, grid)

    return jax.value_and_grad(integral)(psi)


@compiled(0)
def nodes_of_persons(
    model: Model,
    psi: Array,
    centre: Effects,
    persons: Float[Array, "N D D"],
    setting: Setting,
    grid: Grid,
) -> tuple[Float[Array, "N K"], Float[Array, "N K D"]]:
    """Return each person's posterior weights and their nodes."""
    joint, nodes = _at_nodes(model, psi, centre, persons, setting, grid)
    return jax.nn.softmax(joint, axis=1), nodes


@compiled(0)
def effect_moments(
    model: Model, psi: Array, mode: Effects, arrow: Arrow, setting: Setting, grid: Grid
) -> tuple[Array, Array, Array]:
    """Return posterior means and covariances of persons, and the covariance of the others."""
    joint, nodes = _at_nodes(model, psi, mode, arrow.persons, setting, grid)
    weights = jax.nn.softmax(joint, axis=1)
    full, prior = setting.data.restriction.expand(psi), prior_of(model, psi, setting)
    finish = functools.partial(on_common_scale, model, full, setting.data, prior)
    if mode.u.size == 0 and weights.shape[1] > 1:
        mean = jnp.einsum("nk,nkd->nd", weights, nodes)
        centred = nodes - mean[:, None, :]
        covariance = jnp.einsum("nk,nkd,nke->nde", weights, centred, centred)
        return *finish(mean, covariance), jnp.zeros((0, 0))
    covariance = _inverse(arrow.persons)
    if mode.u.size == 0:
        return *finish(mode.x, covariance), jnp.zeros((0, 0))
    others = _inverse(arrow.others[None])[0]
    carry = jnp.einsum("nde,nse->nds", covariance, arrow.shares)

    def carried(one: Array, places: Array) -> Array:
        return one @ others[places[:, None], places[None, :]] @ one.T

    if arrow.places.ndim == 1:
        share = jax.vmap(carried, (0, None))(carry, arrow.places)
    else:
        share = jax.lax.map(lambda pair: carried(*pair), (carry, arrow.places))
    covariance = covariance + share
    return *finish(mode.x, covariance), others


def _inverse(factors: Float[Array, "N D D"]) -> Float[Array, "N D D"]:
    """Return the inverse of each L L'."""
    identity = jnp.eye(factors.shape[-1])
    return jax.vmap(cholesky_solve, (0, None))(factors, identity)


@compiled(0)
def importance_integral(
    model: Model,
    psi: Array,
    mode: Effects,
    arrow: Arrow,
    setting: Setting,
    grid: Grid,
    normals: Float[Array, "draws U"],
) -> tuple[Array, Array]:
    """Estimate the log-likelihood by importance sampling of u, persons by adaptive quadrature."""

    def log_integrand(u: Array) -> Array:
        # given u, each person's mode moves to first order by -H_pp^-1 B (u - u^)
        shift = jax.vmap(cholesky_solve)(arrow.persons, arrow.to_persons(u - mode.u))
        centre = Effects(mode.x - shift, u)
        joint, _ = _at_nodes(model, psi, centre, arrow.persons, setting, grid)
        return jnp.sum(jax.nn.logsumexp(joint, axis=1)) - u @ u / 2

    half = upper_solve(arrow.others, jnp.eye(mode.u.size))
    error, spread, centre = importance_error(log_integrand, mode.u, half, normals)
    return centre - cholesky_logdet(arrow.others) / 2 + error, spread
