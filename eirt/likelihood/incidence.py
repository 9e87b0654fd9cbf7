"""Who answered what.

An incidence knows which rows (distinct cell-response pairs) belong to which person, and is
the only place that depends on how that is stored: a dense table of counts, whose products with
the table of row log-probabilities are matrix products, or a padded list of rows per person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._math import on_host
from eirt.design import Design
from eirt.model import Person
from eirt.observations import Tabulated

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int, Integer, Shaped


FEW = 5  # answers of a kind that a sample holds
AT_ONCE = 2**26  # numbers looked up
CACHED = 2**19  # numbers that processors keep close


class Dense(NamedTuple):
    """Counts of rows by person, persons x rows, for designs that are nearly complete.

    Attributes:
        counts: how often a person gave each row's response in that row's cell.
        rows: row of each person in each cell, S where there is none; None where a person may have
            several.
        rows_of_cell: rows of each cell, padded with S.
        weight: weight of each person (0 for padding).
        person: covariates of each person.
    """

    counts: Float[Array, "N S"]
    rows: Int[Array, "N C"] | None
    rows_of_cell: Int[Array, "C Y"]
    weight: Float[Array, " N"]
    person: Person

    def by_person(self, table: Float[Array, "S K"]) -> Float[Array, "N K"]:
        """Sum a table over each person's rows, in the precision of the counts."""
        return self.counts @ table.astype(self.counts.dtype)

    def by_row(self, posterior: Float[Array, "N K"], n_rows: int) -> Float[Array, "S K"]:
        """Return expected counts: sum person weights over each row's persons."""
        return self.counts.T @ posterior

    def scores(self, table: Float[Array, "S K m"]) -> Float[Array, "N K Cm"]:
        """Return each person's scores by cell."""
        scores = jnp.einsum("ncy,cykm->nkcm", *self.by_cell(table))
        return scores.reshape(*scores.shape[:2], -1)

    def projected(self, table: Float[Array, "S m r"], v: Float[Array, "N q r"]) -> Array:
        """Return sums over r of functions of each person times scores, persons x q x Cm."""
        if self.rows is not None:
            nothing = jnp.zeros_like(table[:1])
            own = jnp.concatenate([table, nothing])[self.rows]
            return jnp.einsum("nqr,nsr->nqs", v, own.reshape(len(own), -1, v.shape[-1]))
        counts, by_cell = self.by_cell(table)
        of_rows = jnp.einsum("nqr,cymr->cynqm", v, by_cell)
        scores = jnp.einsum("ncy,cynqm->nqcm", counts, of_rows)
        return scores.reshape(*scores.shape[:2], -1)

    def by_cell(
        self, table: Float[Array, "S ..."]
    ) -> tuple[Float[Array, "N C Y"], Float[Array, "C Y ..."]]:
        """Return counts and table by cell, padded to as many rows as the cell with most has."""
        padded_table = jnp.concatenate([table, jnp.zeros_like(table[:1])])
        padded_counts = jnp.concatenate([self.counts, jnp.zeros_like(self.counts[:, :1])], axis=1)
        return padded_counts[:, self.rows_of_cell], padded_table[self.rows_of_cell]


