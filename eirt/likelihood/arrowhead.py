"""The curvature of the joint integrand of all random effects.

    f(x, u) = sum_n log p(y_n | eta_n) - sum_p |x_p - m_p|^2 / 2 - u'u / 2

H = -d2 f is an arrowhead: the persons' blocks H_pp are eliminated one by one, what is left is the
dense Schur complement S of the other effects, and log|H| = sum_p log|H_pp| + log|S|.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, NamedTuple

import jax
import jax.numpy as jnp

from eirt._math import cholesky, cholesky_logdet, cholesky_solve, lower_solve
from eirt.likelihood.ability import precision_of
from eirt.likelihood.cells import Data, cell_parameters, flatten, moves, person_prior
from eirt.likelihood.incidence import Padded, Slots
from eirt.model import CellParameters, Model

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

Information = Literal["observed", "expected", "safe"]
MOST_DENSE = 5e7  # elements of a table of persons x other effects; beyond, only what is not zero


class Effects(NamedTuple):
    """Spherical effects of persons (x) and of everything else (u)."""

    x: Float[Array, "N D"]
    u: Float[Array, " U"]


class Arrow(NamedTuple):
    """The Cholesky factors of H, and what couples each person to other effects.

    Attributes:
        persons: factors of the persons' blocks.
        shares: coupling of each person with the other effects of each response.
        places: where those effects stand; one list where it is that of all persons.
        others: factor of the Schur complement.
    """

    persons: Float[Array, "N D D"]
    shares: Float[Array, "N S D"]
    places: Int[Array, "*N S"]
    others: Float[Array, "U U"]

    def logdet(self) -> Array:
        """Return log|H|."""
        return jnp.sum(cholesky_logdet(self.persons)) + cholesky_logdet(self.others)

    @property
    def _each(self) -> str:
        return "s" if self.places.ndim == 1 else "ns"

    def to_persons(self, u: Float[Array, " U"]) -> Float[Array, "N D"]:
        """Return the coupling times other effects."""
        return jnp.einsum(f"nsd,{self._each}->nd", self.shares, u[self.places])

    def to_others(self, x: Float[Array, "N D"]) -> Float[Array, " U"]:
        """Return the transposed coupling times effects of persons."""
        coupled = jnp.einsum(f"nsd,nd->{self._each}", self.shares, x)
        return jnp.zeros(len(self.others)).at[self.places].add(coupled)

    def solve(self, b: Effects) -> Effects:
        """Solve H e = b."""
        solve = jax.vmap(cholesky_solve)
        first = solve(self.persons, b.x)
        if b.u.size == 0:
            return Effects(first, b.u)
        u = cholesky_solve(self.others, b.u - self.to_others(first))
        return Effects(first - solve(self.persons, self.to_persons(u)), u)


class Setting(NamedTuple):
    """Arrays of the joint integrand."""

    data: Data
    who: Slots


def cells_of(model: Model, psi: Array, u: Float[Array, " U"], setting: Setting) -> CellParameters:
    """Return the parameters of every cell."""
    data = setting.data
    return cell_parameters(model, data.restriction.expand(psi), data, u)


def prior_of(model: Model, psi: Array, setting: Setting) -> Float[Array, "N s"]:
    """Return the natural parameters of each person's prior."""
    full = setting.data.restriction.expand(psi)
    return person_prior(model, full, setting.data, setting.who)


def each_response(cells: CellParameters, setting: Setting) -> tuple[Array, CellParameters]:
    """Return response and cell parameters of each response, persons x slots."""
    data, who = setting.data, setting.who
    y = who.responses(data.row_y)
    return y, jax.tree.map(lambda leaf: who.of_cells(leaf, data.row_cell), cells)


def places_of(who: Slots, data: Data) -> Int[Array, "*N S"]:
    """Return which other effects move each response of a person."""
    if isinstance(who, Padded):
        return who.of_cells(data.cells.places, data.row_cell).reshape(len(who.rows), -1)
    return data.cells.places.ravel()


