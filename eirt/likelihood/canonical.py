"""Canonical families on a table of persons x cells: sufficiency turns sums into products.

Where log p = y eta - b(eta) + c(y), with eta = location + loading . x, a person's log-likelihood
at the nodes needs only two weighted sums of the responses, and informations are products of
persons x cells and persons x nodes matrices. Where everybody answered everything nothing grows
with persons x cells x nodes; where responses are missing, posterior covariances are projected on
a few polynomials. Where loadings are known up to a common factor (Rasch, LLTM), persons of equal
weighted scores have equal posteriors, and are one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._math import Grid, over_blocks, rounded_up, symmetric_product
from eirt.design import Design
from eirt.likelihood.ability import node_statistics
from eirt.likelihood.carry import Carry, Direct
from eirt.likelihood.cells import row_derivatives
from eirt.likelihood.polynomials import enough, orthonormal, polynomials, powers_up_to
from eirt.likelihood.sufficient import Canonical
from eirt.model import CellParameters, Model

if TYPE_CHECKING:
    from jax.typing import DTypeLike
    from jaxtyping import Array, Float

ELEMENTS = 2**23  # persons at a time x polynomials x cells


class Assembly(NamedTuple):
    """How to sum over persons.

    Attributes:
        m: how many of a cell's parameters the target moves.
        block: persons at a time.
        degree: of the polynomials on which posterior covariances are projected.
        single: whether posteriors are in single precision; sums are not.
    """

    m: int
    block: int
    degree: int = 0
    single: bool = False


class Louis(NamedTuple):
    """Sums over persons: expected score by cell, complete information, and that which is lost.

    The observed information is `complete - lost` (Louis, 1982).
    """

    by_cell: Float[Array, "C m"]
    complete: Float[Array, "P P"]
    lost: Float[Array, "P P"]


def canonical_log_likelihoods(
    model: Model, cells: CellParameters, who: Canonical, grid: Grid, dtype: DTypeLike = float
) -> Float[Array, "N K"]:
    """Return each person's log-likelihood at every node, products in the precision asked for."""
    at_node = jax.vmap(model.log_prob, (None, None, 0))
    nodes = jnp.asarray(grid.nodes)
    by_cell = jax.vmap(at_node, (0, 0, None))(cells, who.base, nodes)
    if who.present is None:
        base = by_cell.sum(axis=0).astype(dtype)
    else:
        base = who.present.astype(dtype) @ by_cell.astype(dtype)
    above = who.y.astype(dtype) - who.base.astype(dtype)
    level = above @ cells.location.astype(dtype)
    if who.constant is not None:
        level = level + who.constant.astype(dtype)
    slope = above @ cells.loading.astype(dtype)
    return base + level[:, None] + slope @ nodes.T.astype(dtype)


def canonical_louis(
    model: Model,
    how: Assembly,
    cells: CellParameters,
    carry: Carry,
    who: Canonical,
    weights: Float[Array, "N K"],
    grid: Grid,
    moving: Float[Array, "N s P"] | None,
) -> Louis:
    """Assemble score and information from posterior weights; see `table.louis`.

    The score of a cell is y a(x) - h(x) with a = (1, x), so that its posterior covariances are
    those of x and of h.
    """
    m, n_cells, n_nodes, dtype = how.m, len(who.base), len(grid.nodes), weights.dtype
    at_nodes = row_derivatives(model, cells, who.base, grid, m)
    a = jnp.concatenate([jnp.ones((n_nodes, 1)), jnp.asarray(grid.nodes)], axis=1)[:, :m]
    h = jnp.swapaxes(who.base[:, None, None] * a - at_nodes.gradient, 0, 1)
    a, h, curvature = (x.astype(dtype) for x in (a, h, at_nodes.hessian))
    who = who._replace(y=who.y.astype(dtype), weight=who.weight.astype(dtype))
    mass = weights * who.weight[:, None]
    if who.present is not None:
        who = who._replace(present=who.present.astype(dtype))
        assert who.present is not None
        count = who.present.T @ mass
        by_cell = (who.present * who.y).T @ (mass @ a) - jnp.einsum("ck,kcm->cm", count, h)
        complete = carry.blocks(-jnp.einsum("ck,ckmo->cmo", count, curvature))
        return Louis(by_cell, complete, _projected(a, h, how, carry, who, weights, grid))
    count = mass.sum(axis=0)
    by_cell = who.y.T @ (mass @ a) - jnp.einsum("k,kcm->cm", count, h)
    complete = carry.blocks(-jnp.einsum("k,ckmo->cmo", count, curvature))
    flat = h.reshape(n_nodes, n_cells * m)
    if n_nodes < n_cells * m:
        within = flat.T @ ((jnp.diag(count) - mass.T @ weights) @ flat)
    else:
        mean = weights @ flat
        within = flat.T @ (count[:, None] * flat) - (mean * who.weight[:, None]).T @ mean
    if m == 1 and moving is None:
        return Louis(by_cell, complete, carry.pairs(within))
    lost = within + _with_responses(a[:, 1:], flat, who, weights, m)
    if moving is None or not isinstance(carry, Direct):
        return Louis(by_cell, complete, carry.pairs(lost))
    return Louis(
        by_cell,
        complete,
        carry.pairs(lost) + _with_persons(a, flat, carry, who, weights, grid, moving),
    )


