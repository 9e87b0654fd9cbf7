"""Who gave which response where: a list of responses, or a table of persons and cells."""

from __future__ import annotations

import abc
import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int, UInt

MOSTLY = 0.3  # of persons x cells answered: looking cells up costs more than what is missing


@dataclass(frozen=True, eq=False)
class Everyone:
    """What is known of all persons, where several processes have some of them each.

    Attributes:
        n_persons: number of persons.
        n: number of responses.
        counts: number of responses in each row.
        longest: the largest number of responses of a person.
        aligned: see `Design.aligned`.
        person_x: means of the columns of persons.
        parts: means of what else is explained by covariates of persons.
    """

    n_persons: int
    n: int
    counts: Float[np.ndarray, " S"]
    longest: int
    aligned: bool
    person_x: Float[np.ndarray, " r"]
    parts: tuple[Float[np.ndarray, " k"], ...]


@dataclass(frozen=True, eq=False)
class Observations(abc.ABC):
    """The responses; a row is a distinct pair of cell and response.

    Attributes:
        n_persons: number of persons.
        n_rows: number of rows.
        n: number of responses.
        person, row: person and row of each response.
        everyone: what is known of all, where other processes have persons, too.
    """

    n_persons: int
    n_rows: int
    everyone: Everyone | None = field(default=None, kw_only=True)

    if TYPE_CHECKING:  # at run time a property here would be the default of a field below

        @property
        def n(self) -> int: ...

        @property
        def person(self) -> Int[np.ndarray, " n"]: ...

        @property
        def row(self) -> Int[np.ndarray, " n"]: ...

    @abc.abstractmethod
    def by_person(self, of_rows: Float[np.ndarray, " S"]) -> Float[np.ndarray, " N"]:
        """Sum what rows hold over the responses of each person."""

    @abc.abstractmethod
    def by_row(self, of_persons: Float[np.ndarray, " N"]) -> Float[np.ndarray, " S"]:
        """Sum what persons hold over the responses in each row."""

    @abc.abstractmethod
    def first(self, n: int) -> Observations:
        """Return the responses of the first n persons (of this process)."""

    @abc.abstractmethod
    def aligned(self, row_cell: Int[np.ndarray, " S"], n_cells: int) -> bool:
        """Return whether persons answered most cells, none of them twice."""

    @functools.cached_property
    def counts(self) -> Float[np.ndarray, " S"]:
        """Number of responses in each row, of everyone."""
        if self.everyone is not None:
            return self.everyone.counts
        return self.by_row(np.ones(self.n_persons))

    @functools.cached_property
    def lengths(self) -> Float[np.ndarray, " N"]:
        """Number of responses of each person."""
        return self.by_person(np.ones(self.n_rows))


@dataclass(frozen=True, eq=False)
class Listed(Observations):
    """Responses one by one.

    >>> answers = Listed(2, 3, np.array([0, 0, 1]), np.array([0, 2, 2]))
    >>> answers.by_person(np.array([1.0, 5.0, 7.0])), answers.counts
    (array([8., 7.]), array([1., 0., 2.]))
    """

    person: Int[np.ndarray, " n"]
    row: Int[np.ndarray, " n"]

    @property
    def n(self) -> int:
        return len(self.row)

    def by_person(self, of_rows: Float[np.ndarray, " S"]) -> Float[np.ndarray, " N"]:
        return np.bincount(self.person, of_rows[self.row], self.n_persons)

    def by_row(self, of_persons: Float[np.ndarray, " N"]) -> Float[np.ndarray, " S"]:
        return np.bincount(self.row, of_persons[self.person], self.n_rows)

    def first(self, n: int) -> Observations:
        if n >= self.n_persons:
            return self if self.everyone is None else replace(self, everyone=None)
        kept = self.person < n
        return Listed(n, self.n_rows, self.person[kept], self.row[kept])

    def aligned(self, row_cell: Int[np.ndarray, " S"], n_cells: int) -> bool:
        if self.everyone is not None:
            return self.everyone.aligned
        size = self.n_persons * n_cells
        if not MOSTLY * size <= self.n <= size:
            return False
        pairs = self.person * n_cells + row_cell[self.row]
        return bool(np.bincount(pairs, minlength=size).max() == 1)


@dataclass(frozen=True, eq=False)
class Tabulated(Observations):
    """A table of persons and cells, at most one response in each: a byte or two a response.

    Attributes:
        rows: row of each response, `n_rows` where there is none.

    >>> answers = Tabulated(2, 3, np.array([[0, 2], [3, 2]], np.uint8))
    >>> answers.by_person(np.array([1.0, 5.0, 7.0])), answers.counts, answers.person.tolist()
    (array([8., 7.]), array([1., 0., 2.]), [0, 0, 1])
    """

    rows: UInt[np.ndarray, "N C"]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.n == self.rows.size

    @functools.cached_property
    def n(self) -> int:
        if self.everyone is not None:
            return int(np.count_nonzero(self.rows < self.n_rows))
        return int(self.counts.sum())

    @functools.cached_property
    def person(self) -> Int[np.ndarray, " n"]:
        return np.nonzero(self.rows < self.n_rows)[0]

    @functools.cached_property
    def row(self) -> Int[np.ndarray, " n"]:
        return self.rows[self.rows < self.n_rows].astype(np.int64)

    def by_person(self, of_rows: Float[np.ndarray, " S"]) -> Float[np.ndarray, " N"]:
        total, table = np.zeros(self.n_persons), np.append(of_rows, 0.0)
        own = np.empty(self.n_persons)
        for column in self.rows.T:
            np.take(table, column, out=own, mode="clip")  # anything else copies first
            total += own
        return total

    def by_row(self, of_persons: Float[np.ndarray, " N"]) -> Float[np.ndarray, " S"]:
        alike = self.n_persons > 0 and np.all(of_persons == 1.0)  # counting is quicker
        weights, size = None if alike else of_persons, self.n_rows + 1
        found = (np.bincount(column, weights, size) for column in self.rows.T)
        return np.sum([np.asarray(sums, float) for sums in found], axis=0)[:-1]

    @functools.cached_property
    def lengths(self) -> Float[np.ndarray, " N"]:
        if self.complete:
            return np.full(self.n_persons, float(self.rows.shape[1]))
        return super().lengths

    def first(self, n: int) -> Observations:
        return Tabulated(min(n, self.n_persons), self.n_rows, self.rows[:n])

    def aligned(self, row_cell: Int[np.ndarray, " S"], n_cells: int) -> bool:
        return True
