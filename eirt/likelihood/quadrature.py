"""Marginal maximum likelihood on fixed shared nodes (Bock & Aitkin, 1981)."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._math import Grid, equispaced_grid
from eirt.design import Design
from eirt.likelihood.ability import node_statistics, partition
from eirt.likelihood.base import SINGLE, Likelihood, Moments, Objective, Terms
from eirt.likelihood.canonical import Louis
from eirt.likelihood.carry import Direct
from eirt.likelihood.cells import Data, cell_parameters, flatten, on_common_scale, person_prior
from eirt.likelihood.incidence import Dense, incidence, nearly_complete, thinned
from eirt.likelihood.sufficient import (
    Canonical,
    each_person,
    over_persons,
    sampled,
)
from eirt.likelihood.table import (
    MAX_NODES,
    WIDER,
    Assembly,
    Incidence,
    assemble,
    by_each,
    default_nodes,
    finer_nodes,
    log_table,
    louis,
    posterior,
    posterior_moments,
)
from eirt.model import Model
from eirt.restrictions import Restriction, unrestricted

if TYPE_CHECKING:
    from jaxtyping import Array, Float

SAMPLE = 1000, 5  # persons whose information leads a search: at least, and per parameter
MOST_SAMPLED = 0.25  # of all persons: else the information of all is as good
SPARED = 8  # of a sample whose maximum is found first, everybody stands for so many
LEAST_REHEARSED = 4000  # persons in it


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
    known: tuple[np.ndarray, float] | None = None  # where the value was found last, and the value

    def __init__(self, choice: Quadrature, model: Model, design: Design, restriction: Restriction):
        super().__init__(model, design, Data.of(design, restriction))
        self.restriction = restriction
        nodes = choice.nodes or default_nodes(model.dimension)
        if nodes**model.dimension > MAX_NODES:
            raise ValueError(
                f"{nodes} nodes in each of {model.dimension} dimensions are too many; use "
                "likelihood=eirt.AdaptiveQuadrature()."
            )
        self.nodes = nodes
        self.choice = Quadrature(nodes, choice.reach)
        self.grid = equispaced_grid(nodes, model.dimension, choice.reach)
        n_all = sum(model.sizes)
        m = 1 + model.dimension + model.response.n_aux
        self.how, who = assemble(model, design, len(self.grid.log_weights), n_all, m)
        self.who = jax.device_put(who)
        # in all parameters, fixed and tied ones too: other restrictions compile nothing new
        self.whole = self.data._replace(restriction=jax.device_put(unrestricted(n_all)))

    def value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        full = self.restriction.full(psi)
        value, gradient = _value_and_grad(self.model, full, self.whole, self.who, self.grid)
        return float(value), self.restriction.collect(np.asarray(gradient))

    def newton_terms(self, psi: np.ndarray) -> Terms:
        full = self.restriction.full(psi)
        value, *rest = _newton_terms(self.model, self.how, full, self.whole, self.who, self.grid)
        self.known = psi, float(value)
        return Terms(float(value), *(self.restriction.collect(np.asarray(x)) for x in rest))

    @property
    def quick(self) -> bool:
        # products of tables are cheap: a second program would cost more
        return self.how.degree > 0 and not isinstance(self.who, Canonical) and self._every > 1

    def quick_terms(self, psi: np.ndarray) -> Terms:
        full = self.restriction.full(psi)
        parts = _newton_terms(self.model, self.how, full, self.whole, self.sample, self.grid)
        information, safe = (self.restriction.collect(np.asarray(x)) for x in parts[2:])
        return Terms(*self.quick_value_and_grad(psi), information, safe)

    def quick_value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        full = self.restriction.full(psi)
        value, gradient = _value_and_grad(self.model, full, self.whole, self.light, self.grid)
        return float(value), self.restriction.collect(np.asarray(gradient))

    @functools.cached_property
    def light(self) -> Incidence:
        """The persons in single precision, where products of dense tables are the work."""
        if not isinstance(self.who, Dense) or self.model.varied or self.precision == "double":
            return self.who
        return self.who._replace(counts=self.who.counts.astype(np.float32))

    @property
    def _every(self) -> int:
        """How many persons one of the sample stands for."""
        least = max(SAMPLE[0], SAMPLE[1] * sum(self.model.sizes))
        n_persons = len(self.design.persons)
        return n_persons // least if least < MOST_SAMPLED * n_persons else 1

    @functools.cached_property
    def sample(self) -> Incidence:
        """Every so manieth person or more, standing for all."""
        assert not isinstance(self.who, Canonical)
        return jax.device_put(thinned(self.who, self.design, self._every))

    @property
    def rehearsal(self) -> Objective | None:
        if not isinstance(self.who, Canonical):
            return None
        found = copy.copy(self)
        if self.precision == "mixed" and not self.how.single:
            found.how, found.enough, found.rounding = self.how._replace(single=True), 1e-4, SINGLE
            return found
        least = max(LEAST_REHEARSED, len(self.restriction.select))
        sample = sampled(self.who, SPARED) if len(self.who.weight) >= SPARED * least else None
        if sample is None:
            return None
        found.who, found.enough = jax.device_put(sample), self.restriction.select.shape[1] / 10
        return found

    def moments(self, psi: np.ndarray) -> Moments:
        full = self.restriction.full(psi)
        mean, covariance = (
            by_each(self.who, part, len(self.design.persons))
            for part in _moments(self.model, full, self.whole, self.who, self.grid)
        )
        return Moments(mean, covariance, np.zeros(0), np.zeros((0, 0)))

    def person_scores(self, psi: np.ndarray) -> np.ndarray:
        full = self.restriction.full(psi)
        # persons whose scores differ may have been counted as one, with the same posterior
        who = incidence(self.design, nearly_complete(self.design))
        found = _person_scores(self.model, full, self.whole, who, self.grid)
        return np.asarray(found).T @ self.restriction.select

    def errors(self, psi: np.ndarray) -> dict[str, float]:
        nodes = finer_nodes(self.nodes, self.model.dimension)
        if self.model.dimension == 0 or nodes is None:
            return {}
        finer = equispaced_grid(nodes, self.model.dimension, WIDER * self.choice.reach)
        full = self.restriction.full(psi)
        there = _value(self.model, full, self.whole, self.who, finer)
        if self.known is None or not np.array_equal(self.known[0], psi):
            self.newton_terms(psi)  # compiled before, unlike the value alone
        assert self.known is not None
        return {"quadrature": float(there) - self.known[1]}

    def refined(self) -> Objective | None:
        nodes = finer_nodes(self.nodes, self.model.dimension)
        if nodes is None:
            return None
        choice = Quadrature(nodes, WIDER * self.choice.reach)
        return QuadratureObjective(choice, self.model, self.design, self.data.restriction)


@compiled(0)
def _value(model: Model, psi: Array, data: Data, who: Incidence, grid: Grid) -> Array:
    full = data.restriction.expand(psi)

    def value(some: Incidence) -> Array:
        return jnp.sum(some.weight * posterior(model, full, data, some, grid, jnp.zeros(0)).loglik)

    return over_persons(value, who, grid)


@compiled(0)
def _value_and_grad(
    model: Model, psi: Array, data: Data, who: Incidence, grid: Grid
) -> tuple[Array, Array]:
    if model.varied or not isinstance(who, Dense):
        return jax.value_and_grad(_value, 1)(model, psi, data, who, grid)

    # by Fisher's identity, and in the precision of the counts
    def table(free: Array) -> Array:
        full = data.restriction.expand(free)
        return log_table(model, cell_parameters(model, full, data, jnp.zeros(0)), data, grid)

    now = posterior(model, data.restriction.expand(psi), data, who, grid, jnp.zeros(0))
    mass = now.weights * who.weight[:, None].astype(now.weights.dtype)
    expected = who.by_row(mass, len(data.row_cell)).astype(psi.dtype)
    value = jnp.sum(who.weight * now.loglik)
    return value, jax.grad(lambda free: jnp.sum(expected * table(free)))(psi)


@compiled(0)
def _person_scores(
    model: Model, psi: Array, data: Data, who: Incidence, grid: Grid
) -> Float[Array, "P N"]:
    """Return the derivative of each person's log-likelihood, a parameter at a time."""

    def loglik(at: Array) -> Array:
        full = data.restriction.expand(at)
        return posterior(model, full, data, who, grid, jnp.zeros(0)).loglik

    return jax.lax.map(lambda along: jax.jvp(loglik, (psi,), (along,))[1], jnp.eye(psi.size))


