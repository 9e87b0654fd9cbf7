"""Persons integrated on shared nodes: the table of row log-probabilities and its derivatives.

    log L = sum over persons of log sum over nodes of exp{(R T)_pk + log w_k}

R counts rows by person, T holds log p(row | node). Fisher's identity gives the gradient, Louis'
(1982) the observed information, both as matrix products over expected counts and posteriors.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from eirt._math import Grid
from eirt.design import Design
from eirt.likelihood.ability import partition, statistics
from eirt.likelihood.base import Data, cell_parameters, flatten, person_prior, row_parameters
from eirt.likelihood.carry import Carry, Direct, Local
from eirt.likelihood.incidence import (
    Dense,
    Incidence,
    incidence,
    longest_test,
    nearly_complete,
)
from eirt.model import CellParameters, Model

MAX_NODES = 20_000
WIDER = 1.25  # the finer grid that checks a grid also reaches further


def default_nodes(dimension: int) -> int:
    """Return how many nodes each dimension of the latent trait gets."""
    return {0: 1, 1: 61, 2: 31}.get(dimension, 15)


def finer_nodes(nodes: int, dimension: int) -> int | None:
    """Return about twice as many nodes per dimension, or None where those would be too many."""
    finer = 2 * nodes - 1
    return finer if finer**dimension <= MAX_NODES else None


class Posterior(NamedTuple):
    """Each person's log-likelihood, and posterior weights over the nodes."""

    loglik: Float[Array, " N"]
    weights: Float[Array, "N K"]


def log_table(model: Model, cells: CellParameters, data: Data, grid: Grid) -> Float[Array, "S K"]:
    """Return log p(row | node) for every row and node."""
    at_node = jax.vmap(model.log_prob, (None, None, 0))
    nodes = jnp.asarray(grid.nodes)
    return jax.vmap(at_node, (0, 0, None))(row_parameters(cells, data), data.row_y, nodes)


def posterior(
    model: Model, full: Array, data: Data, who: Incidence, grid: Grid, u: Float[Array, " U"]
) -> Posterior:
    """Return the posterior of every person over the nodes."""
    table = log_table(model, cell_parameters(model, full, data, u), data, grid)
    tilt = log_prior(person_prior(model, full, data, who), grid)
    joint = who.by_person(table) + tilt + grid.log_weights
    loglik = jax.nn.logsumexp(joint, axis=1)
    return Posterior(loglik, jnp.exp(joint - loglik[:, None]))


def node_statistics(grid: Grid, size: int) -> Float[Array, "K s"]:
    """Return what natural parameters of persons multiply, at every node."""
    return jax.vmap(statistics, (0, None))(jnp.asarray(grid.nodes), size)


def log_prior(prior: Float[Array, "N s"], grid: Grid) -> Float[Array, "N K"]:
    """Return the log density of each person at every node, relative to the weights."""
    normaliser = jax.vmap(partition, (0, None))(prior, grid.nodes.shape[1])
    return prior @ node_statistics(grid, prior.shape[1]).T - normaliser[:, None]


def posterior_moments(
    weights: Float[Array, "N K"], grid: Grid
) -> tuple[Float[Array, "N D"], Float[Array, "N D D"]]:
    """Return each person's posterior mean and covariance over the nodes."""
    nodes = jnp.asarray(grid.nodes)
    mean = weights @ nodes
    second = jnp.einsum("nk,kd,ke->nde", weights, nodes, nodes)
    return mean, second - mean[:, :, None] * mean[:, None, :]


class RowDerivatives(NamedTuple):
    """Derivatives of log p(row | node) in the m leading parameters of the row's cell."""

    gradient: Float[Array, "S K m"]
    hessian: Float[Array, "S K m m"]


