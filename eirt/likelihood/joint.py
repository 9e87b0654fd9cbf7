"""The joint mode of all random effects, and integrals around it.

    f(x, u) = sum_n log p(y_n | eta_n) - sum_p |x_p - m_p|^2 / 2 - u'u / 2

H = -d2 f is an arrowhead: the persons' blocks H_pp are eliminated one by one, what is left is the
dense Schur complement S of the other effects, and log|H| = sum_p log|H_pp| + log|S|.
"""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from eirt._math import Grid, cholesky_logdet, cholesky_solve, newton_mode
from eirt.likelihood.base import (
    Data,
    Objective,
    cell_parameters,
    importance_error,
    location_by_effect,
    person_shift,
)
from eirt.likelihood.incidence import Padded, incidence
from eirt.model import CellParameters, Model

Information = Literal["observed", "expected"]


class Effects(NamedTuple):
    """Spherical effects of persons (x) and of everything else (u)."""

    x: Float[Array, "N D"]
    u: Float[Array, " U"]


class Arrow(NamedTuple):
    """The Cholesky factors of H: persons' blocks, their coupling B, the Schur complement."""

    persons: Float[Array, "N D D"]
    coupling: Float[Array, "N D U"]
    others: Float[Array, "U U"]

    def logdet(self) -> Array:
        """Return log|H|."""
        return jnp.sum(cholesky_logdet(self.persons)) + cholesky_logdet(self.others)

    def solve(self, b: Effects) -> Effects:
        """Solve H e = b."""
        solve = jax.vmap(cholesky_solve)
        first = solve(self.persons, b.x)
        if b.u.size == 0:
            return Effects(first, b.u)
        u = cholesky_solve(self.others, b.u - jnp.einsum("ndu,nd->u", self.coupling, first))
        return Effects(first - solve(self.persons, self.coupling @ u), u)


class Setting(NamedTuple):
    """Arrays of the joint integrand."""

    data: Data
    who: Padded


def _cells(model: Model, psi: Array, u: Float[Array, " U"], setting: Setting) -> CellParameters:
    data = setting.data
    return cell_parameters(model, data.restriction.expand(psi), data, u)


def _shift(model: Model, psi: Array, setting: Setting) -> Float[Array, "N D"]:
    full = setting.data.restriction.expand(psi)
    return person_shift(model, full, setting.data, setting.who)


def _each_response(model: Model, cells: CellParameters, setting: Setting) -> tuple:
    """Return y, location, loading and extra parameters of each response, persons x slots."""
    data, rows = setting.data, setting.who.rows
    cell = data.row_cell[rows]
    return data.row_y[rows], cells.location[cell], cells.loading[cell], cells.aux[cell]


def _joint(model: Model, psi: Array, effects: Effects, setting: Setting) -> Array:
    """Return f(x, u)."""
    cells = _cells(model, psi, effects.u, setting)
    y, location, loading, aux = _each_response(model, cells, setting)
    eta = location + jnp.einsum("njd,nd->nj", loading, effects.x)
    log_prob = jax.vmap(jax.vmap(model.response.log_prob))(y, eta, aux)
    shift = _shift(model, psi, setting)
    penalty = jnp.sum((effects.x - shift) ** 2) + jnp.sum(effects.u**2)
    return jnp.sum(setting.who.present * log_prob) - penalty / 2


def _arrow(
    model: Model, information: Information, psi: Array, effects: Effects, setting: Setting
) -> Arrow:
    """Return H at some effects, factored."""
    cells = _cells(model, psi, effects.u, setting)
    y, location, loading, aux = _each_response(model, cells, setting)
    eta = location + jnp.einsum("njd,nd->nj", loading, effects.x)
    if information == "expected":
        weight = jax.vmap(jax.vmap(model.response.information))(eta, aux)
    else:
        second = jax.grad(jax.grad(model.response.log_prob, 1), 1)
        weight = -jax.vmap(jax.vmap(second))(y, eta, aux)
    weight = weight * setting.who.present
    size = loading.shape[-1]
    blocks = jnp.eye(size) + jnp.einsum("nj,njd,nje->nde", weight, loading, loading)
    persons = jnp.linalg.cholesky(blocks)
    n_others = effects.u.size
    coupling = jnp.zeros((len(eta), size, n_others))
    if n_others == 0:
        return Arrow(persons, coupling, jnp.zeros((0, 0)))
    data = setting.data
    own = location_by_effect(model, data.restriction.expand(psi), data, effects.u)
    cell = data.row_cell[setting.who.rows]
    slope, places = own[cell], data.cells.places[cell]
    person = jnp.arange(len(eta))[:, None, None]
    shares = jnp.einsum("nj,njq,njd->njqd", weight, slope, loading)
    coupling = coupling.at[person, :, places].add(shares)
    totals = jnp.zeros(len(own)).at[cell].add(weight)
    curvature = jnp.einsum("c,cq,cr->cqr", totals, own, own)
    at = data.cells.places
    dense = jnp.eye(n_others).at[at[:, :, None], at[:, None, :]].add(curvature)
    half = jax.vmap(functools.partial(jax.scipy.linalg.solve_triangular, lower=True))(
        persons, coupling
    )
    schur = dense - jnp.einsum("ndu,ndv->uv", half, half)
    return Arrow(persons, coupling, jnp.linalg.cholesky(schur))


