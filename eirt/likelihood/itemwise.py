"""Many items with parameters of their own: sums item by item, an information that stays sparse."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._math import Grid, rounded_up
from eirt.design import Design
from eirt.information import MOST_TOGETHER
from eirt.likelihood.base import Terms
from eirt.likelihood.cells import Data, derivatives_at
from eirt.likelihood.incidence import Padded, incidence
from eirt.likelihood.local import Answered, Local, answered, flat_parameters, localised
from eirt.likelihood.polynomials import enough, orthonormal, polynomials, powers_up_to
from eirt.likelihood.table import posterior
from eirt.model import Cell, CellParameters, Model
from eirt.restrictions import Restriction
from eirt.separable import Separable

if TYPE_CHECKING:
    from jaxtyping import Array, Float

LEFT_OUT = 1e-5  # of the posterior variance of a score, in the information
TOGETHER = 3000  # parameters of whose information there is a matrix, where persons are fewer
SPARED = 100  # products of tables for one of what items have in common, which takes longer
LONG = 1e10  # products
ELEMENTS = 2**19  # items at a time x answers x functions x nodes


class Sums(NamedTuple):
    """The log-likelihood, and what each item adds to its derivatives.

    Attributes:
        value: the log-likelihood.
        score: gradient in the parameters of each item's small model.
        complete: complete information of these; None where it was not asked for.
        loads: what of it is lost, by who answered: sums of squares over their functions.
    """

    value: Float[Array, ""]
    score: Float[Array, "C L"]
    complete: Float[Array, "C L L"] | None
    loads: Float[Array, "C A q L"] | None


class Items(NamedTuple):
    """What is known of each item, arrays alone: its small model's cell, and who answered.

    Attributes:
        cells: the cells of the small models.
        values: the parameters of these.
        answered: who gave which response.
        y: the responses of the cell's rows.
    """

    cells: Cell
    values: Float[Array, "C L"]
    answered: Answered
    y: Float[Array, "C Y"]


@compiled(0, 1, 2)
def item_sums(
    model: Model,
    small: Model,
    how: tuple[int, int],
    psi: Array,
    data: Data,
    who: Padded,
    items: Items,
    grid: Grid,
) -> Sums:
    """Return the log-likelihood and what each item adds to its derivatives.

    Of degree 0, these are first derivatives alone.

    Args:
        model: the model.
        small: the model of one item.
        how: up to which degree polynomials stand for functions of ability, and items at a time.
        psi: all parameters.
        data: the data.
        who: who answered what, by person.
        items: the same, by item.
        grid: the nodes.
    """
    degree, at_once = how
    now = posterior(model, psi, data, who, grid, jnp.zeros(0))
    w = now.weights
    functions = w[:, None]
    if degree:
        v = orthonormal(polynomials(w, grid, powers_up_to(grid.nodes.shape[1], degree)), w)
        functions = jnp.concatenate([functions, w[:, None] * v], axis=1)
    # whoever is nobody
    functions = jnp.concatenate([functions, jnp.zeros_like(functions[:1])])
    one = functools.partial(_of_item, small, functions, grid)
    found = jax.lax.map(one, items, batch_size=at_once)
    return Sums(jnp.sum(who.weight * now.loglik), *found)


def _of_item(
    small: Model, functions: Float[Array, "N q K"], grid: Grid, item: Items
) -> tuple[Float[Array, " L"], Float[Array, "L L"] | None, Float[Array, "A q L"] | None]:
    """Return score, complete information and loads of ONE item."""
    flat = functools.partial(flat_parameters, small, cell=item.cells)
    here, d = flat(item.values), small.dimension
    cell = CellParameters(here[0], here[1 : 1 + d], here[1 + d :])
    m = 1 + d + small.response.n_aux
    at_node = jax.vmap(functools.partial(derivatives_at, small, m), (None, None, 0))
    at_row = jax.vmap(at_node, (None, 0, None))
    gradient, hessian = at_row(cell, item.y, jnp.asarray(grid.nodes))
    own, gave = functions[item.answered.person], item.answered.response
    chosen = (gave[:, None] == jnp.arange(len(item.y))) * 1.0
    expected = chosen.T @ own[:, 0]
    score = jnp.einsum("yk,ykm->m", expected, gradient)
    moving = jax.jacfwd(lambda values: flat(values)[:m])(item.values)
    if functions.shape[1] == 1:
        return score @ moving, None, None
    curvature = -jnp.einsum("yk,ykmn->mn", expected, hessian)
    bend = jax.hessian(lambda values: score @ flat(values)[:m])(item.values)
    loads = jnp.einsum("aqk,ykm->aqym", own[:, 1:], gradient)
    loads = jnp.einsum("aqym,ay->aqm", loads, chosen)
    return score @ moving, moving.T @ curvature @ moving - bend, loads @ moving


class Itemwise:
    """The terms of Newton steps, item by item.

    Args:
        model: the model.
        local: each item's small model.
        design: the data.
        restriction: which parameters are free; none of them tied.
        degree: of the polynomials on which posterior covariances are projected.
        who: who answered what, by person.
        together: whether there is a matrix of all parameters, as persons are more than these.
    """

    def __init__(
        self,
        model: Model,
        local: Local,
        design: Design,
        restriction: Restriction,
        degree: int,
        who: Padded,
        together: bool,
    ):
        self.together = together
        self.model, self.local, self.n_persons = model, local, len(design.persons)
        self.who = jax.device_put(who)
        self.answered = answered(design, len(who.weight))
        row_y = np.append(design.row_y, design.row_y[0])
        self.y = row_y[np.asarray(self.answered.rows)]
        self.free = np.asarray(restriction.source)[local.places]
        self.size = len(restriction.free(np.zeros(len(restriction.source))))
        self.degree = degree

    def value_and_grad(self, full: np.ndarray, data: Data, grid: Grid) -> tuple[float, np.ndarray]:
        """Return the log-likelihood and its gradient in the free parameters."""
        found = self._sums(0, full, data, grid)
        return float(found.value), self._gradient(np.asarray(found.score))

    def terms(self, full: np.ndarray, data: Data, grid: Grid, degree: int | None = None) -> Terms:
        """Return value, gradient, observed and complete information in the free parameters.

        Args:
            full: all parameters.
            data: the data.
            grid: the nodes.
            degree: of the polynomials: 1 is quick, and enough to lead a search.
        """
        found = self._sums(degree or self.degree, full, data, grid)
        score, complete, loads = (np.asarray(x) for x in found[1:])
        moves = (self.free >= 0) * 1.0
        loads = loads * moves[:, None, None, :]
        complete = moves[:, :, None] * complete * moves[:, None, :]
        value, gradient = float(found.value), self._gradient(score)
        if self.together:
            safe = self._joined(complete)
            return Terms(value, gradient, safe - self._lost(loads), safe)
        own = list(self.local.own)
        shared = [k for k in self.local.shared if self.free[0, k] >= 0]
        information = Separable(
            self.size,
            self.free[:, own],
            self.free[0, shared],
            complete[:, own][:, :, own],
            complete[:, own][:, :, shared],
            complete[:, shared][:, :, shared].sum(axis=0),
            np.asarray(self.answered.person),
            loads[..., own],
            self._by_person(loads[..., shared]),
        )
        return Terms(value, gradient, information, information.complete)

    def _joined(self, blocks: Float[np.ndarray, "C L L"]) -> Float[np.ndarray, "F F"]:
        """Return the matrix of all free parameters of what each item's have."""
        matrix = np.zeros((self.size, self.size))
        np.add.at(matrix, (self.free[:, :, None], self.free[:, None, :]), blocks)
        return matrix

    def _lost(self, loads: Float[np.ndarray, "C A q L"]) -> Float[np.ndarray, "F F"]:
        """Return the sum of squares of loads: of few of all pairs of items for each person."""
        import scipy.sparse

        functions, person = loads.shape[2], np.asarray(self.answered.person)
        row = person[:, :, None] * functions + np.arange(functions)
        there = np.broadcast_to((person < self.n_persons)[:, :, None, None], loads.shape)
        row = np.broadcast_to(row[..., None], loads.shape)[there]
        column = np.broadcast_to(self.free[:, None, None, :], loads.shape)[there]
        shape = functions * self.n_persons, self.size
        by_person = scipy.sparse.csr_array((loads[there], (row, column % self.size)), shape)
        return (by_person.T @ by_person).toarray()

    def cut(self, psi: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Return the step, that of each item cut to where it doubles a parameter, or adds one.

        Of thousands of items some are far from where their likelihood is a parabola: the others
        need not wait for them.
        """
        free = self.free[:, list(self.local.own)]
        moves = np.where(free < 0, 0.0, np.abs(step[free]) / np.maximum(np.abs(psi[free]), 1.0))
        most = np.ones(len(psi))
        most[free[free >= 0]] = np.repeat(
            1.0 / np.maximum(moves.max(axis=1), 1.0), np.sum(free >= 0, axis=1)
        )
        return most * step

    def _sums(self, degree: int, full: np.ndarray, data: Data, grid: Grid) -> Sums:
        local = self.local
        items = Items(local.cells, full[local.places], self.answered, self.y)
        functions = 1 + (len(powers_up_to(self.model.dimension, degree)) if degree else 0)
        width = self.answered.person.shape[1] * functions * len(grid.log_weights)
        how = degree, int(np.clip(ELEMENTS // width, 1, 256))
        return item_sums(self.model, local.model, how, full, data, self.who, items, grid)

    def _gradient(self, score: Float[np.ndarray, "C L"]) -> Float[np.ndarray, " F"]:
        return np.bincount(self.free.ravel() + 1, score.ravel(), self.size + 1)[1:]

    def _by_person(self, loads: Float[np.ndarray, "C A q s"]) -> Float[np.ndarray, "N q s"]:
        """Sum over the items that each person answered."""
        person = np.asarray(self.answered.person)
        total = np.zeros((self.n_persons, *loads.shape[2:]))
        there = person < self.n_persons
        if loads.shape[-1]:
            np.add.at(total, person[there], loads[there])
        return total


def itemwise(model: Model, design: Design, restriction: Restriction) -> Itemwise | None:
    """Return how to sum item by item, where items are so many that this is the way.

    There items have too many parameters for a matrix of them, and persons are fewer; or they are
    answered by few of many persons, so that most products of tables would be of zeros.
    """
    size = sum(model.sizes)
    degree = enough(design.n_obs / design.n_persons, model.dimension, LEFT_OUT)
    rows = len(powers_up_to(model.dimension, degree)) * design.n_persons
    together, products = rows >= size, float(rows) * size**2
    if together and (products < LONG or size > MOST_TOGETHER):
        return None
    if not together and size <= TOGETHER:
        return None
    source = np.asarray(restriction.source)
    tied = len(np.unique(source[source >= 0])) < np.sum(source >= 0)
    local = None if tied or design.devices is not None else localised(model, design)
    if local is None:
        return None
    moved = np.asarray(design.observations.lengths, float) * local.places.shape[1]
    if together and products < SPARED * rows * np.mean(moved**2):
        return None
    who = incidence(design, dense=False, size=rounded_up(design.n_persons))
    assert isinstance(who, Padded)
    return Itemwise(model, local, design, restriction, degree, who, together)
