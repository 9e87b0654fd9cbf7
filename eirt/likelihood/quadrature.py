"""Marginal maximum likelihood on fixed shared nodes (Bock & Aitkin, 1981)."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from eirt._math import Grid, equispaced_grid
from eirt.design import Design
from eirt.likelihood.base import (
    Data,
    Likelihood,
    Moments,
    Objective,
    Terms,
    cell_parameters,
    person_shift,
)
from eirt.likelihood.incidence import Incidence
from eirt.likelihood.table import (
    MAX_NODES,
    WIDER,
    Assembly,
    assemble,
    default_nodes,
    derivatives,
    finer_nodes,
    flatten,
    louis,
    posterior,
    posterior_moments,
)
from eirt.model import Model, Restriction


@dataclass(frozen=True)
class Quadrature(Likelihood):
    """Integrate the latent trait on equally spaced nodes shared by all persons.

        log L = sum_p log sum_k w_k prod_n p(y_pn | x_k)

    Args:
        nodes: nodes per dimension; chosen by dimension when None, and doubled after the fit
            to report `quadrature_error`.
        reach: the nodes cover +-reach standard deviations.

    Source: Bock & Aitkin (1981); Louis (1982) for the information.

    >>> Quadrature(41).nodes
    41
    """

    nodes: int | None = None
    reach: float = 6.5

    def bind(self, model: Model, design: Design, restriction: Restriction) -> Objective:
        if any(not term.local for term in design.terms):
            raise ValueError(
                "Quadrature integrates one grouping factor; for crossed or nested effects use "
                "likelihood=eirt.Nested() or eirt.Laplace()."
            )
        return QuadratureObjective(self, model, design, restriction)


class QuadratureObjective(Objective):
    """The marginal log-likelihood on fixed nodes, with exact information."""

    exact_information = True

    def __init__(self, choice: Quadrature, model: Model, design: Design, restriction: Restriction):
        super().__init__(model, design, Data.of(design, restriction))
        nodes = choice.nodes or default_nodes(model.dimension)
        if nodes**model.dimension > MAX_NODES:
            raise ValueError(
                f"{nodes} nodes in each of {model.dimension} dimensions are too many; use "
                "likelihood=eirt.AdaptiveQuadrature()."
            )
        self.nodes = nodes
        self.choice = Quadrature(nodes, choice.reach)
        self.grid = equispaced_grid(nodes, model.dimension, choice.reach)
        n_free = int(restriction.source.max(initial=-1)) + 1
        m = 1 + model.dimension + model.response.n_aux
        self.how, who = assemble(model, design, len(self.grid.log_weights), n_free, m)
        self.who = jax.device_put(who)

    def value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = _value_and_grad(self.model, psi, self.data, self.who, self.grid)
        return float(value), np.asarray(gradient)

    def newton_terms(self, psi: np.ndarray) -> Terms:
        value, *rest = _newton_terms(self.model, self.how, psi, self.data, self.who, self.grid)
        return Terms(float(value), *(np.asarray(part) for part in rest))

    def information(self, psi: np.ndarray) -> np.ndarray:
        return self.newton_terms(psi).information

    def moments(self, psi: np.ndarray) -> Moments:
        mean, covariance = (
            np.asarray(part)[: len(self.design.persons)]
            for part in _moments(self.model, psi, self.data, self.who, self.grid)
        )
        return Moments(mean, covariance, np.zeros(0), np.zeros((0, 0)))

    def errors(self, psi: np.ndarray) -> dict[str, float]:
        nodes = finer_nodes(self.nodes, self.model.dimension)
        if self.model.dimension == 0 or nodes is None:
            return {}
        finer = equispaced_grid(nodes, self.model.dimension, WIDER * self.choice.reach)
        there = _value(self.model, psi, self.data, self.who, finer)
        here = _value(self.model, psi, self.data, self.who, self.grid)
        return {"quadrature": float(there) - float(here)}

    def refined(self) -> Objective | None:
        nodes = finer_nodes(self.nodes, self.model.dimension)
        if nodes is None:
            return None
        choice = Quadrature(nodes, WIDER * self.choice.reach)
        return QuadratureObjective(choice, self.model, self.design, self.data.restriction)


@functools.partial(jax.jit, static_argnums=0)
def _value(model: Model, psi: Array, data: Data, who: Incidence, grid: Grid) -> Array:
    full = data.restriction.expand(psi)
    return jnp.sum(who.weight * posterior(model, full, data, who, grid, jnp.zeros(0)).loglik)


@functools.partial(jax.jit, static_argnums=0)
def _value_and_grad(
    model: Model, psi: Array, data: Data, who: Incidence, grid: Grid
) -> tuple[Array, Array]:
    return jax.value_and_grad(_value, 1)(model, psi, data, who, grid)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _newton_terms(
    model: Model, how: Assembly, psi: Array, data: Data, who: Incidence, grid: Grid
) -> tuple[Array, ...]:
    """Return value, gradient, observed and complete information by Louis' identity."""
    full = data.restriction.expand(psi)
    now = posterior(model, full, data, who, grid, jnp.zeros(0))
    cells = cell_parameters(model, full, data, jnp.zeros(0))
    rows = derivatives(model, cells, data, grid, how.m)

    def flat_cells(free: Array) -> Array:
        expanded = data.restriction.expand(free)
        return flatten(cell_parameters(model, expanded, data, jnp.zeros(0)))

    moves = who.covariates.shape[1] > 0

    def shift(free: Array) -> Array:
        return person_shift(model, data.restriction.expand(free), data, who)

    moving = jax.jacfwd(shift)(psi) if moves else None
    jacobian = jax.jacfwd(flat_cells)(psi)
    sums = louis(how, rows, jacobian, data, who, now.weights, grid, moving)
    expected = who.by_row(now.weights * who.weight[:, None], len(data.row_cell))
    row_score = jnp.einsum("sk,skm->sm", expected, rows.gradient)
    off = (now.weights @ grid.nodes - shift(psi)) * who.weight[:, None]

    def linearised(free: Array) -> Array:
        """Parameters of cells and means of persons, weighted by their scores."""
        cells_part = jnp.sum(row_score * flat_cells(free)[data.row_cell])
        return cells_part + (jnp.sum(off * shift(free)) if moves else 0.0)

    # location and loading may be products of parameters: the curvature of the map itself
    bend = jax.hessian(linearised)(psi)
    score, complete = jax.grad(linearised)(psi), sums.complete
    if moving is not None:
        complete = complete + jnp.einsum("n,ndp,ndq->pq", who.weight, moving, moving)
    observed = complete - bend - sums.lost
    value = jnp.sum(who.weight * now.loglik)
    return value, score, (observed + observed.T) / 2, complete


@functools.partial(jax.jit, static_argnums=0)
def _moments(
    model: Model, psi: Array, data: Data, who: Incidence, grid: Grid
) -> tuple[Array, Array]:
    full = data.restriction.expand(psi)
    weights = posterior(model, full, data, who, grid, jnp.zeros(0)).weights
    mean, covariance = posterior_moments(weights, grid)
    return mean - person_shift(model, full, data, who), covariance
