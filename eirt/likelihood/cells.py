"""Parameters of every cell and person, and how they move: model functions are vmapped here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp

from eirt._math import Grid, lower_solve, on_host
from eirt.design import Design
from eirt.likelihood.ability import mean_of, natural
from eirt.likelihood.incidence import centre
from eirt.model import Cell, CellParameters, Model, Params, Person, Standing, cell_data
from eirt.restrictions import Restriction

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


class Data(NamedTuple):
    """The arrays of a design: cells, rows, and which parameters are free."""

    cells: Cell
    row_cell: Int[Array, " S"]
    row_y: Float[Array, " S"]
    person_columns: Int[Array, " r"]
    centre: Person
    restriction: Restriction

    @classmethod
    def of(cls, design: Design, restriction: Restriction) -> Self:
        """Collect the arrays of a design."""
        return on_host(
            cls,
            cell_data(design),
            design.row_cell,
            design.row_y,
            design.person_columns,
            centre(design),
            restriction,
        )


class People(Protocol):
    """Anything that holds the covariates and weights of persons."""

    @property
    def weight(self) -> Float[Array, " N"]:
        """Weight of each person."""
        ...

    @property
    def person(self) -> Person:
        """Covariates of each person."""
        ...


def _standing(model: Model, params: Params, data: Data, person: Person) -> Standing:
    return model.standing(params, params.beta[data.person_columns], person)


def _one_cell(
    model: Model, full: Array, data: Data
) -> Callable[[Cell, Float[Array, " q"]], CellParameters]:
    """Return the parameters of ONE cell as a function of its global effects.

    What covariates predict of persons on average stays in the cells, so that nodes surround
    everyone.
    """
    params = model.unpack(full)
    if not model.varied:
        return functools.partial(model.cell_parameters, params)
    mean, scale = _centre(model, params, data)

    def cell_parameters(cell: Cell, own: Array) -> CellParameters:
        found = model.cell_parameters(params, cell, own)
        return found._replace(
            location=found.location + found.loading @ mean, loading=found.loading @ scale
        )

    return cell_parameters


def _centre(
    model: Model, params: Params, data: Data
) -> tuple[Float[Array, " D"], Float[Array, "D D"]]:
    """Return mean and scale of the spherical effects that average covariates predict."""
    centre, factor = _standing(model, params, data, data.centre), model.local_factor(params)
    solve = functools.partial(lower_solve, factor)
    scale = jnp.eye(model.dimension)
    if model.spreads:
        scale = solve(jnp.exp(centre.log_sd)[:, None] * factor)
    return solve(centre.mean), scale


def cell_parameters(model: Model, full: Array, data: Data, u: Float[Array, " U"]) -> CellParameters:
    """Return the parameters of every cell (this is where cells are vmapped)."""
    return jax.vmap(_one_cell(model, full, data))(data.cells, _own(data, u))


def _own(data: Data, u: Float[Array, " U"]) -> Float[Array, "C q"]:
    return u[data.cells.places] if u.size else jnp.zeros(data.cells.places.shape)


def flatten(cells: CellParameters) -> Float[Array, "... m"]:
    """Return the parameters of cells side by side: location, loading, extra parameters."""
    return jnp.concatenate([cells.location[..., None], cells.loading, cells.aux], axis=-1)


class Moves(NamedTuple):
    """Derivatives of the moved parameters of each cell in its own global effects.

    Attributes:
        first: Jacobian.
        second: Hessians; None where those parameters are linear in the effects.
    """

    first: Float[Array, "C m q"]
    second: Float[Array, "C m q q"] | None


def moves(model: Model, full: Array, data: Data, u: Float[Array, " U"]) -> Moves:
    """Return how global effects move cells."""
    one, m = _one_cell(model, full, data), model.moved

    def lead(cell: Cell, own: Array) -> Array:
        return flatten(one(cell, own))[:m]

    own = _own(data, u)
    first = jax.vmap(jax.jacfwd(lead, 1))(data.cells, own)
    # the location alone is linear in the effects
    return Moves(first, jax.vmap(jax.hessian(lead, 1))(data.cells, own) if m > 1 else None)


def person_prior(model: Model, full: Array, data: Data, who: People) -> Float[Array, "N s"]:
    """Return the natural parameters of each person's prior (this is where persons are vmapped)."""
    if not model.varied:
        return jnp.zeros((len(who.weight), model.dimension))
    params = model.unpack(full)
    factor, centre = model.local_factor(params), _standing(model, params, data, data.centre)

    def one(person: Person) -> Array:
        return natural(factor, _standing(model, params, data, person), centre, model.spreads)

    return jax.vmap(one)(who.person)


def on_common_scale(
    model: Model,
    full: Array,
    data: Data,
    prior: Float[Array, "N s"],
    mean: Array,
    covariance: Array,
) -> tuple[Float[Array, "N D"], Float[Array, "N D D"]]:
    """Return moments as deviations from what covariates predict, in units of Lambda."""
    mean = mean - jax.vmap(mean_of, (0, None))(prior, model.dimension)
    if not model.spreads:
        return mean, covariance
    _, scale = _centre(model, model.unpack(full), data)
    return mean @ scale.T, jnp.einsum("ij,njk,lk->nil", scale, covariance, scale)


def row_parameters(cells: CellParameters, data: Data) -> CellParameters:
    """Return the parameters of each row's cell."""
    return jax.tree.map(lambda leaf: leaf[data.row_cell], cells)


class RowDerivatives(NamedTuple):
    """Derivatives of log p(row | node) in the m leading parameters of the row's cell."""

    gradient: Float[Array, "S K m"]
    hessian: Float[Array, "S K m m"]


def row_derivatives(
    model: Model, rows: CellParameters, y: Float[Array, " S"], grid: Grid, m: int
) -> RowDerivatives:
    """Differentiate log p(row | node) in the first m parameters of the row's cell.

    With m = 1 that is the location alone: all that global effects without slopes move.
    """
    at_node = jax.vmap(functools.partial(derivatives_at, model, m), (None, None, 0))
    return RowDerivatives(*jax.vmap(at_node, (0, 0, None))(rows, y, jnp.asarray(grid.nodes)))


def derivatives_at(
    model: Model, m: int, cell: CellParameters, y: Float[Array, ""], x: Float[Array, " D"]
) -> tuple[Float[Array, " m"], Float[Array, "m m"]]:
    """Return gradient and Hessian of ONE log p in the first m parameters of its cell."""
    flat, d = flatten(cell), len(cell.loading)

    def log_prob(lead: Array) -> Array:
        whole = jnp.concatenate([lead, flat[m:]])
        return model.log_prob(CellParameters(whole[0], whole[1 : 1 + d], whole[1 + d :]), y, x)

    gradient = jax.grad(log_prob)
    return gradient(flat[:m]), jax.jacfwd(gradient)(flat[:m])
