"""Persons x items tables as they are: nothing is melted, a response stays a byte or two.

What cells there are, and all that is checked, depends on which responses each item got, not on
who gave them: a design is built of one row for each item and response, and the table then says
who gave which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from eirt.design import Design
from eirt.devices import Devices, gathered
from eirt.frames import melt
from eirt.observations import Tabulated

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import UInt

MOST_VALUES = 255  # from the lowest to the highest response
MOST_ROWS = 2**16 - 2


class Wide(NamedTuple):
    """A table of responses, and what occurs in it.

    Attributes:
        each: a row for each item and each response that it got.
        rows: which of these rows each response is, `len(each)` where there is none.
        persons: labels of the persons.
    """

    each: pd.DataFrame
    rows: UInt[np.ndarray, "N C"]
    persons: np.ndarray


def from_wide(
    frame: pd.DataFrame,
    wide: bool | Sequence[str],
    covariates: Sequence[str],
    person: str,
    item: str,
    response: str,
    devices: Devices | None = None,
) -> tuple[pd.DataFrame, Wide | None]:
    """Return persons x items as a table where that is possible, and the rows that make cells.

    Covariates of persons need one row a response.
    """
    apart = devices is not None and devices.apart
    if apart and person not in frame.columns:
        before = sum(gathered(len(frame))[: jax.process_index()])
        frame = frame.assign(**{person: np.arange(before + 1, before + len(frame) + 1)})
    table = None
    if not covariates:
        columns = _items(frame, wide, covariates, person)
        # what does not vary here may vary in other processes
        table = read_table(frame, columns, person, item, response, varied=not apart)
    if table is not None:
        return table.each, table
    return to_long(frame, wide, covariates, person, item, response), None


def to_long(
    frame: pd.DataFrame,
    wide: bool | Sequence[str],
    covariates: Sequence[str],
    person: str,
    item: str,
    response: str,
) -> pd.DataFrame:
    """Turn persons x items into one row a response, covariates of persons kept."""
    return melt(frame, _items(frame, wide, covariates, person), person, item, response)


def _items(
    frame: pd.DataFrame, wide: bool | Sequence[str], covariates: Sequence[str], person: str
) -> list[str]:
    every = [column for column in frame.columns if column not in (person, *covariates)]
    return list(wide) if isinstance(wide, Sequence) else every


def read_table(
    frame: pd.DataFrame,
    items: Sequence[str],
    person: str,
    item: str,
    response: str,
    varied: bool = True,
) -> Wide | None:
    """Return a table of small whole numbers, or None: then `melt` says what is the matter.

    Args:
        frame: one row a person.
        items: columns that hold responses.
        person: name of the person column; persons are numbered from 1 where it is absent.
        item: what to call the item column.
        response: what to call the response column.
        varied: whether each item must have got different responses.
    """
    import pandas as pd

    if not items or not set(items) <= set(frame.columns) or len(set(items)) < len(items):
        return None
    named = person in frame.columns
    if named and not (frame[person].notna().all() and frame[person].is_unique):
        return None
    every = list(items) == list(frame.columns)  # then the frame's own array is at hand
    values = (frame if every else frame[list(items)]).to_numpy()
    found = _codes(values)
    if found is None:
        return None
    codes, low, size = found
    n_items = len(items)
    counts = np.stack([np.bincount(column, minlength=size + 1) for column in codes.T])[:, :size]
    there = counts > 0
    if varied and np.any(there.sum(axis=1) < 2) or there.sum() > MOST_ROWS:
        return None
    kind = np.uint8 if there.sum() < 2**8 - 1 else np.uint16
    place = np.full((n_items, size + 1), there.sum(), kind)
    place[:, :size][there] = np.arange(there.sum())
    rows = np.empty(codes.T.shape, kind)
    for own, column, out in zip(place, codes.T, rows, strict=True):
        np.take(own, column, out=out)
    if counts.sum() < rows.size and np.any(np.all(rows == there.sum(), axis=0)):
        return None
    which, value = np.nonzero(there)
    each = {
        item: pd.Categorical.from_codes(which, [str(name) for name in items]),
        response: (value + low).astype(values.dtype if values.dtype != bool else int),
        person: np.zeros(len(which), int),
    }
    labels = frame[person].to_numpy(object) if named else np.arange(1, len(frame) + 1)
    return Wide(pd.DataFrame(each), rows.T, labels)


def _codes(values: np.ndarray) -> tuple[UInt[np.ndarray, "N C"], int, int] | None:
    """Return responses less the lowest, the lowest, and how many values there may be.

    Where there is none, the code is that number. None unless all are whole numbers close together.
    """
    if values.dtype.kind not in "iufb" or not values.size:
        return None
    if values.dtype.kind != "f":
        low, high = int(values.min()), int(values.max())
        if high - low >= MOST_VALUES:
            return None
        if values.dtype.itemsize == 1 and low >= 0:
            codes, low = values.view(np.uint8), 0
        else:
            codes = values.astype(np.uint8) if low == 0 else (values - low).astype(np.uint8)
        return codes, low, high - low + 1
    missing = np.isnan(values)
    if missing.all():
        return None
    least, most = np.nanmin(values), np.nanmax(values)
    if not most - least < MOST_VALUES:
        return None
    size = int(most - least) + 1
    above = np.where(missing, size, values - least)
    codes = above.astype(np.uint8)
    exact = np.array_equal(codes, above) and least == int(least)
    return (codes, int(least), size) if exact else None


def with_table(design: Design, wide: Wide) -> Design:
    """Return a design of one row for each item and response as that of all persons.

    Args:
        design: built of `wide.each`.
        wide: the table.
    """
    n, n_rows = len(wide.persons), len(wide.each)
    assert np.array_equal(design.obs_item, design.obs_cell)  # a column is a cell
    order = np.append(design.obs_row, n_rows).astype(wide.rows.dtype)
    rows = wide.rows if np.array_equal(order, np.arange(n_rows + 1)) else order[wide.rows]
    answers = Tabulated(n, n_rows, rows)
    dropped = dict(design.dropped)
    if answers.n < rows.size:
        dropped["missing responses"] = rows.size - answers.n
    return replace(
        design,
        persons=wide.persons,
        person_x=np.zeros((n, 0)),
        terms=tuple(replace(t, levels=wide.persons) if t.local else t for t in design.terms),
        observations=answers,
        dropped=dropped,
    )