def derivatives(
    model: Model, cells: CellParameters, data: Data, grid: Grid, m: int
) -> RowDerivatives:
    """Differentiate log p(row | node) in the first m parameters of the row's cell.

    With m = 1 that is the location alone: all that global effects without slopes move.
    """
    flat = flatten(row_parameters(cells, data))

    def log_prob(lead: Array, rest: Array, y: Array, node: Array) -> Array:
        cell = jnp.concatenate([lead, rest])
        split = CellParameters(cell[0], cell[1 : 1 + model.dimension], cell[1 + model.dimension :])
        return model.log_prob(split, y, node)

    gradient = jax.grad(log_prob)
    hessian = jax.jacfwd(gradient)
    both = jax.vmap(lambda *row: (gradient(*row), hessian(*row)), (None, None, None, 0))
    return RowDerivatives(
        *jax.vmap(both, (0, 0, 0, None))(flat[:, :m], flat[:, m:], data.row_y, grid.nodes)
    )


class Louis(NamedTuple):
    """Sums over persons: expected score by cell, complete information, and that which is lost.

    The observed information is `complete - lost` (Louis, 1982).
    """

    by_cell: Float[Array, "C m"]
    complete: Float[Array, "P P"]
    lost: Float[Array, "P P"]


class Assembly(NamedTuple):
    """How to sum over persons.

    Attributes:
        m: how many of a cell's parameters the target moves.
        block: persons at a time.
        canonical: whether every person answered every cell once and the score is
            t(y) - mean(eta), so that the sum over persons reduces to matrix products.
    """

    m: int
    block: int
    canonical: bool


