"""Who answered what, sorted by testlet: which dimensions of a person meet in a cell, and which not.

A dimension is general if it meets others; the rest are specific, each with cells of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np

from eirt._math import on_host
from eirt.design import Design
from eirt.likelihood.incidence import grouped, person_data
from eirt.model import Model, Person

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


class Split(NamedTuple):
    """Which local dimensions are general, which specific, and whose each cell is.

    Attributes:
        general: dimensions that meet others.
        specific: dimensions no two of which meet in a cell.
        own: the place in `specific` of each cell's dimension; their number where it has none.
    """

    general: tuple[int, ...]
    specific: tuple[int, ...]
    own: Int[np.ndarray, " C"]


class ByTestlet(NamedTuple):
    """Who answered what, by testlet: the cells of one specific dimension, or of none.

    Attributes:
        counts: how often a person gave each row's response.
        rows: rows of each cell of each testlet, anything where all counts are zero.
        cells: cells of each testlet, padded with C.
        dimensions: general dimensions of each cell and its own; D where it has none.
        order: where each dimension stands among (general, specific).
        weight: 1 for each person.
        person: covariates of each person.
    """

    counts: Float[Array, "N S J Y"]
    rows: Int[Array, "S J Y"]
    cells: Int[Array, "S J"]
    dimensions: Int[Array, "C d"]
    order: Int[Array, " D"]
    weight: Float[Array, " N"]
    person: Person


def split(model: Model, design: Design) -> Split:
    """Find general dimensions, as few as possible, such that no two others meet in a cell."""
    parameters = model.unpack(jnp.linspace(0.3, 0.5, sum(model.sizes)))
    z = np.concatenate([term.z for term in design.terms if term.local], axis=1)
    loads = (z != 0) @ (np.asarray(model.local_factor(parameters)) != 0)
    specific, general = list(range(loads.shape[1])), []
    while np.any(loads[:, specific].sum(axis=1) > 1):
        busiest = specific[int(np.argmax(loads[:, specific].sum(axis=0)))]
        specific.remove(busiest)
        general.append(busiest)
    some = loads[:, specific].any(axis=1)
    own = np.where(some, np.argmax(loads[:, specific], axis=1), len(specific))
    return Split(tuple(sorted(general)), tuple(specific), own)


def by_testlet(model: Model, design: Design) -> ByTestlet:
    """Sort the responses by testlet."""
    found = split(model, design)
    n_cells, n_testlets = len(design.x), int(found.own.max()) + 1
    cells = grouped(found.own, n_testlets)
    of_cell = grouped(design.row_cell, n_cells)
    padded = np.concatenate([of_cell, np.full_like(of_cell[:1], len(design.row_cell))])
    rows = padded[cells]
    counts = np.zeros((len(design.persons), len(design.row_cell) + 1))
    np.add.at(counts, (design.obs_person, design.obs_row), 1.0)
    dimensions = np.array([*found.specific, model.dimension])[found.own]
    general = np.tile(np.array(found.general, int), (n_cells, 1))
    return on_host(
        ByTestlet,
        counts[:, rows],
        np.minimum(rows, len(design.row_cell) - 1),
        cells,
        np.concatenate([general, dimensions[:, None]], axis=1),
        np.argsort([*found.general, *found.specific]),
        np.ones(len(design.persons)),
        person_data(design),
    )
