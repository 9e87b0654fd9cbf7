"""Who answered what.

An `Incidence` knows which rows (distinct cell-response pairs) belong to which person, and is
the only place that depends on how that is stored: a dense table of counts, whose products with
the table of row log-probabilities are matrix products, or a padded list of rows per person.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from eirt.design import Design


class Dense(NamedTuple):
    """Counts of rows by person, persons x rows, for designs that are nearly complete.

    Attributes:
        counts: how often a person gave each row's response in that row's cell.
        rows_of_cell: rows of each cell, padded with S.
        weight: weight of each person (0 for padding).
        covariates: what moves each person's mean ability.
    """

    counts: Float[Array, "N S"]
    rows_of_cell: Int[Array, "C Y"]
    weight: Float[Array, " N"]
    covariates: Float[Array, "N r"]

    def by_person(self, table: Float[Array, "S K"]) -> Float[Array, "N K"]:
        """Sum a table over each person's rows."""
        return self.counts @ table

    def by_row(self, posterior: Float[Array, "N K"], n_rows: int) -> Float[Array, "S K"]:
        """Return expected counts: sum person weights over each row's persons."""
        return self.counts.T @ posterior

    def scores(
        self, table: Float[Array, "S K m"], jacobian: Float[Array, "C m P"], row_cell: Array
    ) -> Float[Array, "N K P"]:
        """Sum row scores over each person's rows and carry them to the parameters."""
        padded_table = jnp.concatenate([table, jnp.zeros_like(table[:1])])[self.rows_of_cell]
        empty = jnp.zeros_like(self.counts[:, :1])
        padded_counts = jnp.concatenate([self.counts, empty], axis=1)[:, self.rows_of_cell]
        cell_scores = jnp.einsum("ncy,cykm->nkcm", padded_counts, padded_table)
        return jnp.einsum("nkcm,cmp->nkp", cell_scores, jacobian)


class Padded(NamedTuple):
    """Rows answered by each person, persons x longest test, for sparse designs.

    Attributes:
        rows: row of each response; anything where `present` is 0.
        present: 1 for a response, 0 for padding.
        weight: weight of each person (0 for padding).
        covariates: what moves each person's mean ability.
    """

    rows: Int[Array, "N J"]
    present: Float[Array, "N J"]
    weight: Float[Array, " N"]
    covariates: Float[Array, "N r"]

    def by_person(self, table: Float[Array, "S K"]) -> Float[Array, "N K"]:
        """Sum a table over each person's rows."""
        return jnp.einsum("nj,njk->nk", self.present, table[self.rows])

    def by_row(self, posterior: Float[Array, "N K"], n_rows: int) -> Float[Array, "S K"]:
        """Return expected counts: sum person weights over each row's persons."""
        spread = self.present[:, :, None] * posterior[:, None, :]
        empty = jnp.zeros((n_rows, posterior.shape[1]), posterior.dtype)
        return empty.at[self.rows].add(spread)

    def scores(
        self, table: Float[Array, "S K m"], jacobian: Float[Array, "C m P"], row_cell: Array
    ) -> Float[Array, "N K P"]:
        """Sum row scores over each person's rows and carry them to the parameters."""
        here = jacobian[row_cell[self.rows]] * self.present[:, :, None, None]
        return jnp.einsum("njkm,njmp->nkp", table[self.rows], here)


Incidence = Dense | Padded


def incidence(design: Design, dense: bool | None = None, block: int = 1) -> Incidence:
    """Return who answered what, dense where the table of counts is reasonably full.

    Args:
        design: the design.
        dense: force one storage; None chooses by size and fill.
        block: pad the persons to a multiple of this.
    """
    n_persons, n_rows = len(design.persons), len(design.row_cell)
    n_padded = -(-n_persons // block) * block
    weight = (np.arange(n_padded) < n_persons).astype(float)
    covariates = np.zeros((n_padded, design.person_x.shape[1]))
    covariates[:n_persons] = design.person_x
    if dense is None:
        fill = design.n_obs / (n_persons * n_rows)
        dense = fill > 0.05 and n_padded * n_rows <= 5e7
    if dense:
        counts = np.zeros((n_padded, n_rows))
        np.add.at(counts, (design.obs_person, design.obs_row), 1.0)
        rows_of_cell = _grouped(design.row_cell, len(design.x))
        return Dense(*map(jnp.asarray, (counts, rows_of_cell, weight, covariates)))
    slots = _grouped(design.obs_person, n_padded)
    present = slots < design.n_obs
    rows = np.append(design.obs_row, 0)[slots].astype(np.int32)
    return Padded(*map(jnp.asarray, (rows, present.astype(float), weight, covariates)))


def _grouped(group: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the positions of each group's members, padded with len(group)."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group, minlength=n_groups)
    table = np.full((n_groups, max(sizes.max(), 1)), len(group), np.int32)
    begins = np.repeat(np.cumsum(sizes) - sizes, sizes)
    table[group[order], np.arange(len(group)) - begins] = order
    return table
