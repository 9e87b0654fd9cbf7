"""Persons by the items that they answered and the scores that they reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eirt.design import Design
from eirt.errors import DataError, listing
from eirt.extras import categories
from eirt.likelihood.incidence import grouped
from eirt.model import Model

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int

BAND = 256  # scores that are summed at one ability: beyond, chances underflow


class Booklets(NamedTuple):
    """Persons by the cells that they answered: all that is needed of them.

    Long tests are cut into bands of scores.

    Attributes:
        cells: cells of each booklet, padded with the number of cells.
        counts: how many persons have each score.
        observed: responses in each category above the lowest, by cell.
        of_person: booklet of each person who tells something.
        score: their scores.
    """

    cells: Int[np.ndarray | Array, "B n"]
    counts: Float[np.ndarray | Array, "B S"]
    observed: Float[np.ndarray | Array, "C c"]
    of_person: Int[np.ndarray | Array, " T"]
    score: Int[np.ndarray | Array, " T"]


def informative(model: Model, design: Design) -> Bool[np.ndarray, " N"]:
    """Return which persons have neither the lowest nor the highest score that they could have.

    Raises:
        DataError: if there are none.
    """
    most = highest(model, design)[design.obs_cell]
    score = np.bincount(design.obs_person, design.y, minlength=len(design.persons))
    top = np.bincount(design.obs_person, most, minlength=len(design.persons))
    found = (score > 0) & (score < top)
    if not found.any():
        raise DataError(
            f"Every person has the lowest or the highest score of {design.response!r}: given "
            "these, responses say nothing about items."
        )
    return found


def highest(model: Model, design: Design) -> Int[np.ndarray, " C"]:
    """Return the highest category of each cell."""
    sizes = np.array(categories(design, model.aux_by_item))
    return (sizes[design.cell_item] if model.aux_by_item else np.full(len(design.x), sizes[0])) - 1


def booklets(model: Model, design: Design) -> Booklets:
    """Group persons by what they answered, and count scores."""
    telling = informative(model, design)
    n_cells, steps = len(design.x), design.n_categories - 1
    score = np.bincount(design.obs_person, design.y).astype(int)[telling]
    answered = grouped(design.obs_person, len(design.persons))[telling]
    answered = np.sort(np.append(design.obs_cell, n_cells)[answered], axis=1)
    keys = np.column_stack([answered, score // BAND])
    every, booklet = np.unique(keys, axis=0, return_inverse=True)
    cells = every[:, :-1].astype(np.int32)
    counts = np.zeros((len(every), cells.shape[1] * steps + 1))
    np.add.at(counts, (booklet.ravel(), score), 1.0)
    observed = np.zeros((n_cells, steps + 1))
    some = telling[design.obs_person]
    np.add.at(observed, (design.obs_cell[some], design.y[some].astype(int)), 1.0)
    return Booklets(cells, counts, observed[:, 1:], booklet.ravel(), score)


def linked_cells(model: Model, design: Design) -> Int[np.ndarray, " C"]:
    """Return numbers that cells share where persons with telling scores link them."""
    import scipy.sparse

    some = informative(model, design)[design.obs_person]
    places = design.obs_person[some], design.obs_cell[some]
    shape = (len(design.persons), len(design.x))
    answered = scipy.sparse.coo_array((np.ones(some.sum()), places), shape).tocsr()
    return scipy.sparse.csgraph.connected_components(answered.T @ answered, directed=False)[1]


def named_sets(design: Design, linked: np.ndarray) -> str:
    """Name the items of sets that nobody links."""
    names = np.asarray(design.items if design.item else np.arange(len(linked)), object)
    items = names[design.cell_item] if design.item else names
    sets = [dict.fromkeys(items[linked == k]) for k in range(min(linked.max() + 1, 3))]
    return " | ".join(listing(some, 3) for some in sets)
