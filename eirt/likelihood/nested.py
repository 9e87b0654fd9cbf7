"""Crossed effects: persons by quadrature given the rest, the rest by Laplace.

    m(u)   = sum over persons of log sum_k w_k exp l_p(x_k; u)
    f(u)   = m(u) - u'u / 2
    log L ~= f(u^) - log|H(u^)| / 2,    H = I - d2 m(u^)

Persons have few responses each, so their posteriors are skewed and a Laplace approximation of
them is poor; items have many, so theirs are nearly Gaussian.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from eirt._math import Grid, cholesky_logdet, cholesky_solve, equispaced_grid, newton_mode
from eirt.design import Design
from eirt.likelihood.base import (
    IMPORTANCE_DRAWS,
    Data,
    Likelihood,
    Moments,
    Objective,
    cell_parameters,
    importance_error,
    moves,
    on_common_scale,
    person_prior,
)
from eirt.likelihood.carry import Local
from eirt.likelihood.table import (
    MAX_NODES,
    WIDER,
    Assembly,
    Incidence,
    assemble,
    default_nodes,
    finer_nodes,
    louis,
    posterior,
    posterior_moments,
)
from eirt.model import Model, global_offsets
from eirt.restrictions import Restriction


@dataclass(frozen=True)
class Nested(Likelihood):
    """Integrate persons by quadrature inside a Laplace approximation over all other effects.

        log L ~= f(u^) - log|H(u^)|/2,  f(u) = sum_p log sum_k w_k exp l_p(x_k; u) - u'u/2

    Args:
        nodes: nodes per dimension of the persons' effects; chosen by dimension when None.
        reach: the nodes cover +-reach standard deviations.

    Source: H by Louis (1982); the outer integral as Tierney & Kadane (1986).

    >>> Nested(61).name
    'Nested'
    """

    nodes: int | None = None
    reach: float = 6.5

    def bind(self, model: Model, design: Design, restriction: Restriction) -> Objective:
        if all(term.local for term in design.terms):
            raise ValueError(
                "Nested needs random effects besides those of persons; use "
                "likelihood=eirt.Quadrature() for one grouping factor."
            )
        return NestedObjective(self, model, design, restriction)


class Inner(NamedTuple):
    """Static settings and arrays of the inner integral."""

    data: Data
    who: Incidence
    grid: Grid


class NestedObjective(Objective):
    """Persons on fixed nodes, everything else by Laplace around its own mode."""

    def __init__(self, choice: Nested, model: Model, design: Design, restriction: Restriction):
        super().__init__(model, design, Data.of(design, restriction))
        nodes = choice.nodes or default_nodes(model.dimension)
        if nodes**model.dimension > MAX_NODES:
            raise ValueError(
                f"{nodes} nodes in each of {model.dimension} dimensions are too many; "
                "use likelihood=eirt.Laplace() or fewer nodes."
            )
        self.nodes = nodes
        self.choice = Nested(nodes, choice.reach)
        self.n_effects = global_offsets(design)[-1]
        grid = equispaced_grid(nodes, model.dimension, choice.reach)
        self.how, who = assemble(model, design, len(grid.log_weights), self.n_effects, model.moved)
        self.inner = Inner(self.data, jax.device_put(who), grid)
        self.mode = np.zeros(self.n_effects)

    def value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        mode, factor = _find_mode(self.model, self.how, psi, self.mode, self.inner)
        if not np.all(np.isfinite(factor)):
            origin = np.zeros(self.n_effects)
            mode, factor = _find_mode(self.model, self.how, psi, origin, self.inner)
        value, gradient = _value_and_grad(self.model, self.how, psi, mode, factor, self.inner)
        if np.isfinite(value):
            self.mode = np.asarray(mode)
        return float(value), np.asarray(gradient)

    def moments(self, psi: np.ndarray) -> Moments:
        self.value_and_grad(psi)
        mean, covariance, curvature = (
            np.asarray(part) for part in _moments(self.model, self.how, psi, self.mode, self.inner)
        )
        kept = slice(len(self.design.persons))
        others = np.linalg.inv(curvature)
        return Moments(mean[kept], covariance[kept], self.mode, others)

    def errors(self, psi: np.ndarray) -> dict[str, float]:
        self.value_and_grad(psi)
        found = {}
        nodes = finer_nodes(self.nodes, self.model.dimension)
        if nodes is not None:
            grid = equispaced_grid(nodes, self.model.dimension, WIDER * self.choice.reach)
            finer = _value(self.model, psi, self.mode, self.inner._replace(grid=grid))
            here = _value(self.model, psi, self.mode, self.inner)
            found["quadrature"] = float(finer) - float(here)
        error, spread = _importance(
            self.model, self.how, IMPORTANCE_DRAWS, psi, self.mode, self.inner
        )
        return found | {"laplace": float(error), "laplace_se": float(spread)}

    def check_cost(self) -> float:
        rows = self.inner.data.row_cell.size * len(self.design.persons)
        return float(IMPORTANCE_DRAWS * rows * len(self.inner.grid.log_weights))

    def refined(self) -> Objective | None:
        nodes = finer_nodes(self.nodes, self.model.dimension)
        if nodes is None:
            return None
        choice = Nested(nodes, WIDER * self.choice.reach)
        finer = NestedObjective(choice, self.model, self.design, self.data.restriction)
        finer.mode = self.mode
        return finer


def _penalised(model: Model, psi: Array, u: Float[Array, " U"], inner: Inner) -> Array:
    """Return f(u)."""
    full = inner.data.restriction.expand(psi)
    now = posterior(model, full, inner.data, inner.who, inner.grid, u)
    return jnp.sum(inner.who.weight * now.loglik) - u @ u / 2


_value = jax.jit(_penalised, static_argnums=0)


def _expansion(
    model: Model, how: Assembly, psi: Array, u: Float[Array, " U"], inner: Inner
) -> tuple[Array, Array, Array, Array]:
    """Return f, its gradient in u, its negative Hessian H, and that H for complete data."""
    data = inner.data
    full = data.restriction.expand(psi)
    now = posterior(model, full, data, inner.who, inner.grid, u)
    cells = cell_parameters(model, full, data, u)
    moved = moves(model, full, data, u)
    carry = Local(moved.first, data.cells.places, u.size)
    sums = louis(model, how, cells, carry, data, inner.who, now.weights, inner.grid)
    value = jnp.sum(inner.who.weight * now.loglik) - u @ u / 2
    complete = jnp.eye(u.size) + sums.complete
    curvature = complete - sums.lost
    if moved.second is not None:
        curvature = curvature - carry.spread(jnp.einsum("cm,cmqr->cqr", sums.by_cell, moved.second))
    return value, carry.score(sums.by_cell) - u, curvature, complete


@functools.partial(jax.jit, static_argnums=(0, 1))
def _find_mode(
    model: Model, how: Assembly, psi: Array, u: Float[Array, " U"], inner: Inner
) -> tuple[Float[Array, " U"], Float[Array, "U U"]]:
    """Return the mode of f, by Newton's method from u, and the Cholesky factor of H there."""

    def expand(v: Array) -> tuple[Array, Array, Array, Array]:
        value, gradient, curvature, complete = _expansion(model, how, psi, v, inner)
        factor = jnp.linalg.cholesky(curvature)
        # far from the mode a grid can be too coarse for concavity: complete data never lack it
        sound = jnp.all(jnp.isfinite(factor))
        factor = jnp.where(sound, factor, jnp.linalg.cholesky(complete))
        step = cholesky_solve(factor, gradient)
        return value, step, gradient @ step, factor

    return newton_mode(expand, u)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _value_and_grad(
    model: Model,
    how: Assembly,
    psi: Array,
    mode: Float[Array, " U"],
    factor: Float[Array, "U U"],
    inner: Inner,
) -> tuple[Array, Array]:
    """Return the Laplace log-likelihood and its total derivative.

    One Newton step from the (constant) mode makes the mode a function of psi with the right
    first derivative, du^/dpsi = H^-1 d2f/(du dpsi): reverse mode then adds the implicit term.
    """

    def laplace(psi: Array) -> Array:
        slope = jax.grad(_penalised, 2)(model, psi, mode, inner)
        moved = mode + cholesky_solve(factor, slope)
        curvature = _expansion(model, how, psi, moved, inner)[2]
        value = _penalised(model, psi, mode, inner)
        return value - cholesky_logdet(jnp.linalg.cholesky(curvature)) / 2

    return jax.value_and_grad(laplace)(psi)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _moments(
    model: Model, how: Assembly, psi: Array, mode: Float[Array, " U"], inner: Inner
) -> tuple[Array, Array, Array]:
    full = inner.data.restriction.expand(psi)
    now = posterior(model, full, inner.data, inner.who, inner.grid, mode)
    curvature = _expansion(model, how, psi, mode, inner)[2]
    prior = person_prior(model, full, inner.data, inner.who)
    moments = posterior_moments(now.weights, inner.grid)
    return *on_common_scale(model, full, inner.data, prior, *moments), curvature


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _importance(
    model: Model, how: Assembly, draws: int, psi: Array, mode: Float[Array, " U"], inner: Inner
) -> tuple[Array, Array]:
    """Estimate log L - (Laplace) by importance sampling from N(u^, H^-1), antithetically.

    Returns:
        The estimated error of the Laplace step and its Monte-Carlo standard error.
    """
    centre, _, curvature, _ = _expansion(model, how, psi, mode, inner)
    factor = jnp.linalg.cholesky(curvature)
    return importance_error(draws, lambda u: _penalised(model, psi, u, inner), mode, centre, factor)
