"""Persons integrated on shared nodes: the table of row log-probabilities and its derivatives.

    log L = sum over persons of log sum over nodes of exp{(R T)_pk + log w_k}

R counts rows by person, T holds log p(row | node). Fisher's identity gives the gradient, Louis'
(1982) the observed information, both as matrix products over expected counts and posteriors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._math import Grid, over_blocks, rounded_up, symmetric_product
from eirt.design import Design
from eirt.likelihood.ability import node_statistics, partition
from eirt.likelihood.canonical import (
    Assembly,
    Louis,
    canonical_log_likelihoods,
    canonical_louis,
    projection,
)
from eirt.likelihood.carry import Carry, Direct, Local, Uncarried
from eirt.likelihood.cells import (
    Data,
    People,
    RowDerivatives,
    cell_parameters,
    person_prior,
    row_derivatives,
    row_parameters,
)
from eirt.likelihood.incidence import (
    Dense,
    Padded,
    incidence,
    longest_test,
    nearly_complete,
)
from eirt.likelihood.polynomials import (
    RANK,
    compressed,
    enough,
    orthonormal,
    polynomials,
    powers_up_to,
)
from eirt.likelihood.sufficient import Canonical, by_person, canonical_incidence
from eirt.model import CellParameters, Model

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

Incidence = Dense | Padded | Canonical
MAX_NODES = 20_000
MOST_PRODUCTS = 1e9  # persons x nodes x pairs of targets: beyond, scores are projected
LEFT_OUT = 1e-6  # of the posterior variance of a score, in an information
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


def rows_of_persons(who: People, n: int) -> Int[np.ndarray, " n"] | slice:
    """Return which row of an incidence each of the n persons of the data is."""
    if isinstance(who, Canonical) and who.group is not None:
        return np.asarray(who.group)[:n]
    return slice(n)


def log_table(model: Model, cells: CellParameters, data: Data, grid: Grid) -> Float[Array, "S K"]:
    """Return log p(row | node) for every row and node."""
    at_node = jax.vmap(model.log_prob, (None, None, 0))
    nodes = jnp.asarray(grid.nodes)
    return jax.vmap(at_node, (0, 0, None))(row_parameters(cells, data), data.row_y, nodes)


def posterior(
    model: Model,
    full: Array,
    data: Data,
    who: Incidence,
    grid: Grid,
    u: Float[Array, " U"],
    single: bool = False,
) -> Posterior:
    """Return the posterior of every person over the nodes."""
    cells, dtype = cell_parameters(model, full, data, u), jnp.float32 if single else full.dtype
    if isinstance(who, Canonical):
        likelihoods = canonical_log_likelihoods(model, cells, who, grid, dtype)
    else:
        likelihoods = who.by_person(log_table(model, cells, data, grid))
    joint = likelihoods + jnp.asarray(grid.log_weights).astype(likelihoods.dtype)
    if model.varied:
        tilt = log_prior(person_prior(model, full, data, who), grid)
        joint = joint + tilt.astype(joint.dtype)
    top = jax.lax.stop_gradient(jnp.max(joint, axis=1, keepdims=True))
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    density = jnp.exp(joint - top)  # once: exponentials are most of the work
    total = jnp.sum(density, axis=1, keepdims=True)
    return Posterior(jnp.log(total[:, 0]) + top[:, 0], density / total)


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


def tabulated(model: Model, design: Design) -> bool:
    """Return whether products over persons x cells do all that is to be done."""
    crossed = any(not term.local for term in design.terms)
    return model.response.canonical and (design.complete or (crossed and design.aligned))


def assemble(
    model: Model, design: Design, n_nodes: int, n_targets: int, m: int
) -> tuple[Assembly, Incidence]:
    """Choose, from the shapes and the response, how to store who answered what and how to sum."""
    if tabulated(model, design):
        return projection(design, model.dimension, m), canonical_incidence(model, design)
    dense = nearly_complete(design)
    slots = len(design.x) if dense else longest_test(design)
    degree = _degree(model, design, n_nodes, n_targets)
    width = n_nodes * (slots * m + (n_targets if dense else 0))
    if degree:
        width = 2 * min(n_nodes, RANK) * slots * m
    # data of about a size share a compiled program
    block = int(np.clip(2**20 // width, 1, min(rounded_up(design.n_persons), 4096)))
    size = -(-rounded_up(len(design.persons)) // block) * block
    return Assembly(m, block, degree), incidence(design, dense, size)


def _degree(model: Model, design: Design, n_nodes: int, n_targets: int) -> int:
    """Return up to which degree scores are projected on polynomials, 0 where none are.

    Where effects are crossed the information is part of the value: there it is exact.
    """
    n_persons, dimension = design.n_persons, model.dimension
    quick = n_persons * n_nodes * n_targets**2 < MOST_PRODUCTS
    if quick or dimension not in (1, 2) or not all(term.local for term in design.terms):
        return 0
    degree = enough(design.n_obs / n_persons / dimension, dimension, LEFT_OUT)
    return degree if 2 * len(powers_up_to(dimension, degree)) < n_nodes else 0


def louis(
    model: Model,
    how: Assembly,
    cells: CellParameters,
    carry: Carry,
    data: Data,
    who: Incidence,
    weights: Float[Array, "N K"],
    grid: Grid,
    moving: Float[Array, "N s P"] | None = None,
) -> Louis:
    """Assemble score and information from row derivatives and posterior weights.

    Args:
        model: the model.
        how: how to sum.
        cells: parameters of every cell.
        carry: from the leading parameters of cells to the target.
        data: the data.
        who: the incidence, persons padded to a multiple of the block.
        weights: posterior weights of the nodes, by person.
        grid: the nodes.
        moving: derivatives of the natural parameters of persons in the target, if it moves them.
    """
    if isinstance(who, Canonical):
        return canonical_louis(model, how, cells, carry, who, weights, grid, moving)
    rows = row_derivatives(model, row_parameters(cells, data), data.row_y, grid, how.m)
    expected = who.by_row(weights * who.weight[:, None], len(data.row_cell))
    n_cells = len(data.cells.item)
    row_score = jnp.einsum("sk,skm->sm", expected, rows.gradient)
    row_curvature = -jnp.einsum("sk,skmn->smn", expected, rows.hessian)
    by_cell = jax.ops.segment_sum(row_score, data.row_cell, n_cells)
    complete = carry.blocks(jax.ops.segment_sum(row_curvature, data.row_cell, n_cells))
    if how.degree and isinstance(carry, Direct):
        lost = _projected(how, rows, carry, data, who, weights, grid, moving)
    else:
        lost = _lost(how.block, rows, carry, data, who, weights, grid, moving)
    return Louis(by_cell, complete, lost)


def _projected(
    how: Assembly,
    rows: RowDerivatives,
    carry: Direct,
    data: Data,
    who: Dense | Padded,
    weights: Float[Array, "N K"],
    grid: Grid,
    moving: Float[Array, "N s P"] | None,
) -> Float[Array, "P P"]:
    """Return what is lost, from few polynomials in place of many nodes.

        Cov_p(s, s') ~= sum over q of E_p(s v_q) E_p(v_q s')

    where v_q are polynomials of the trait, uncorrelated under the posterior of p. Single precision
    does: it rounds by less than what polynomials leave out.
    """
    powers = powers_up_to(grid.nodes.shape[1], how.degree)
    table, basis = compressed(rows.gradient, weights)
    table = table.astype(jnp.float32)
    # carrying the sum is cheaper than carrying every score, where targets are nearly as many
    between_cells = isinstance(who, Dense) and moving is None and len(carry.flat) < 1.6 * carry.size

    def add(total: Array, part: tuple[dict[str, Any], Array, Array | None]) -> Array:
        arrays, w, move = part
        some = who._replace(**arrays)
        v = w[:, None, :] * orthonormal(polynomials(w, grid, powers), w)
        v = v * jnp.sqrt(some.weight)[:, None, None]
        scores = some.projected(table, (v @ basis).astype(jnp.float32))
        if not between_cells:
            scores = carry.scores(scores.astype(w.dtype), _cells_answered(some, data))
        if move is not None:
            own = node_statistics(grid, move.shape[1])
            scores = scores + jnp.einsum("nqk,ks,nsp->nqp", v, own, move)
        rows = scores.reshape(-1, scores.shape[-1])
        return total + symmetric_product(rows, rows).astype(w.dtype)

    size = len(carry.flat) if between_cells else carry.size
    empty = jnp.zeros((size, size), weights.dtype)
    total = over_blocks(add, empty, (by_person(who), weights, moving), how.block)
    return carry.pairs(total) if between_cells else total


def _cells_answered(who: Dense | Padded, data: Data) -> Int[Array, "N J"] | None:
    """Return the cell of each response; None where scores are by cell."""
    return None if isinstance(who, Dense) else data.row_cell[who.rows]


def _lost(
    block: int,
    rows: RowDerivatives,
    carry: Carry,
    data: Data,
    who: Dense | Padded,
    weights: Float[Array, "N K"],
    grid: Grid,
    moving: Float[Array, "N s P"] | None,
) -> Float[Array, "P P"]:
    """Return the sum over persons of the posterior covariance of their scores."""
    between_cells = isinstance(carry, Local) and isinstance(who, Dense)

    def add(total: Array, part: tuple[dict[str, Any], Array, Array | None]) -> Array:
        arrays, w, move = part
        some = who._replace(**arrays)
        mass = w * some.weight[:, None]
        scores = some.scores(rows.gradient)
        cells = _cells_answered(some, data)
        if isinstance(carry, Local) and cells is not None:
            centred = scores - jnp.einsum("nk,nks->ns", w, scores)[:, None, :]
            between = jnp.einsum("nks,nkt->nst", centred * mass[:, :, None], centred)
            return carry.by_response(between, cells, total)
        if isinstance(carry, Direct):
            scores = carry.scores(scores, cells)
        if move is not None:
            own = node_statistics(grid, move.shape[1])
            scores = scores + jnp.einsum("ks,nsp->nkp", own, move)
        mean = jnp.einsum("nk,nkp->np", w, scores)
        second = jnp.einsum("nkp,nkq->pq", scores * mass[:, :, None], scores)
        return total + second - (mean * some.weight[:, None]).T @ mean

    assert not isinstance(carry, Uncarried)
    size = rows.gradient.shape[-1] * len(data.cells.item) if between_cells else carry.size
    empty = jnp.zeros((size, size), weights.dtype)
    total = over_blocks(add, empty, (by_person(who), weights, moving), block)
    return carry.pairs(total) if between_cells else total
