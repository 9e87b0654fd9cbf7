"""Data of several processes: each keeps its own persons, and all know what everyone answered.

What a design is made of (items, the responses that each got, levels of covariates) is exchanged,
so that every process builds the same cells and parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import jax
import numpy as np

from eirt.design import Design
from eirt.devices import gathered
from eirt.errors import DataError, listing
from eirt.observations import Everyone, Listed, Observations
from eirt.wide import MOST_ROWS, Wide

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Int

OWNER = "process of a person"  # a column while the rows of all processes are one frame


def exchanged(frame: pd.DataFrame, table: Wide | None) -> tuple[pd.DataFrame, Wide | None]:
    """Return the rows that make cells and this process's table; or the rows of all processes.

    Rows are exchanged one by one only where not all processes have tables.

    Args:
        frame: the rows of this process, or those that make the cells of its table.
        table: its table, if it has one.

    Returns:
        The rows; with a column `OWNER`, their processes, where there is no table.

    Raises:
        DataError: if processes have different columns or items.
    """
    every = gathered(None if table is None else frame)
    if table is not None and all(own is not None for own in every):
        found = _one_table(table, every)
        if found is not None:
            return found.each, found
    if table is not None:
        frame = _listed(frame, table)
    return _one_frame(gathered(frame.assign(**{OWNER: jax.process_index()}))), None


def _one_frame(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return frames below each other; levels stay in order."""
    import pandas as pd

    _refuse_difference("columns", [list(frame.columns) for frame in frames])
    whole = pd.concat(frames, ignore_index=True)
    for name, kind in frames[0].dtypes.items():
        if isinstance(kind, pd.CategoricalDtype):
            parts = [pd.Categorical(frame[name], ordered=False) for frame in frames]
            whole[name] = pd.api.types.union_categoricals(parts)
    return whole


def _refuse_difference(what: str, every: Sequence[list]) -> None:
    for process, own in enumerate(every):
        if own != every[0]:
            odd = sorted(map(str, set(every[0]) ^ set(own)))
            raise DataError(
                f"Process {process} has other {what} than process 0 "
                f"({listing(odd) if odd else 'or in another order'}): give every process the same "
                f"{what}, in the same order."
            )


def _one_table(table: Wide, frames: Sequence[pd.DataFrame]) -> Wide | None:
    """Return the table with rows numbered as in all processes, if it can be one."""
    item, response = table.each.columns[:2]
    _refuse_difference("items", [list(own[item].cat.categories) for own in frames])
    whole = _one_frame(frames)
    pairs = np.stack([whole[item].cat.codes, whole[response]], axis=1)
    union, first, place = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    each = whole.iloc[first].reset_index(drop=True)
    if len(union) > MOST_ROWS or each[item].value_counts().min() < 2:
        return None
    begin = sum(len(own) for own in frames[: jax.process_index()])
    order = np.append(place.ravel()[begin : begin + len(table.each)], len(union))
    rows = np.take(order.astype(np.min_scalar_type(len(union))), table.rows.T).T
    return Wide(each, rows, table.persons)


def _listed(frame: pd.DataFrame, table: Wide) -> pd.DataFrame:
    """Return a table as one row a response."""
    person, column = np.nonzero(table.rows < len(frame))
    rows = frame.iloc[table.rows[person, column]].reset_index(drop=True)
    return rows.assign(**{table.each.columns[2]: table.persons[person]})


def united(design: Design, owner: Int[np.ndarray, " n"] | None) -> Design:
    """Return the design with the persons of this process, and what is known of all.

    Args:
        design: of a table of this process; or of the responses of all.
        owner: the process of each of these.

    Raises:
        DataError: if a person has responses in several processes, or a process has none.
    """
    if owner is None:
        return _of_tables(design)
    person, answers = design.obs_person, design.observations
    known = _everyone(design, answers)
    first = np.zeros(len(design.persons), int)
    first[person] = owner
    twice = np.unique(person[first[person] != owner])
    if len(twice):
        _refuse_shared(design, design.persons[twice])
    without = np.setdiff1d(np.arange(jax.process_count()), first)
    if len(without):
        raise DataError(f"Process {without[0]} has no responses to fit; spread the data evenly.")
    own = np.flatnonzero(first == jax.process_index())
    here = owner == jax.process_index()
    place = np.searchsorted(own, person[here])
    labels = design.persons[own]
    return replace(
        design,
        persons=labels,
        person_x=design.person_x[own],
        terms=tuple(replace(t, levels=labels) if t.local else t for t in design.terms),
        parts=tuple(replace(p, x=p.x[own]) if p.of_persons else p for p in design.parts),
        observations=Listed(len(own), answers.n_rows, place, design.obs_row[here], everyone=known),
    )


def _everyone(design: Design, answers: Observations) -> Everyone:
    return Everyone(
        n_persons=answers.n_persons,
        n=answers.n,
        counts=answers.counts,
        longest=int(answers.lengths.max()),
        aligned=design.aligned,
        person_x=design.person_x.mean(axis=0),
        parts=tuple(
            np.asarray(p.x).mean(axis=0) if p.of_persons else np.zeros(0) for p in design.parts
        ),
    )


def _of_tables(design: Design) -> Design:
    import pandas as pd

    every = gathered(_everyone(design, design.observations))
    labels = gathered(pd.util.hash_array(design.persons.astype(str).astype(object)))
    others = np.concatenate([own for k, own in enumerate(labels) if k != jax.process_index()])
    twice = np.isin(labels[jax.process_index()], others)
    every_twice = np.concatenate(gathered(design.persons[twice]))
    if len(every_twice):
        _refuse_shared(design, np.unique(every_twice))
    known = replace(
        every[0],
        n_persons=sum(one.n_persons for one in every),
        n=sum(one.n for one in every),
        counts=np.sum([one.counts for one in every], axis=0),
        longest=max(one.longest for one in every),
    )
    missing = known.n_persons * len(design.x) - known.n
    dropped = design.dropped | ({"missing responses": missing} if missing else {})
    answers = replace(design.observations, everyone=known)
    return replace(design, observations=answers, dropped=dropped)


def _refuse_shared(design: Design, persons: np.ndarray) -> None:
    raise DataError(
        f"{design.person} {listing(persons)} has responses in several processes: all responses of "
        "a person belong to one, and other persons need other labels."
    )