@functools.partial(jax.jit, static_argnums=0)
def joint_mode(model: Model, psi: Array, start: Effects, setting: Setting) -> tuple[Effects, Arrow]:
    """Return the joint mode by Newton's method, and the observed H there."""

    def expand(at: Effects) -> tuple[Array, Effects, Array, Arrow]:
        value, gradient = jax.value_and_grad(_joint, 2)(model, psi, at, setting)
        arrow = _arrow(model, "observed", psi, at, setting)
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
    solve = jax.vmap(
        lambda factor: jax.scipy.linalg.solve_triangular(factor.T, jnp.asarray(grid.nodes).T).T
    )
    nodes = centre.x[:, None, :] + solve(persons)
    cells = _cells(model, psi, centre.u, setting)
    y, location, loading, aux = _each_response(model, cells, setting)
    eta = location[:, :, None] + jnp.einsum("njd,nkd->njk", loading, nodes)
    at_node = jax.vmap(model.response.log_prob, (None, 0, None))
    log_prob = jax.vmap(jax.vmap(at_node))(y, eta, aux)
    density = jnp.einsum("nj,njk->nk", setting.who.present, log_prob)
    centred = nodes - _shift(model, psi, setting)[:, None, :]
    ratio = (jnp.sum(grid.nodes**2, axis=-1) - jnp.sum(centred**2, axis=-1)) / 2
    weight = grid.log_weights - cholesky_logdet(persons)[:, None] / 2
    return density + ratio + weight, nodes


def _integral(
    model: Model, psi: Array, at: Effects, arrow: Arrow, setting: Setting, grid: Grid
) -> Array:
    """Return the log-likelihood from nodes at `at`: with one node, Laplace's."""
    joint, _ = _at_nodes(model, psi, at, arrow.persons, setting, grid)
    total = jnp.sum(jax.nn.logsumexp(joint, axis=1)) - jnp.sum(at.u**2) / 2
    return total - cholesky_logdet(arrow.others) / 2


integral_around = jax.jit(_integral, static_argnums=0)


@functools.partial(jax.jit, static_argnums=(0, 1))
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
        there = _arrow(model, information, psi, moved, setting)
        return _integral(model, psi, moved, there, setting, grid)

    return jax.value_and_grad(integral)(psi)


@functools.partial(jax.jit, static_argnums=0)
def effect_moments(
    model: Model, psi: Array, mode: Effects, arrow: Arrow, setting: Setting, grid: Grid
) -> tuple[Array, Array, Array]:
    """Return posterior means and covariances of persons, and the covariance of the others."""
    joint, nodes = _at_nodes(model, psi, mode, arrow.persons, setting, grid)
    weights = jax.nn.softmax(joint, axis=1)
    shift = _shift(model, psi, setting)
    if mode.u.size == 0 and weights.shape[1] > 1:
        mean = jnp.einsum("nk,nkd->nd", weights, nodes)
        centred = nodes - mean[:, None, :]
        covariance = jnp.einsum("nk,nkd,nke->nde", weights, centred, centred)
        return mean - shift, covariance, jnp.zeros((0, 0))
    covariance = _inverse(arrow.persons)
    if mode.u.size == 0:
        return mode.x - shift, covariance, jnp.zeros((0, 0))
    others = _inverse(arrow.others[None])[0]
    carry = jnp.einsum("nde,neu->ndu", covariance, arrow.coupling)
    covariance = covariance + jnp.einsum("ndu,uv,nev->nde", carry, others, carry)
    return mode.x - shift, covariance, others


def person_modes(
    objective: Objective, psi: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each person's posterior mode and inverse curvature, given all other effects."""
    setting = Setting(objective.data, jax.device_put(incidence(objective.design, dense=False)))
    shape = (len(objective.design.persons), objective.model.dimension)
    mode, covariance = _person_modes(objective.model, psi, np.zeros(shape), others, setting)
    return np.asarray(mode), np.asarray(covariance)


@functools.partial(jax.jit, static_argnums=0)
def _person_modes(
    model: Model, psi: Array, start: Float[Array, "N D"], others: Array, setting: Setting
) -> tuple[Array, Array]:
    solve = jax.vmap(cholesky_solve)

    def expand(x: Array) -> tuple[Array, Array, Array, Array]:
        at = Effects(x, others)
        value, gradient = jax.value_and_grad(_joint, 2)(model, psi, at, setting)
        persons = _arrow(model, "observed", psi, at, setting).persons
        step = solve(persons, gradient.x)
        return value, step, jnp.sum(gradient.x * step), persons

    mode, persons = newton_mode(expand, start)
    return mode - _shift(model, psi, setting), _inverse(persons)


def _inverse(factors: Float[Array, "N D D"]) -> Float[Array, "N D D"]:
    """Return the inverse of each L L'."""
    identity = jnp.eye(factors.shape[-1])
    return jax.vmap(lambda factor: jax.scipy.linalg.cho_solve((factor, True), identity))(factors)


@functools.partial(jax.jit, static_argnums=(0, 1))
def importance_integral(
    model: Model,
    draws: int,
    psi: Array,
    mode: Effects,
    arrow: Arrow,
    setting: Setting,
    grid: Grid,
) -> tuple[Array, Array]:
    """Estimate the log-likelihood by importance sampling of u, persons by adaptive quadrature."""

    def log_integrand(u: Array) -> Array:
        # given u, each person's mode moves to first order by -H_pp^-1 B (u - u^)
        shift = jax.vmap(cholesky_solve)(arrow.persons, arrow.coupling @ (u - mode.u))
        centre = Effects(mode.x - shift, u)
        joint, _ = _at_nodes(model, psi, centre, arrow.persons, setting, grid)
        return jnp.sum(jax.nn.logsumexp(joint, axis=1)) - u @ u / 2

    centre = log_integrand(mode.u)
    error, spread = importance_error(draws, log_integrand, mode.u, centre, arrow.others)
    return centre - cholesky_logdet(arrow.others) / 2 + error, spread