def _curvature(
    model: Model,
    information: Information,
    cell: CellParameters,
    y: Float[Array, ""],
    x: Float[Array, " D"],
) -> Float[Array, "mD mD"]:
    """Return minus the Hessian of ONE log p in the moved parameters of its cell and in x.

    The expected and the safe one follow the predictor's first derivatives only, and are never
    indefinite.
    """
    flat, m, d = flatten(cell), model.moved, model.dimension

    def split(moving: Array) -> tuple[CellParameters, Array]:
        whole = jnp.concatenate([moving[:m], flat[m:]])
        return CellParameters(whole[0], whole[1 : 1 + d], whole[1 + d :]), moving[m:]

    at = jnp.concatenate([flat[:m], x])
    if information == "observed":
        return -jax.hessian(lambda moving: _log_prob(model, y, *split(moving)))(at)

    def predictor(moving: Array) -> Array:
        parameters, effects = split(moving)
        return parameters.location + parameters.loading @ effects

    slope, eta = jax.grad(predictor)(at), predictor(at)
    if information == "expected":
        weight = model.response.information(eta, cell.aux)
    else:
        second = jax.grad(jax.grad(model.response.log_prob, 1), 1)(y, eta, cell.aux)
        weight = jnp.maximum(-second, 0.0)
    return weight * jnp.outer(slope, slope)


def _log_prob(model: Model, y: Array, cell: CellParameters, x: Array) -> Array:
    return model.log_prob(cell, y, x)


def arrow_at(
    model: Model, information: Information, psi: Array, effects: Effects, setting: Setting
) -> Arrow:
    """Return H at some effects, factored."""
    data, who, m = setting.data, setting.who, model.moved
    y, cells = each_response(cells_of(model, psi, effects.u, setting), setting)
    each = jax.vmap(functools.partial(_curvature, model, information), (0, 0, None))
    curvature = jax.vmap(each)(cells, y, effects.x) * who.present[:, :, None, None]
    prior = jax.vmap(precision_of, (0, None))(prior_of(model, psi, setting), model.dimension)
    persons = jax.vmap(cholesky)(prior + curvature[:, :, m:, m:].sum(axis=1))
    n, n_others = len(persons), effects.u.size
    if n_others == 0:
        shares, none = jnp.zeros((n, 0, model.dimension)), jnp.zeros(0, int)
        return Arrow(persons, shares, none, jnp.zeros((0, 0)))
    moved = moves(model, data.restriction.expand(psi), data, effects.u)
    first = who.of_cells(moved.first, data.row_cell)
    shares = jnp.einsum("njmq,njmd->njqd", first, curvature[:, :, :m, m:])
    shares = shares.reshape(n, -1, model.dimension)
    places, n_cells = places_of(who, data), len(moved.first)
    by_cell = who.by_cell(curvature[:, :, :m, :m], data.row_cell, n_cells)
    own = jnp.einsum("cmq,cmn,cnr->cqr", moved.first, by_cell, moved.first)
    if moved.second is not None and information != "safe":
        slope = jax.vmap(jax.vmap(functools.partial(_slope, model), (0, 0, None)))
        scores = slope(cells, y, effects.x)[:, :, :m] * who.present[:, :, None]
        total = who.by_cell(scores, data.row_cell, n_cells)
        own = own - jnp.einsum("cm,cmqr->cqr", total, moved.second)
    at = data.cells.places
    others = jnp.eye(n_others).at[at[:, :, None], at[:, None, :]].add(own)
    half = jax.vmap(lower_solve)(persons, jnp.swapaxes(shares, 1, 2))
    schur = others - gram(half, places, n_others)
    return Arrow(persons, shares, places, jnp.linalg.cholesky(schur))


def _slope(
    model: Model, cell: CellParameters, y: Float[Array, ""], x: Float[Array, " D"]
) -> Float[Array, " m"]:
    """Return the derivatives of ONE log p in the parameters of its cell."""
    return flatten(jax.grad(_log_prob, 2)(model, y, cell, x))


def gram(half: Float[Array, "N D S"], places: Int[Array, "*N S"], size: int) -> Float[Array, "U U"]:
    """Return the sum over persons of half'half, each person's columns standing at places.

    Where a table of persons x effects would be too large, only what is not zero is formed.
    """
    n, d, width = half.shape
    total = jnp.zeros((size, size))
    if places.ndim == 1:
        flat = half.reshape(n * d, width)
        return total.at[places[:, None], places[None, :]].add(flat.T @ flat)
    if n * d * size <= MOST_DENSE:
        row, column = jnp.arange(n)[:, None, None], jnp.arange(d)[None, :, None]
        table = jnp.zeros((n, d, size)).at[row, column, places[:, None, :]].add(half)
        flat = table.reshape(n * d, size)
        return flat.T @ flat
    blocks = jnp.einsum("nds,ndt->nst", half, half)
    return total.at[places[:, :, None], places[:, None, :]].add(blocks)
