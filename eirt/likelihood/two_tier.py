"""Persons of many dimensions of which few meet in a cell: testlets, bifactor and two-tier models.

Given the general dimensions x, the specific ones z_s are independent, and each is integrated by
itself:

    L_p = integral of product over s of { integral of prod_{n in s} p(y_n | x, z_s) dN(z_s) } dN(x)

so that however many there are, they cost as much as one. Everything happens at the nodes of the
general dimensions and one specific dimension, testlet by testlet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from eirt._math import Grid, over_blocks
from eirt.likelihood.canonical import Louis
from eirt.likelihood.carry import Local
from eirt.likelihood.cells import (
    Data,
    cell_parameters,
    person_prior,
    row_derivatives,
    row_parameters,
)
from eirt.likelihood.inner import common_moments
from eirt.likelihood.table import Assembly, log_prior, log_table
from eirt.likelihood.testlets import ByTestlet
from eirt.model import CellParameters, Model

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

ELEMENTS = 2**21  # persons at a time x testlets x nodes


class Given(NamedTuple):
    """The posterior of ONE person: log-likelihood, p(x | y), and p(z_s | x, y)."""

    loglik: Float[Array, ""]
    general: Float[Array, " G"]
    specific: Float[Array, "S G K"]


class _Expected(NamedTuple):
    """Sums over persons.

    Attributes:
        loglik: marginal log-likelihoods.
        counts: expected counts of rows at the nodes.
        pairs: those of pairs of rows of a testlet.
        within: products of the expected scores of a testlet given the general dimensions.
        across: covariances of the expected scores of all cells given these.
    """

    loglik: Float[Array, ""]
    counts: Float[Array, "S R G K"]
    pairs: Float[Array, "S R R G K"]
    within: Float[Array, "S Jm Jm"]
    across: Float[Array, "SJm SJm"]


class ByCell(NamedTuple):
    """Sums over persons: log-likelihoods; by cell, scores, curvatures, information that is lost."""

    loglik: Float[Array, ""]
    score: Float[Array, "SJ m"]
    curvature: Float[Array, "SJ m m"]
    lost: Float[Array, "SJm SJm"]


class TwoTier(NamedTuple):
    """General dimensions on shared nodes, specific ones by themselves at each of these.

    Attributes:
        data: the data.
        who: who answered what.
        general: nodes of the general dimensions.
        specific: nodes of one specific dimension.
    """

    data: Data
    who: ByTestlet
    general: Grid
    specific: Grid

    @property
    def grid(self) -> Grid:
        """The nodes of the general dimensions and one other."""
        (x, log_x), (z, log_z) = self.general, self.specific
        nodes = jnp.concatenate([jnp.repeat(x, len(z), axis=0), jnp.tile(z, (len(x), 1))], axis=1)
        return Grid(nodes, (log_x[:, None] + log_z).ravel())

    def reduce(self, cells: CellParameters) -> CellParameters:
        """Return cells that load on the general dimensions and their own only."""
        padded = jnp.pad(cells.loading, ((0, 0), (0, 1)))
        return cells._replace(loading=jnp.take_along_axis(padded, self.who.dimensions, axis=1))

    def _cells(self, model: Model, psi: Array, u: Array) -> CellParameters:
        full = self.data.restriction.expand(psi)
        return self.reduce(cell_parameters(model, full, self.data, u))

    def _table(self, model: Model, cells: CellParameters) -> Float[Array, "S J Y GK"]:
        return log_table(model, cells, self.data, self.grid)[self.who.rows]

    def _parts(self, model: Model, psi: Array) -> tuple[Array, Array, Array]:
        """Return, by person: counts, and log weights of general and of specific nodes."""
        prior = person_prior(model, self.data.restriction.expand(psi), self.data, self.who)
        places, d = jnp.argsort(self.who.order), self.general.nodes.shape[1]

        def log_weights(own: Int[Array, " k"], grid: Grid) -> Array:
            return log_prior(_marginal(prior, own, model.dimension), grid) + grid.log_weights

        one = jax.vmap(lambda place: log_weights(place[None], self.specific), out_axes=1)
        # cells without a specific dimension are a testlet of their own, whose nodes make no odds
        rest = self.who.counts.shape[1] - len(places[d:])
        specific = jnp.concatenate([places[d:], jnp.full(rest, places[-1])])
        return self.who.counts, log_weights(places[:d], self.general), one(specific)

    def _given(self, table: Float[Array, "S J Y GK"], part: tuple[Array, Array, Array]) -> Given:
        """Return the posterior of ONE person."""
        counts, general, specific = part
        shape = (len(counts), len(general), specific.shape[1])
        above = jnp.einsum("sjy,sjyx->sx", counts, table).reshape(shape) + specific[:, None, :]
        each = jax.nn.logsumexp(above, axis=2)
        joint = each.sum(axis=0) + general
        loglik = jax.nn.logsumexp(joint)
        return Given(loglik, jnp.exp(joint - loglik), jnp.exp(above - each[:, :, None]))

    @property
    def block(self) -> int:
        """How many persons fit in memory at a time."""
        n, n_testlets = self.who.counts.shape[:2]
        width = n_testlets * len(self.general.nodes) * len(self.specific.nodes)
        return max(1, min(n, ELEMENTS // width))

    def total(self, model: Model, psi: Array, u: Float[Array, " U"]) -> Float[Array, ""]:
        """Return the sum of all persons' marginal log-likelihoods given u."""
        table = self._table(model, self._cells(model, psi, u))
        one = jax.checkpoint(lambda part: self._given(table, part).loglik)
        return jnp.sum(jax.lax.map(one, self._parts(model, psi), batch_size=self.block))

    def moments(
        self, model: Model, psi: Array, u: Float[Array, " U"]
    ) -> tuple[Float[Array, "N D"], Float[Array, "N D D"]]:
        """Return posterior means and covariances of persons given u."""
        table = self._table(model, self._cells(model, psi, u))
        x, z = jnp.asarray(self.general.nodes), jnp.asarray(self.specific.nodes)[:, 0]

        def one(part: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            now = self._given(table, part)
            mean, square = now.specific @ z, now.specific @ z**2
            at_nodes = jnp.concatenate([x, mean.T], axis=1)
            within = jnp.concatenate([jnp.zeros(x.shape[1]), (square - mean**2) @ now.general])
            found = now.general @ at_nodes
            second = (at_nodes * now.general[:, None]).T @ at_nodes
            covariance = second - jnp.outer(found, found) + jnp.diag(within)
            order = self.who.order
            return found[order], covariance[order][:, order]

        found = jax.lax.map(one, self._parts(model, psi), batch_size=self.block)
        return common_moments(model, psi, self, *found)

    def louis(
        self, model: Model, how: Assembly, psi: Array, u: Float[Array, " U"], carry: Local
    ) -> tuple[Float[Array, ""], Louis]:
        """Return that sum, and score and information about u by Louis' identity."""
        m, (n_cells, m_full, _) = self._moved(how.m), carry.own.shape
        sums = self.sums(model, m, how.block, psi, u)
        places = self._places(m_full)
        at = self.who.cells.ravel()
        own = jnp.pad(carry.own, ((0, 1), (0, 1), (0, 0)))[at[:, None], places[at]]
        own_places = jnp.pad(carry.places, ((0, 1), (0, 0)))[at]
        reduced = Local(own, own_places, carry.size)
        by_cell = jnp.zeros((n_cells + 1, m_full + 1)).at[at[:, None], places[at]].add(sums.score)
        complete, lost = reduced.blocks(sums.curvature), reduced.pairs(sums.lost)
        return sums.loglik, Louis(by_cell[:-1, :-1], complete, lost)

    def _moved(self, m: int) -> int:
        """Return how many parameters of reduced cells the m leading ones of cells are."""
        n_dimensions = len(self.who.order)
        return 1 if m == 1 else m - n_dimensions + self.who.dimensions.shape[1]

    def _places(self, m: int) -> Int[Array, "C+1 m"]:
        """Return where the parameters of reduced cells stand among those of cells, m for none."""
        n_cells, n_dimensions = len(self.who.dimensions), len(self.who.order)
        location = jnp.zeros((n_cells, 1), int)
        if m == 1:
            found = location
        else:
            own = self.who.dimensions
            loading = jnp.where(own < n_dimensions, 1 + own, m)
            rest = jnp.broadcast_to(
                jnp.arange(1 + n_dimensions, m), (n_cells, m - 1 - n_dimensions)
            )
            found = jnp.concatenate([location, loading, rest], axis=1)
        return jnp.pad(found, ((0, 1), (0, 0)), constant_values=m)

    def sums(self, model: Model, m: int, block: int, psi: Array, u: Float[Array, " U"]) -> ByCell:
        """Return sums over persons by cell, cells in the order of testlets.

        Given the general dimensions, scores of testlets are independent:

            Cov(s_a, s_b | y) = Cov(E s_a, E s_b) + [a = b] E Cov(s_a | x)
        """
        cells = self._cells(model, psi, u)
        rows = row_derivatives(
            model, row_parameters(cells, self.data), self.data.row_y, self.grid, m
        )
        n_testlets, n_cells, _ = shape = self.who.rows.shape
        n_x, n_z = len(self.general.nodes), len(self.specific.nodes)
        gradient = rows.gradient[self.who.rows].reshape(n_testlets, -1, n_x, n_z, m)
        hessian = rows.hessian[self.who.rows].reshape(n_testlets, -1, n_x, n_z, m, m)
        table, n_rows, size = self._table(model, cells), gradient.shape[1], n_cells * m

        def by_cell(of_rows: Float[Array, "... R m"]) -> Float[Array, "... Jm"]:
            start = of_rows.shape[:-2]
            return of_rows.reshape(*start, *shape[1:], m).sum(axis=-2).reshape(*start, size)

        def add(total: _Expected, part: tuple[Array, Array, Array]) -> _Expected:
            now = jax.vmap(self._given, (None, 0))(table, part)
            counts = part[0].reshape(-1, n_testlets, n_rows)
            joint = now.general[:, None, :, None] * now.specific
            pairs = counts[:, :, :, None] * counts[:, :, None, :]
            at_nodes = jnp.einsum("nsgk,srgkm->ngsrm", now.specific, gradient)
            means = by_cell(at_nodes * counts[:, None, :, :, None])
            own = jnp.einsum("ng,ngsa,ngsb->sab", now.general, means, means)
            means = means.reshape(*means.shape[:2], -1)
            mean = jnp.einsum("ng,nga->na", now.general, means)
            across = jnp.einsum("nga,ngb->ab", means * now.general[:, :, None], means)
            return _Expected(
                total.loglik + jnp.sum(now.loglik),
                total.counts + jnp.einsum("nsr,nsgk->srgk", counts, joint),
                total.pairs + jnp.einsum("nsrq,nsgk->srqgk", pairs, joint),
                total.within + own,
                total.across + across - mean.T @ mean,
            )

        empty = _Expected(
            jnp.zeros(()),
            jnp.zeros(gradient.shape[:-1]),
            jnp.zeros((n_testlets, n_rows, *gradient.shape[1:-1])),
            jnp.zeros((n_testlets, size, size)),
            jnp.zeros((n_testlets * size, n_testlets * size)),
        )
        found = over_blocks(add, empty, self._parts(model, psi), block)
        score = by_cell(jnp.einsum("srgk,srgkm->srm", found.counts, gradient))
        curvature = -jnp.einsum("srgk,srgkmo->srmo", found.counts, hessian)
        curvature = curvature.reshape(*shape, m, m).sum(axis=2)
        second = jnp.einsum("srqgk,srgkm,sqgko->srmqo", found.pairs, gradient, gradient)
        second = by_cell(jnp.moveaxis(by_cell(jnp.moveaxis(second, (3, 4), (1, 2))), 3, 1))
        by_testlet = found.across.reshape(n_testlets, size, n_testlets, size)
        diagonal = jnp.arange(n_testlets)
        lost = by_testlet.at[diagonal, :, diagonal, :].add(second - found.within)
        return ByCell(
            found.loglik,
            score.reshape(-1, m),
            curvature.reshape(-1, m, m),
            lost.reshape(found.across.shape),
        )


def _marginal(prior: Float[Array, "N s"], own: Int[Array, " k"], dimension: int) -> Array:
    """Return the natural parameters of some dimensions, which are independent of the others."""
    linear = prior[:, :dimension][:, own]
    if prior.shape[1] == dimension:
        return linear
    square = prior[:, dimension:].reshape(-1, dimension, dimension)[:, own][:, :, own]
    return jnp.concatenate([linear, square.reshape(len(prior), -1)], axis=1)
