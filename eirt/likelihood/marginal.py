"""The marginal log-likelihood on shared nodes, its derivatives, posteriors: sums over persons."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from eirt._compiled import compiled
from eirt._math import Grid
from eirt.likelihood.ability import node_statistics, partition
from eirt.likelihood.canonical import Louis
from eirt.likelihood.carry import Direct, Local, Uncarried
from eirt.likelihood.cells import Data, cell_parameters, flatten, on_common_scale, person_prior
from eirt.likelihood.incidence import Dense
from eirt.likelihood.persons import Spread, each_person, over_persons, stored
from eirt.likelihood.sufficient import Canonical
from eirt.likelihood.table import (
    Assembly,
    Incidence,
    log_table,
    louis,
    posterior,
    posterior_moments,
)
from eirt.model import Model

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

Persons = Incidence | Spread


@compiled(0)
def value(model: Model, psi: Array, data: Data, who: Persons, grid: Grid) -> Array:
    """Return the log-likelihood."""
    return over_persons(lambda some: _value(model, psi, data, some, grid), who, grid)


def _value(model: Model, psi: Array, data: Data, who: Incidence, grid: Grid) -> Array:
    full = data.restriction.expand(psi)
    return jnp.sum(who.weight * posterior(model, full, data, who, grid, jnp.zeros(0)).loglik)


@compiled(0)
def value_and_grad(
    model: Model, psi: Array, data: Data, who: Persons, grid: Grid
) -> tuple[Array, Array]:
    """Return the log-likelihood and its gradient."""
    if model.varied or not isinstance(stored(who), Dense):
        differentiated = jax.value_and_grad(_value, 1)
        return over_persons(lambda some: differentiated(model, psi, data, some, grid), who, grid)

    # by Fisher's identity, and in the precision of the counts
    def table(free: Array) -> Array:
        full = data.restriction.expand(free)
        return log_table(model, cell_parameters(model, full, data, jnp.zeros(0)), data, grid)

    def counted(some: Dense) -> tuple[Array, Array]:
        now = posterior(model, data.restriction.expand(psi), data, some, grid, jnp.zeros(0))
        mass = now.weights * some.weight[:, None].astype(now.weights.dtype)
        expected = some.by_row(mass, len(data.row_cell)).astype(psi.dtype)
        return jnp.sum(some.weight * now.loglik, dtype=float), expected

    total, expected = over_persons(counted, who, grid)
    return total, jax.grad(lambda free: jnp.sum(expected * table(free)))(psi)


@compiled(0)
def person_scores(
    model: Model, psi: Array, data: Data, who: Persons, grid: Grid
) -> Float[Array, "N P"]:
    """Return the derivative of each person's log-likelihood, a parameter at a time."""

    def scores(some: Incidence) -> Array:
        def loglik(at: Array) -> Array:
            full = data.restriction.expand(at)
            return posterior(model, full, data, some, grid, jnp.zeros(0)).loglik

        each = jax.lax.map(lambda along: jax.jvp(loglik, (psi,), (along,))[1], jnp.eye(psi.size))
        return each.T

    return each_person(scores, who, grid)


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


def _newton_terms(
    model: Model,
    how: Assembly,
    psi: Array,
    data: Data,
    who: Persons,
    grid: Grid,
    places: Int[Array, "C q"] | None,
) -> tuple[Array, ...]:
    """Return value, gradient, observed and complete information by Louis' identity.

    Args:
        model: the model.
        how: how to sum.
        psi: free parameters.
        data: the data.
        who: the persons.
        grid: the nodes.
        places: those that move each cell, where they are known to be few of many.
    """

    def flat_cells(free: Array) -> Array:
        expanded = data.restriction.expand(free)
        return flatten(cell_parameters(model, expanded, data, jnp.zeros(0)))[:, : how.m]

    carry = Direct(jax.jacfwd(flat_cells)(psi))
    # what blocks of persons tell of cells is summed before it is carried, where it can be
    later = isinstance(stored(who), Canonical) and not model.varied
    within = Uncarried() if later else carry
    sums = over_persons(lambda some: _sums(model, how, psi, within, data, some, grid), who, grid)
    complete, lost = sums.louis.complete, sums.louis.lost
    if later:
        few: Direct | Local = carry
        if places is not None:
            own = jnp.take_along_axis(carry.jacobian, places[:, None, :], axis=2)
            few = Local(own, places, carry.size)
        complete, lost = few.blocks(complete), few.pairs(lost)

    def linearised(free: Array) -> Array:
        """Parameters of cells, weighted by their scores."""
        return jnp.sum(sums.louis.by_cell * flat_cells(free))

    # location and loading may be products of parameters: the curvature of the map itself
    gradient, bend = jax.grad(linearised)(psi), jax.hessian(linearised)(psi)
    observed = complete - bend - lost
    if sums.persons is not None:
        moved, bent, known = sums.persons
        gradient, observed, complete = gradient + moved, observed - bent, complete + known
    return sums.value, gradient, (observed + observed.T) / 2, complete


newton_terms = compiled(0, 1)(_newton_terms)
newton_terms_of_few = compiled(0, 1, once=True)(_newton_terms)


def _sums(
    model: Model,
    how: Assembly,
    psi: Array,
    carry: Direct | Uncarried,
    data: Data,
    who: Incidence,
    grid: Grid,
) -> Sums:
    full = data.restriction.expand(psi)
    now = posterior(model, full, data, who, grid, jnp.zeros(0), how.single)
    cells = cell_parameters(model, full, data, jnp.zeros(0))
    value = jnp.sum(who.weight * now.loglik, dtype=float)
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
def moments(model: Model, psi: Array, data: Data, who: Persons, grid: Grid) -> tuple[Array, Array]:
    """Return posterior means and covariances of the effects of each person."""
    full = data.restriction.expand(psi)

    def of(some: Incidence) -> tuple[Array, Array]:
        weights = posterior(model, full, data, some, grid, jnp.zeros(0)).weights
        found = posterior_moments(weights, grid)
        return on_common_scale(model, full, data, person_prior(model, full, data, some), *found)

    return each_person(of, who, grid)