class Padded(NamedTuple):
    """Rows answered by each person, persons x longest test, for sparse designs.

    Attributes:
        rows: row of each response; anything where `present` is 0.
        present: 1 for a response, 0 for padding.
        weight: weight of each person (0 for padding).
        person: covariates of each person.
    """

    rows: Int[Array, "N J"]
    present: Float[Array, "N J"]
    weight: Float[Array, " N"]
    person: Person

    def by_person(self, table: Float[Array, "S K"]) -> Float[Array, "N K"]:
        """Sum a table over each person's rows."""

        def one(rows: Array, present: Array) -> Array:
            return present @ table[rows]

        width = self.rows.shape[1] * table.shape[1]
        if self.rows.size * table.shape[1] <= AT_ONCE:
            return jax.vmap(one)(self.rows, self.present)
        size = max(CACHED // width, 1)  # few persons at a time, whose looked-up rows stay close
        return jax.lax.map(lambda own: one(*own), (self.rows, self.present), batch_size=size)

    def by_row(self, posterior: Float[Array, "N K"], n_rows: int) -> Float[Array, "S K"]:
        """Return expected counts: sum person weights over each row's persons."""
        spread = self.present[:, :, None] * posterior[:, None, :]
        empty = jnp.zeros((n_rows, posterior.shape[1]), posterior.dtype)
        return empty.at[self.rows].add(spread)

    def scores(self, table: Float[Array, "S K m"]) -> Float[Array, "N K Jm"]:
        """Return each person's scores by response."""
        scores = jnp.einsum("nj,njkm->nkjm", self.present, table[self.rows])
        return scores.reshape(*scores.shape[:2], -1)

    def projected(self, table: Float[Array, "S m r"], v: Float[Array, "N q r"]) -> Array:
        """Return sums over r of functions of each person times scores, persons x q x Jm."""
        own = table[self.rows] * self.present[:, :, None, None]
        return jnp.einsum("nqr,nsr->nqs", v, own.reshape(len(own), -1, v.shape[-1]))

    def responses(self, row_y: Float[Array, " S"]) -> Float[Array, "N J"]:
        """Return the responses."""
        return row_y[self.rows]

    def of_cells(self, leaf: Shaped[Array, "C ..."], row_cell: Int[Array, " S"]) -> Array:
        """Return what belongs to the cell of each response."""
        return leaf[row_cell[self.rows]]

    def by_cell(
        self, values: Float[Array, "N J ..."], row_cell: Int[Array, " S"], n_cells: int
    ) -> Float[Array, "C ..."]:
        """Sum over the responses of each cell."""
        empty = jnp.zeros((n_cells, *values.shape[2:]), values.dtype)
        return empty.at[row_cell[self.rows]].add(values)


class Aligned(NamedTuple):
    """At most one response of each person to each cell, persons x cells, few of them missing.

    It answers as `Padded` does, without looking anything up.

    Attributes:
        y: the responses; anything where `present` is 0.
        present: 1 for a response, 0 where there is none.
        weight: weight of each person.
        person: covariates of each person.
    """

    y: Float[Array, "N C"]
    present: Float[Array, "N C"]
    weight: Float[Array, " N"]
    person: Person

    def responses(self, row_y: Float[Array, " S"]) -> Float[Array, "N C"]:
        """Return the responses."""
        return self.y

    def of_cells(self, leaf: Shaped[Array, "C ..."], row_cell: Int[Array, " S"]) -> Array:
        """Return what belongs to the cell of each response."""
        return jnp.broadcast_to(leaf, (len(self.y), *leaf.shape))

    def by_cell(
        self, values: Float[Array, "N C ..."], row_cell: Int[Array, " S"], n_cells: int
    ) -> Float[Array, "C ..."]:
        """Sum over the responses of each cell."""
        return values.sum(axis=0)


Slots = Padded | Aligned


def person_data(design: Design) -> Person:
    """Return the covariates of persons as arrays."""
    none = np.zeros((len(design.persons), 0))
    parts = tuple(part.x if part.of_persons else none for part in design.parts)
    return on_host(Person, design.person_x, parts)


def centre(design: Design) -> Person:
    """Return the means of the covariates of persons."""
    everyone = design.observations.everyone
    if everyone is not None:
        return on_host(Person, everyone.person_x, everyone.parts)
    return jax.tree.map(lambda leaf: leaf.mean(axis=0), person_data(design))


def nearly_complete(design: Design) -> bool:
    """Return whether a dense table of counts is reasonably full, and small enough."""
    size = design.n_persons * len(design.row_cell)
    return design.n_obs > 0.05 * size and size <= 5e7


def longest_test(design: Design) -> int:
    """Return the largest number of responses of a person."""
    everyone = design.observations.everyone
    return int(design.observations.lengths.max()) if everyone is None else everyone.longest


def incidence(design: Design, dense: bool, size: int | None = None) -> Dense | Padded:
    """Return who answered what.

    Args:
        design: the design.
        dense: whether to store a table of counts, or a list of rows per person.
        size: pad the persons to so many.
    """
    n_persons, n_rows = len(design.persons), len(design.row_cell)
    n_padded = size or n_persons
    weight = (np.arange(n_padded) < n_persons).astype(float)
    person = jax.tree.map(
        lambda leaf: np.pad(leaf, ((0, n_padded - n_persons), (0, 0))), person_data(design)
    )
    if dense:
        places = design.obs_person * n_rows + design.obs_row
        counts = np.bincount(places, minlength=n_padded * n_rows).astype(float)
        rows, rows_of_cell = _row_by_cell(design, n_padded), grouped(design.row_cell, len(design.x))
        counts = counts.reshape(n_padded, n_rows)
        return on_host(Dense, counts, rows, rows_of_cell, weight, person)
    slots = grouped(design.obs_person, n_padded)
    present = slots < design.observations.n
    rows = np.append(design.obs_row, 0)[slots].astype(np.int32)
    return on_host(Padded, rows, present.astype(float), weight, person)


def thinned(who: Dense | Padded, design: Design, every: int) -> Dense | Padded:
    """Return about every so manieth person, standing for as many.

    Of what few answered, FEW answers at least are among them.
    """
    rare = np.bincount(design.obs_row, minlength=len(design.row_cell)) < FEW * every
    those = np.flatnonzero(rare[design.obs_row])
    found = grouped(design.obs_row[those], len(design.row_cell))[:, :FEW]
    also = design.obs_person[those[found[found < len(those)]]]
    some = np.union1d(np.arange(0, len(design.persons), every), also)
    own = {name: leaf for name, leaf in who._asdict().items() if name != "rows_of_cell"}
    own = jax.tree.map(lambda leaf: np.asarray(leaf)[some], own)
    return who._replace(**own | {"weight": own["weight"] * every})


def _row_by_cell(design: Design, n_padded: int) -> Int[np.ndarray, "N C"] | None:
    """Return the row of each person in each cell, if no person has two there."""
    if not design.aligned:
        return None
    rows = np.full((n_padded, len(design.x)), len(design.row_cell), np.int32)
    rows[: len(design.persons)] = row_table(design)
    return rows


def row_table(design: Design) -> Integer[np.ndarray, "N C"]:
    """Return the row of each person in each cell, as many as there are rows where there is none.

    No person may have two in a cell.
    """
    answers = design.observations
    if isinstance(answers, Tabulated):
        return answers.rows
    shape = len(design.persons), len(design.x)
    rows = np.full(shape, answers.n_rows, np.min_scalar_type(answers.n_rows))
    rows[answers.person, design.obs_cell] = answers.row
    return rows


def aligned_responses(design: Design) -> Aligned:
    """Return the responses as a table of persons x cells."""
    rows = row_table(design)
    y = np.append(design.row_y, design.row_y[0])[rows]  # a possible response where there is none
    there = (rows < len(design.row_y)).astype(float)
    return on_host(Aligned, y, there, np.ones(len(y)), person_data(design))


def slots(design: Design) -> Slots:
    """Return the responses of each person, one by one."""
    if design.aligned:
        return aligned_responses(design)
    found = incidence(design, dense=False)
    assert isinstance(found, Padded)
    return found


def grouped(group: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the positions of each group's members, padded with len(group)."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=n_groups)
    table = np.full((n_groups, max(sizes.max(), 1)), len(group), np.int32)
    begins = np.repeat(np.cumsum(sizes) - sizes, sizes)
    table[group[order], np.arange(len(group)) - begins] = order
    return table
