"""Which rows of the data are one cell: what tells cells apart, and what belongs to persons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt.factors import combine, constant_within, first_of, hashed
from eirt.formula import summands, variables
from eirt.indicators import Indicators
from eirt.matrices import clean_name
from eirt.parts import Part
from eirt.terms import Explained, Term, build_terms, place_of, term_columns, whole

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Int


def cell_columns(
    frame: pd.DataFrame, asked: Sequence[Explained], person: tuple[str, ...], item: str | None
) -> list[str]:
    """Return the columns whose combinations can differ in the predictors of cells."""
    key = [item] if item and item not in person else []
    for explained in asked:
        if _of_cells(explained):
            key += variables(explained.formula.fixed)
        for term in explained.formula.random:
            key += term_columns(term, place_of(frame, term, person))
    return list(dict.fromkeys(key))


def about_persons(
    frame: pd.DataFrame, asked: Sequence[Explained], person: tuple[str, ...], obs_person: np.ndarray
) -> set[str]:
    """Return the columns that describe persons, and stand in terms of easiness for themselves."""
    if not person:
        return set()
    formula, *rest = (explained.formula for explained in asked if _of_cells(explained))
    elsewhere = {name for other in rest for name in variables(other.fixed)}
    for explained in asked:
        for term in explained.formula.random:
            elsewhere |= {*variables(term.effects), *term.group}
    pieces = [set(variables(piece)) for _, piece in summands(formula.fixed)]
    found = set().union(*pieces) - elsewhere
    found = {name for name in found if constant_within(hashed(frame[name]), obs_person)}
    return {name for name in found if all(piece <= found for piece in pieces if name in piece)}


def _of_cells(explained: Explained) -> bool:
    return explained.parameter not in ("ability", "spread")


def cells_by(
    frame: pd.DataFrame, asked: Sequence[Explained], person: tuple[str, ...], key: list[str]
) -> tuple[np.ndarray, np.ndarray, tuple[Term, ...]]:
    """Return the cell of each row by some columns, a row of each, and the terms there."""
    cell = combine(frame, key)
    first = first_of(cell)
    return cell, first, build_terms(frame, first, asked, person)


def columns_of(
    names: set[str], spec: Any, x_names: tuple[str, ...], x: np.ndarray
) -> Int[np.ndarray, " r"]:
    """Return the columns of a matrix that some variables make, and that vary."""
    made = {
        place for v, places in spec.variable_indices.items() if str(v) in names for place in places
    }
    made_names = {clean_name(str(spec.column_names[place])) for place in made}
    varying = np.ptp(x, axis=0) > 0
    return np.array([j for j, name in enumerate(x_names) if name in made_names and varying[j]], int)


def person_columns_of(
    x: np.ndarray | Indicators, cell: np.ndarray, person: np.ndarray, terms: tuple[Term, ...]
) -> np.ndarray:
    """Return the columns that describe persons, where effects of persons can take them over."""
    import pandas as pd

    if not whole([term for term in terms if term.local]):
        return np.zeros(0, int)
    if isinstance(x, Indicators):
        return np.arange(x.size if constant_within(x.place[cell], person) else 0)
    columns = np.flatnonzero(np.ptp(x, axis=0) > 0)
    # most columns describe items: a few responses show it
    for some in (slice(0, 1000), slice(None)):
        own, rows = pd.factorize(person[some])[0], cell[some]
        columns = np.array([j for j in columns if constant_within(x[rows, j], own)], int)
    return columns


def merged_cells(
    tables: list[np.ndarray | Indicators],
    terms: tuple[Term, ...],
    parts: tuple[Part, ...],
    item: np.ndarray,
) -> np.ndarray:
    """Return one integer per distinct combination of rows of tables, terms and item."""
    import pandas as pd

    indices = [term.index for term in terms if term.index is not None]
    every = [*tables, *(term.z for term in terms), *(p.x for p in parts if not p.of_persons)]
    columns = [item, *indices]
    for table in every:
        columns += [table.place] if isinstance(table, Indicators) else list(table.T)
    return combine(pd.DataFrame(dict(enumerate(columns))), range(len(columns)))


def rows_of(cell: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct (cell, response) pairs, sorted, and the pair of each observation."""
    import pandas as pd

    code, values = pd.factorize(y, sort=True)
    every = cell * len(values) + code
    size = (int(cell.max()) + 1) * len(values)
    if size > 4 * len(y):
        obs_row, pairs = pd.factorize(every, sort=True)
    else:  # small integers need no hashing
        there = np.bincount(every, minlength=size) > 0
        pairs, obs_row = np.flatnonzero(there), (np.cumsum(there) - 1)[every]
    return pairs // len(values), values[pairs % len(values)], obs_row