class Sums(NamedTuple):
    """Sums over persons, at one point.

    Attributes:
        value: log-likelihood.
        louis: score and informations of cells.
        persons: gradient, curvature and complete information that persons' priors add, where
            covariates move them.
    """

    value: Float[Array, ""]
    louis: Louis
    persons: tuple[Float[Array, " P"], Float[Array, "P P"], Float[Array, "P P"]] | None


@compiled(0, 1)
def _newton_terms(
    model: Model, how: Assembly, psi: Array, data: Data, who: Incidence, grid: Grid
) -> tuple[Array, ...]:
    """Return value, gradient, observed and complete information by Louis' identity."""

    def flat_cells(free: Array) -> Array:
        expanded = data.restriction.expand(free)
        return flatten(cell_parameters(model, expanded, data, jnp.zeros(0)))[:, : how.m]

    carry = Direct(jax.jacfwd(flat_cells)(psi))
    sums = over_persons(lambda some: _sums(model, how, psi, carry, data, some, grid), who, grid)

    def linearised(free: Array) -> Array:
        """Parameters of cells, weighted by their scores."""
        return jnp.sum(sums.louis.by_cell * flat_cells(free))

    # location and loading may be products of parameters: the curvature of the map itself
    gradient, bend = jax.grad(linearised)(psi), jax.hessian(linearised)(psi)
    complete = sums.louis.complete
    observed = complete - bend - sums.louis.lost
    if sums.persons is not None:
        moved, bent, known = sums.persons
        gradient, observed, complete = gradient + moved, observed - bent, complete + known
    return sums.value, gradient, (observed + observed.T) / 2, complete


