"""From a tidy frame to arrays: cells, terms, and which person gave which response where."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from eirt.devices import Devices
from eirt.factors import constant_within, factor_codes, first_of
from eirt.formula import Formula, formula_columns
from eirt.matrices import (
    dependent,
    model_columns,
    model_matrix,
    refuse_collinear,
)
from eirt.observations import Listed, Observations
from eirt.parts import Part, build_parts
from eirt.responses import Response
from eirt.terms import Explained, Term, local_group, whole

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Design:
    """Everything a model reads from the data.

    Distinct rows of the design are *cells*; distinct (cell, response) pairs are *rows*;
    observations point to rows. Covariates of persons stay out of the cells: they move the mean of
    a person's random intercept, so that a test has a cell per item however many persons differ.

    Attributes:
        response: name of the response column.
        labels: what each response code stands for (categorical responses).
        own_labels: the same for items of which it is not so, their gaps closed.
        person: name of the local group, and `persons` its labels.
        item: name of the item column or None, and `items` its labels.
        x: fixed-effects design, cells x columns, zero in the columns of persons; `x_names` names
            the columns.
        person_x: the columns of persons, persons x `person_columns`.
        terms: the random terms.
        parts: what explains other parameters than easiness.
        cell_item: item of each cell (0 where there are no items, or they are the local group).
        cells: the raw columns of each cell.
        given: what the response reads of each cell besides its parameters (numbers of trials).
        row_cell, row_y: cell and response code of each row.
        observations: who gave which response where.
        dropped: what was left out, and how many.
        spec: how to rebuild x for new data.
        devices: those over which persons are spread; None where they are on one.
    """

    response: str
    labels: tuple[Any, ...]
    person: str | None
    persons: np.ndarray
    item: str | None
    items: np.ndarray
    x: np.ndarray
    x_names: tuple[str, ...]
    person_x: np.ndarray
    person_columns: np.ndarray
    terms: tuple[Term, ...]
    parts: tuple[Part, ...]
    cell_item: np.ndarray
    cells: pd.DataFrame
    given: np.ndarray
    row_cell: np.ndarray
    row_y: np.ndarray
    observations: Observations
    asked: tuple[Explained, ...]
    spec: Any
    dropped: dict[str, int] = field(default_factory=dict)
    own_labels: Mapping[str, tuple] = field(default_factory=dict)
    devices: Devices | None = None

    def labels_of(self, item: str) -> tuple[Any, ...]:
        """Return what the response codes of an item stand for."""
        return self.own_labels.get(item, self.labels)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the formulas use."""
        used = [name for explained in self.asked for name in formula_columns(explained.formula)]
        return tuple(dict.fromkeys(used))

    @property
    def formula(self) -> Formula:
        """The formula of easiness."""
        return self.asked[0].formula

    @property
    def n_obs(self) -> int:
        """Number of responses, of everyone."""
        return (self.observations.everyone or self.observations).n

    @property
    def n_persons(self) -> int:
        """Number of persons, of all processes."""
        return (self.observations.everyone or self.observations).n_persons

    @property
    def n_categories(self) -> int:
        """Number of response categories (0 for counts and continuous responses)."""
        return len(self.labels)

    @property
    def obs_person(self) -> np.ndarray:
        """Person of each observation."""
        return self.observations.person

    @property
    def obs_row(self) -> np.ndarray:
        """Row of each observation."""
        return self.observations.row

    @functools.cached_property
    def y(self) -> np.ndarray:
        """Response code of each observation."""
        return self.row_y[self.obs_row]

    @functools.cached_property
    def person_totals(self) -> np.ndarray:
        """Sum of the response codes of each person."""
        return self.observations.by_person(self.row_y)

    @property
    def total(self) -> float:
        """Sum of the response codes."""
        return float(self.observations.counts @ self.row_y)

    @functools.cached_property
    def obs_cell(self) -> np.ndarray:
        """Cell of each observation."""
        return self.row_cell[self.obs_row]

    @property
    def row_item(self) -> np.ndarray:
        """Item of each row, where items are not the local group."""
        return self.cell_item[self.row_cell]

    @property
    def obs_item(self) -> np.ndarray:
        """Item of each observation."""
        return self.obs_person if self.items_first else self.cell_item[self.obs_cell]

    @functools.cached_property
    def aligned(self) -> bool:
        """Whether persons answered most cells, none of them twice."""
        return self.observations.aligned(self.row_cell, len(self.x))

    @property
    def complete(self) -> bool:
        """Whether every person answered every cell exactly once."""
        return self.n_obs == self.n_persons * len(self.x) and self.aligned

    @functools.cached_property
    def roles(self) -> tuple[str, ...]:
        """What each column of x describes: "item", "person" or "both".

        A column that is constant within every item describes items; otherwise one constant
        within every person describes persons; what varies within both is an interaction.
        """
        return tuple(self._role(j) for j in range(len(self.x_names)))

    @property
    def items_first(self) -> bool:
        """Whether items, being more than persons, are the local group."""
        return self.item is not None and self.item in (self.person or "").split(":")

    def _role(self, j: int) -> str:
        if self.items_first:
            return self._role_across(j)
        if j in self.person_columns:
            return "person"
        if self.item is None or constant_within(self.x[:, j], self.cell_item):
            return "item"
        constant = constant_within(self.x[self.obs_cell, j], self.obs_person)
        return "person" if constant else "both"

    def _role_across(self, j: int) -> str:
        """Return the role of a column where what varies from cell to cell describes persons."""
        x = self.x[:, j]
        if j in self.person_columns or np.ptp(x) == 0:
            return "item"
        others = [term.index for term in self.terms if term.index is not None]
        return "person" if any(constant_within(x, index) for index in others) else "both"

    @property
    def ability_places(self) -> tuple[int, ...]:
        """Which local effects covariates of persons move: the intercept, or all dimensions."""
        if not len(self.person_columns):
            return ()
        return whole([term for term in self.terms if term.local])

    def x_of(self, obs: np.ndarray) -> np.ndarray:
        """Return the whole fixed-effects row of some observations."""
        rows = self.x[self.obs_cell[obs]]
        rows[:, self.person_columns] = self.person_x[self.obs_person[obs]]
        return rows


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
    x, x_names, spec = model_matrix(formula.fixed, frame, some)
    if not intercept:
        keep = [j for j, name in enumerate(x_names) if name != "(Intercept)"]
        x, x_names = x[:, keep], tuple(x_names[j] for j in keep)
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