def _projected(
    a: Float[Array, "K m"],
    h: Float[Array, "K C m"],
    how: Assembly,
    carry: Carry,
    who: Canonical,
    weights: Float[Array, "N K"],
    grid: Grid,
) -> Float[Array, "P P"]:
    """Return what is lost where responses are missing.

        Cov_p(s, s') ~= E_p(s v) Cov_p(v)^-1 E_p(v s'),   v = centred polynomials of x

    Posteriors are narrow next to what bends a response function, so that a low degree leaves
    nothing. The projection does not depend on the centre and the scale of the polynomials.
    """
    n_nodes, n_cells, m = h.shape
    powers = powers_up_to(grid.nodes.shape[1], how.degree)
    flat = h.reshape(n_nodes, n_cells * m)

    def add(total: Array, part: tuple[Array, ...]) -> Array:
        w, y, present, weight = part
        v = w[:, None, :] * orthonormal(polynomials(w, grid, powers), w)
        projected = (v.reshape(-1, n_nodes) @ flat).reshape(*v.shape[:2], n_cells, m)
        scores = jnp.einsum("nc,nqm->nqcm", y, v @ a) - projected
        scores = scores * present[:, None, :, None] * jnp.sqrt(weight)[:, None, None, None]
        rows = scores.reshape(-1, n_cells * m)
        return total + rows.T @ rows

    parts = (weights, who.y, who.present, who.weight)
    empty = jnp.zeros((n_cells * m, n_cells * m), weights.dtype)
    return carry.pairs(over_blocks(add, empty, parts, how.block))


def projection(design: Design, dimension: int, m: int) -> Assembly:
    """Choose how to project: a degree that leaves nothing of note, persons that fit in memory."""
    degree = enough(design.n_obs / design.n_persons / max(dimension, 1), dimension)
    width = len(powers_up_to(dimension, degree)) * len(design.x) * m
    block = np.clip(ELEMENTS // max(width, 1), 1, rounded_up(design.n_persons))
    return Assembly(m, int(block), degree)


def _with_responses(
    x: Float[Array, "K D"], flat: Float[Array, "K Cm"], who: Canonical, weights: Array, m: int
) -> Float[Array, "Cm Cm"]:
    """Return the covariances of y x with itself and, twice and negative, with h."""
    n_cells, d = len(who.base), x.shape[1]
    mean = weights @ x
    weighted = who.y * who.weight[:, None]
    empty = jnp.zeros((n_cells, m, n_cells, m), weights.dtype)
    for b in range(d):
        cross = weighted.T @ (weights * (x[:, b] - mean[:, b : b + 1])) @ flat
        cross = cross.reshape(n_cells, n_cells, m)
        empty = empty.at[:, 1 + b, :, :].add(-cross)
        empty = empty.at[:, :, :, 1 + b].add(-jnp.moveaxis(cross, 0, 2))
        for c in range(d):
            covariance = weights @ (x[:, b] * x[:, c]) - mean[:, b] * mean[:, c]
            both = symmetric_product(weighted * covariance[:, None], who.y)
            empty = empty.at[:, 1 + b, :, 1 + c].add(both)
    return empty.reshape(n_cells * m, n_cells * m)


def _with_persons(
    a: Float[Array, "K m"],
    flat: Float[Array, "K Cm"],
    carry: Direct,
    who: Canonical,
    weights: Float[Array, "N K"],
    grid: Grid,
    moving: Float[Array, "N s P"],
) -> Float[Array, "P P"]:
    """Return what persons' priors add: covariances of their statistics with everything."""
    own = node_statistics(grid, moving.shape[1])

    def covariance(left: Array, right: Array) -> Array:
        means = (weights @ left)[:, :, None] * (weights @ right)[:, None, :]
        return jnp.einsum("nk,ka,kb->nab", weights, left, right) - means

    with_y = jnp.einsum("nc,nsa->nsca", who.y, covariance(own, a))
    size = flat.shape[1]
    scores = (with_y.reshape(*with_y.shape[:2], size) - covariance(own, flat)) @ carry.flat
    carried = jnp.einsum("n,nsp,nsq->pq", who.weight, moving, scores)
    mine = jnp.einsum("n,nsp,nst,ntq->pq", who.weight, moving, covariance(own, own), moving)
    return carried + carried.T + mine
