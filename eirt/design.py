"""What a model reads from the data: cells, terms, and which person gave which response where."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt.devices import Devices
from eirt.factors import constant_within
from eirt.formula import Formula, formula_columns
from eirt.indicators import Indicators
from eirt.observations import Observations
from eirt.parts import Part
from eirt.terms import Explained, Term, whole

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
    x: np.ndarray | Indicators
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
    def item_totals(self) -> np.ndarray:
        """Sum of the response codes of each item."""
        if self.items_first:
            return self.person_totals
        sums = self.observations.counts * self.row_y
        return np.bincount(self.row_item, sums, len(self.items))

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
        if isinstance(self.x, Indicators):  # what holds of the factor holds of its levels
            return (self._role(0, self.x.place),) * len(self.x_names)
        return tuple(self._role(j, self.x[:, j]) for j in range(len(self.x_names)))

    @property
    def items_first(self) -> bool:
        """Whether items, being more than persons, are the local group."""
        return self.item is not None and self.item in (self.person or "").split(":")

    def _role(self, j: int, x: np.ndarray) -> str:
        if self.items_first:
            return self._role_across(j, x)
        if j in self.person_columns:
            return "person"
        if self.item is None or constant_within(x, self.cell_item):
            return "item"
        constant = constant_within(x[self.obs_cell], self.obs_person)
        return "person" if constant else "both"

    def _role_across(self, j: int, x: np.ndarray) -> str:
        """Return the role of a column where what varies from cell to cell describes persons."""
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
