"""Every item as a small model of its own: which parameters move it, and how."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np

from eirt._math import on_host
from eirt.design import Design
from eirt.indicators import Indicators
from eirt.likelihood.cells import flatten
from eirt.likelihood.incidence import grouped
from eirt.model import Cell, Model, cell_data

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

MOST_SHARED = 100  # parameters that all items have in common


class Local(NamedTuple):
    """The parameters of each cell's own small model.

    Attributes:
        model: the small model, of one item.
        cells: the cells as it reads them.
        places: where its parameters stand among all.
        own: which of them (the same for every cell) no other cell has.
    """

    model: Model
    cells: Cell
    places: Int[np.ndarray, "C L"]
    own: tuple[int, ...]

    @property
    def shared(self) -> tuple[int, ...]:
        """Which parameters all cells have."""
        return tuple(k for k in range(self.places.shape[1]) if k not in self.own)


class Answered(NamedTuple):
    """Who gave which response, by cell.

    Attributes:
        person: who answered, in ascending order, and then nobody.
        response: which of the cell's rows it was.
        rows: rows of the cell, padded with the number of rows.
    """

    person: Int[Array, "C A"]
    response: Int[Array, "C A"]
    rows: Int[Array, "C Y"]


def localised(model: Model, design: Design) -> Local | None:
    """Return the cells as small models; None where they have no parameters for themselves.

    That needs a cell per item, effects of persons alone, and few parameters that cells share.
    """
    one_each = len(design.x) == len(design.items)
    if model.varied or not one_each or any(not effect.local for effect in model.effects):
        return None
    cells, n_cells = cell_data(design), len(design.x)
    sizes = iter(np.cumsum([0, *model.sizes]).tolist())
    own: list[int] = []
    columns: list[np.ndarray] = []

    def placed(x: np.ndarray | Indicators, start: int) -> np.ndarray:
        """Note where the coefficients of x stand, and return what the small model reads."""
        first = len(columns)
        if isinstance(x, Indicators):
            columns.append(start + np.asarray(x.place))
            own.append(first)
            return np.ones((n_cells, 1))
        columns.extend(np.full(n_cells, start + j) for j in range(x.shape[1]))
        return x

    x = placed(design.x, next(sizes))
    for effect in model.effects:
        start = next(sizes)
        columns.extend(np.full(n_cells, start + j) for j in range(effect.covariance.n_theta))
    parts = tuple(placed(part.x, next(sizes)) for part in design.parts)
    start, n_aux = next(sizes), model.response.n_aux
    for k in range(n_aux):
        if model.aux_by_item:
            own.append(len(columns))
        step = n_aux * design.cell_item if model.aux_by_item else np.zeros(n_cells, int)
        columns.append(start + step + k)
    places = np.stack(columns, axis=1)
    alone = all(len(np.unique(places[:, k])) == n_cells for k in own)
    if not own or not alone or places.shape[1] - len(own) > MOST_SHARED:
        return None
    small = replace(
        model,
        n_fixed=x.shape[1],
        parts=tuple(
            size._replace(size=part.shape[1]) for size, part in zip(model.parts, parts, strict=True)
        ),
        n_items=1,
    )
    number = np.zeros(n_cells, np.int32)
    small_cells = on_host(Cell, x, parts, cells.z, number, cells.places, cells.given)
    return Local(small, small_cells, places, tuple(own))


def answered(design: Design, nobody: int) -> Answered:
    """Return who gave which response, by cell.

    Args:
        design: the data.
        nobody: the number that stands for nobody.
    """
    rows = grouped(design.row_cell, len(design.x))
    within = np.zeros(len(design.row_cell) + 1, np.int32)
    within[rows] = np.arange(rows.shape[1])
    order = np.argsort(design.obs_person, kind="stable")
    table = grouped(design.obs_cell[order], len(design.x))
    person = np.append(design.obs_person[order], nobody).astype(np.int32)
    response = np.append(within[design.obs_row[order]], 0)
    return on_host(Answered, person[table], response[table], rows)


def flat_parameters(small: Model, values: Float[Array, " L"], cell: Cell) -> Float[Array, " m"]:
    """Return location, loading and extra parameters of ONE cell from those of its small model."""
    return flatten(small.cell_parameters(small.unpack(values), cell, jnp.zeros(0)))
