"""Designs made from a design: some of its persons or items, or other responses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from eirt.cells import rows_of
from eirt.design import Design
from eirt.observations import Listed

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def with_responses(design: Design, y: Float[np.ndarray, " n"]) -> Design:
    """Return the design with other responses, in the order of its own."""
    row_cell, row_y, obs_row = rows_of(design.obs_cell, y)
    answers = Listed(len(design.persons), len(row_y), design.obs_person, obs_row)
    return replace(design, row_cell=row_cell, row_y=row_y, observations=answers)


def in_order(design: Design, by_item: bool) -> Int[np.ndarray, " n"]:
    """Return the responses ordered by person, item and value, however the rows came.

    Where one of two fits does not know the items, equal responses of a person stay as they came.
    """
    persons = np.argsort(np.argsort(design.persons.astype(str)))[design.obs_person]
    if not by_item:
        return np.lexsort((design.y, persons))
    items = np.argsort(np.argsort(design.items.astype(str)))[design.obs_item]
    return np.lexsort((design.y, items, persons))


def at_cells(design: Design, cells: Int[np.ndarray, " C"]) -> Design:
    """Return the design with these of its cells, or some several times; rows are left to say."""
    return replace(
        design,
        x=design.x[cells],
        terms=tuple(term.at(cells) for term in design.terms),
        parts=tuple(part.at(cells) for part in design.parts),
        cell_item=design.cell_item[cells],
        cells=design.cells.iloc[cells].reset_index(drop=True),
        given=design.given[cells],
    )


def of_persons(design: Design, chosen: Int[np.ndarray, " N"], keep_cells: bool = False) -> Design:
    """Return the design of some persons, by their numbers.

    Who is chosen several times becomes several persons, and all are numbered anew.

    Args:
        design: the design.
        chosen: the persons.
        keep_cells: whether cells that nobody is left in stay, where they say nothing of what
            parameters there are: designs of as many persons then share compiled functions.
    """
    size = np.bincount(design.obs_person, minlength=len(design.persons))
    order = np.argsort(design.obs_person, kind="stable")
    own, first = size[chosen], np.cumsum(size) - size
    within = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
    obs = order[np.repeat(first[chosen], own) + within]
    labels = design.persons[chosen]
    if len(np.unique(chosen)) < len(chosen):
        labels = np.arange(len(chosen)).astype(object)
    terms = tuple(replace(t, levels=labels) if t.local else t for t in design.terms)
    parts = tuple(replace(p, x=p.x[chosen]) if p.of_persons else p for p in design.parts)
    here = replace(
        design,
        persons=labels,
        person_x=design.person_x[chosen],
        terms=terms,
        parts=parts,
    )
    person, row = np.repeat(np.arange(len(chosen)), own), design.obs_row[obs]
    if keep_cells and _same_parameters(here, row):
        answers = Listed(len(chosen), len(design.row_y), person, row)
        return replace(here, observations=answers)
    return _pruned(here, person, row)


def _same_parameters(design: Design, row: np.ndarray) -> bool:
    """Return whether these rows have all that parameters depend on: columns, items' categories."""
    rows = np.unique(row)
    moves = np.any(design.x[design.row_cell[rows]] != 0, axis=0)
    moves[design.person_columns] = True
    if not design.labels:
        return bool(moves.all())
    categories = design.row_item * len(design.labels) + design.row_y.astype(int)
    return bool(moves.all()) and len(np.unique(categories)) == len(np.unique(categories[rows]))


def of_items(design: Design, kept: Bool[np.ndarray, " I"]) -> Design:
    """Return the design of some items, and of the persons who answered any of them."""
    obs = kept[design.obs_item]
    design = of_persons(design, np.unique(design.obs_person[obs]))
    obs = kept[design.obs_item]
    here = _pruned(design, design.obs_person[obs], design.obs_row[obs])
    return replace(here, items=design.items[kept], cell_item=(np.cumsum(kept) - 1)[here.cell_item])


def _pruned(design: Design, person: np.ndarray, row: np.ndarray) -> Design:
    """Return a design of these responses, without cells that nobody answers.

    Columns that are zero in all others go, too.
    """
    rows, obs_row = np.unique(row, return_inverse=True)
    cells, row_cell = np.unique(design.row_cell[rows], return_inverse=True)
    here = at_cells(design, cells)
    moves = np.any(here.x != 0, axis=0)
    moves[design.person_columns] = True
    return replace(
        here,
        x=here.x[:, moves],
        x_names=tuple(name for name, kept in zip(design.x_names, moves, strict=True) if kept),
        person_columns=(np.cumsum(moves) - 1)[design.person_columns],
        row_cell=row_cell,
        row_y=design.row_y[rows],
        observations=Listed(len(design.persons), len(rows), person, obs_row),
    )