def assemble(
    model: Model, design: Design, n_nodes: int, n_targets: int, m: int
) -> tuple[Assembly, Incidence]:
    """Choose, from the shapes and the response, how to store who answered what and how to sum."""
    dense = nearly_complete(design)
    slots = len(design.x) if dense else longest_test(design)
    width = n_nodes * (slots * m + (n_targets if dense else 0))
    block = int(np.clip(2**20 // width, 1, min(len(design.persons), 4096)))
    canonical = dense and design.complete and model.response.canonical
    return Assembly(m, block, canonical), incidence(design, dense, block)


def louis(
    how: Assembly,
    rows: RowDerivatives,
    carry: Carry,
    data: Data,
    who: Incidence,
    weights: Float[Array, "N K"],
    grid: Grid,
    moving: Float[Array, "N s P"] | None = None,
) -> Louis:
    """Assemble score and information from row derivatives and posterior weights.

    Args:
        how: how to sum.
        rows: derivatives in the leading parameters of each row's cell.
        carry: from those parameters to the target.
        data: the data.
        who: the incidence, persons padded to a multiple of the block.
        weights: posterior weights of the nodes, by person.
        grid: the nodes.
        moving: derivatives of the natural parameters of persons in the target, if it moves them.
    """
    expected = who.by_row(weights * who.weight[:, None], len(data.row_cell))
    n_cells = len(data.cells.item)
    row_score = jnp.einsum("sk,skm->sm", expected, rows.gradient)
    row_curvature = -jnp.einsum("sk,skmn->smn", expected, rows.hessian)
    by_cell = jax.ops.segment_sum(row_score, data.row_cell, n_cells)
    complete = carry.blocks(jax.ops.segment_sum(row_curvature, data.row_cell, n_cells))
    if how.canonical and isinstance(who, Dense):
        lost = _lost_canonical(rows, carry, data, who, weights, grid, moving)
    else:
        lost = _lost(how.block, rows, carry, data, who, weights, grid, moving)
    return Louis(by_cell, complete, lost)


def _lost(
    block: int,
    rows: RowDerivatives,
    carry: Carry,
    data: Data,
    who: Incidence,
    weights: Float[Array, "N K"],
    grid: Grid,
    moving: Float[Array, "N s P"] | None,
) -> Float[Array, "P P"]:
    """Return the sum over persons of the posterior covariance of their scores."""
    between_cells = isinstance(carry, Local) and isinstance(who, Dense)

    def add(total: Array, part: tuple[dict[str, Any], Array, Array | None]) -> tuple[Array, None]:
        arrays, w, move = part
        some = who._replace(**arrays)
        mass = w * some.weight[:, None]
        scores = some.scores(rows.gradient)
        cells = None if isinstance(some, Dense) else data.row_cell[some.rows]
        if isinstance(carry, Local) and cells is not None:
            centred = scores - jnp.einsum("nk,nks->ns", w, scores)[:, None, :]
            between = jnp.einsum("nks,nkt->nst", centred * mass[:, :, None], centred)
            return carry.by_response(between, cells, total), None
        if isinstance(carry, Direct):
            scores = carry.scores(scores, cells)
        if move is not None:
            own = node_statistics(grid, move.shape[1])
            scores = scores + jnp.einsum("ks,nsp->nkp", own, move)
        mean = jnp.einsum("nk,nkp->np", w, scores)
        second = jnp.einsum("nkp,nkq->pq", scores * mass[:, :, None], scores)
        return total + second - (mean * some.weight[:, None]).T @ mean, None

    shared = ("rows_of_cell", "person")
    by_person = {name: leaf for name, leaf in who._asdict().items() if name not in shared}
    n_blocks = len(weights) // block
    parts = jax.tree.map(
        lambda leaf: leaf.reshape(n_blocks, block, *leaf.shape[1:]), (by_person, weights, moving)
    )
    size = rows.gradient.shape[-1] * len(data.cells.item) if between_cells else carry.size
    # blocks are recomputed, not stored, when this is differentiated in turn
    total = jax.lax.scan(jax.checkpoint(add), jnp.zeros((size, size), weights.dtype), parts)[0]
    return carry.pairs(total) if between_cells else total


def _lost_canonical(
    rows: RowDerivatives,
    carry: Carry,
    data: Data,
    who: Dense,
    weights: Float[Array, "N K"],
    grid: Grid,
    moving: Float[Array, "N s P"] | None,
) -> Float[Array, "P P"]:
    """Return the same for complete data and scores y a_m(x) - h_cm(x), by matrix products.

    With a = (1, x), the covariance over nodes of y_c a - h_c and y_d a' - h_d is
    y_c y_d Cov(a, a') - y_c Cov(a, h_d) - Cov(h_c, a') y_d + Cov(h_c, h_d).
    """
    first = who.rows_of_cell[:, 0]
    m = rows.gradient.shape[-1]
    n_nodes = len(grid.nodes)
    a = jnp.concatenate([jnp.ones((n_nodes, 1)), jnp.asarray(grid.nodes)], axis=1)[:, :m]
    # h as in y a - h, read off any row of the cell
    h = data.row_y[first][:, None, None] * a - rows.gradient[first]
    h = jnp.moveaxis(h, 1, 0).reshape(n_nodes, -1)
    mean_h = weights @ h
    mass = weights * who.weight[:, None]
    lost = h.T @ (mass.sum(axis=0)[:, None] * h) - (mean_h * who.weight[:, None]).T @ mean_h
    if m == 1 and moving is None:
        return carry.pairs(lost)
    y = who.by_person(data.row_y[:, None] * jax.nn.one_hot(data.row_cell, len(first)))

    def covariance(left: Array, right: Array) -> Array:
        means = (weights @ left)[:, :, None] * (weights @ right)[:, None, :]
        return jnp.einsum("nk,ka,kb->nab", weights, left, right) - means

    cov_ah = covariance(a, h)
    weighted = y * who.weight[:, None]
    size = h.shape[1]
    both = jnp.einsum("nc,nd,nab->cadb", weighted, y, covariance(a, a)).reshape(size, size)
    cross = jnp.einsum("nc,naj->caj", weighted, cov_ah).reshape(size, size)
    lost = carry.pairs(lost + both - cross - cross.T)
    if moving is None or not isinstance(carry, Direct):
        return lost
    own = node_statistics(grid, moving.shape[1])
    cov_sa = covariance(own, a)
    with_y = jnp.einsum("nc,nsa->nsca", y, cov_sa).reshape(len(y), -1, size)
    scores = (with_y - covariance(own, h)) @ carry.flat
    carried = jnp.einsum("n,nsp,nsq->pq", who.weight, moving, scores)
    mine = jnp.einsum("n,nsp,nst,ntq->pq", who.weight, moving, covariance(own, own), moving)
    return lost + carried + carried.T + mine