def _sums(
    model: Model, how: Assembly, psi: Array, carry: Direct, data: Data, who: Incidence, grid: Grid
) -> Sums:
    full = data.restriction.expand(psi)
    now = posterior(model, full, data, who, grid, jnp.zeros(0), how.single)
    cells = cell_parameters(model, full, data, jnp.zeros(0))
    value = jnp.sum(who.weight * now.loglik)
    if not model.varied:
        return Sums(value, louis(model, how, cells, carry, data, who, now.weights, grid), None)

    def prior(free: Array) -> Array:
        return person_prior(model, data.restriction.expand(free), data, who)

    moving = jax.jacfwd(prior)(psi)
    sums = louis(model, how, cells, carry, data, who, now.weights, grid, moving)
    expected = now.weights @ node_statistics(grid, moving.shape[1])
    normaliser = functools.partial(partition, dimension=model.dimension)

    def linearised(free: Array) -> Array:
        """Parameters of persons, weighted by their scores."""
        natural = prior(free)
        each = jnp.sum(expected * natural, axis=1) - jax.vmap(normaliser)(natural)
        return jnp.sum(who.weight * each)

    spread = jax.vmap(jax.hessian(normaliser))(prior(psi))
    known = jnp.einsum("n,nsp,nst,ntq->pq", who.weight, moving, spread, moving)
    return Sums(value, sums, (jax.grad(linearised)(psi), jax.hessian(linearised)(psi), known))


@compiled(0)
def _moments(
    model: Model, psi: Array, data: Data, who: Incidence, grid: Grid
) -> tuple[Array, Array]:
    full = data.restriction.expand(psi)

    def moments(some: Incidence) -> tuple[Array, Array]:
        weights = posterior(model, full, data, some, grid, jnp.zeros(0)).weights
        found = posterior_moments(weights, grid)
        return on_common_scale(model, full, data, person_prior(model, full, data, some), *found)

    return each_person(moments, who, grid)
