"""From a tidy frame to a design: cells, terms, matrices, and who gave which response where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt.cells import (
    about_persons,
    cell_columns,
    cells_by,
    columns_of,
    merged_cells,
    person_columns_of,
    rows_of,
)
from eirt.coding import given_values
from eirt.design import Design
from eirt.factors import factor_codes, first_of
from eirt.formula import Formula
from eirt.matrices import (
    dependent,
    design_matrix,
    model_columns,
    refuse_collinear,
    without_intercept,
)
from eirt.observations import Listed
from eirt.parts import build_parts
from eirt.responses import Response
from eirt.terms import Explained, local_group, whole

if TYPE_CHECKING:
    import pandas as pd


def build(
    frame: pd.DataFrame,
    formula: Formula,
    y: np.ndarray,
    labels: tuple[Any, ...] = (),
    *,
    response: str,
    person: str | None = None,
    item: str | None = None,
    intercept: bool = True,
    explained: Sequence[Explained] = (),
    family: Response | None = None,
    dropped: dict[str, int] | None = None,
    own_labels: Mapping[str, tuple] | None = None,
) -> Design:
    """Build the design of a formula.

    Args:
        frame: one row a response, checked and without missing values in what is used.
        formula: the split formula of easiness; terms of `person` are local, all others global.
        y: response codes.
        labels: what the codes stand for.
        response: name of the response column.
        person: grouping factor to integrate first; by default the one with most levels.
        item: item column, if there is one.
        intercept: False drops the intercept column (thresholds take its place).
        explained: formulas of other parameters.
        family: the response, which may read columns of its own.
        dropped: what was left out before, to be reported.
        own_labels: what codes stand for in items whose gaps were closed.

    Returns:
        The design.

    Raises:
        FormulaError: if a formula cannot be evaluated on the data.
        DataError: if columns of a fixed part are collinear.
    """
    asked = (Explained("easiness", "", formula), *explained)
    random = [term for part in asked for term in part.formula.random]
    group = tuple(person.split(":")) if person else ()
    if not group and random:
        group = local_group(frame, random, item)
    obs_person, persons = np.arange(len(y)), np.arange(len(y))
    if group:
        obs_person, persons = factor_codes(frame, group)
    obs_item, items = factor_codes(frame, [item]) if item else (np.zeros(len(y), int), np.zeros(0))
    if item in group:
        obs_item = np.zeros_like(obs_item)
    key = [*cell_columns(frame, asked, group, item), *(family.given if family else ())]
    alone = about_persons(frame, asked, group, obs_person)
    cell, first, terms = cells_by(frame, asked, group, [name for name in key if name not in alone])
    if alone and not whole([term for term in terms if term.local]):
        alone = set()  # no effect of persons can take them over
        cell, first, terms = cells_by(frame, asked, group, key)
    of_person = first_of(obs_person)
    # cells lack what describes persons alone: there it is built for each person
    some = np.append(first, of_person) if alone else first
    x, x_names, spec = design_matrix(formula.fixed, frame, some)
    if not intercept:
        x, x_names = without_intercept(x, x_names)
    if dependent(x):
        refuse_collinear(model_columns(spec, frame, x_names) if alone else x, x_names)
    x, person_x = x[: len(first)], x[len(first) :] if alone else x[cell[of_person]]
    parts = tuple(
        part
        for explanation in explained
        for part in build_parts(frame, explanation, first, obs_person, terms, item)
    )
    moved = person_columns_of(x, cell, obs_person, terms)
    moved = np.union1d(moved, columns_of(alone, spec, x_names, person_x)).astype(int)
    person_x = person_x[:, moved]
    if len(moved):
        x = np.asarray(x)
        x[:, moved] = 0.0
    values = given_values(frame.iloc[first], family) if family else np.zeros((len(first), 0))
    merged = merged_cells([x, values], terms, parts, obs_item[first])
    kept = first_of(merged)
    first, cell, x = first[kept], merged[cell], x[kept]
    row_cell, row_y, obs_row = rows_of(cell, y)
    return Design(
        response=response,
        labels=labels,
        person=":".join(group) or None,
        persons=persons,
        item=item,
        items=items,
        x=x,
        x_names=x_names,
        person_x=person_x,
        person_columns=moved,
        terms=tuple(term.at(kept) for term in terms),
        parts=tuple(part.at(kept) for part in parts),
        cell_item=obs_item[first],
        cells=frame.iloc[first].reset_index(drop=True),
        given=values[kept],
        row_cell=row_cell,
        row_y=row_y,
        observations=Listed(len(persons), len(row_y), obs_person, obs_row),
        asked=asked,
        spec=spec,
        dropped=dict(dropped or {}),
        own_labels=own_labels or {},
    )
