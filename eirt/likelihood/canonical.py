"""Canonical families on a table of persons x cells: sufficiency turns sums into products.

Where log p = y eta - b(eta) + c(y), with eta = location + loading . x, a person's log-likelihood
at the nodes needs only two weighted sums of the responses, and informations are products of
persons x cells and persons x nodes matrices. Where everybody answered everything nothing grows
with persons x cells x nodes; where responses are missing, posterior covariances are projected on
a few polynomials. Where loadings are known up to a common factor (Rasch, LLTM), persons of equal
weighted scores have equal posteriors, and are one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._math import Grid, on_host, over_blocks, rounded_up
from eirt.design import Design
from eirt.factors import combine, first_of
from eirt.likelihood.ability import node_statistics
from eirt.likelihood.carry import Carry, Direct
from eirt.likelihood.cells import row_derivatives
from eirt.likelihood.incidence import aligned_responses
from eirt.likelihood.polynomials import enough, orthonormal, polynomials, powers_up_to
from eirt.model import CellParameters, Model, Person
from eirt.responses import Response

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

ELEMENTS = 2**23  # persons at a time x polynomials x cells


class Canonical(NamedTuple):
    """Who answered what, each cell at most once.

    Persons who are known to have the same posterior are one, with their mean responses.

    Attributes:
        y: responses, persons x cells; the base where there is none.
        present: 1 for a response, 0 where there is none; None where there are all.
        base: a response that each cell is compared with.
        constant: what log p(y) holds besides y eta - b(eta), relative to the base, by person.
        weight: how many each stands for.
        person: covariates of each person.
        group: which of these each person of the data is.
    """

    y: Float[Array, "N C"]
    present: Float[Array, "N C"] | None
    base: Float[Array, " C"]
    constant: Float[Array, " N"]
    weight: Float[Array, " N"]
    person: Person
    group: Int[Array, " persons"]


class Assembly(NamedTuple):
    """How to sum over persons.

    Attributes:
        m: how many of a cell's parameters the target moves.
        block: persons at a time.
        degree: of the polynomials on which posterior covariances are projected.
    """

    m: int
    block: int
    degree: int = 0


class Louis(NamedTuple):
    """Sums over persons: expected score by cell, complete information, and that which is lost.

    The observed information is `complete - lost` (Louis, 1982).
    """

    by_cell: Float[Array, "C m"]
    complete: Float[Array, "P P"]
    lost: Float[Array, "P P"]


@compiled(0)
def _at_zero(response: Response, values: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return the log probabilities of responses where the predictor is zero."""
    each = jax.vmap(response.log_prob, (0, None, None))
    return each(values, jnp.zeros(()), jnp.zeros(response.n_aux))


def canonical_incidence(model: Model, design: Design) -> Canonical:
    """Return the responses as a table of persons x cells.

    Rows of no weight round their number up: data of about this size share a compiled program.
    """
    found: Any = aligned_responses(design)
    base = np.full(found.y.shape[1], design.row_y[0])
    y = found.y
    values = np.unique(design.row_y)
    known = np.asarray(_at_zero(model.response, values))
    known = known - known[values == base[0]]
    constant = np.zeros(len(y))
    if np.any(known):
        constant = known[np.searchsorted(values, y)].sum(axis=1)
    group, weight = np.arange(len(y)), np.ones(len(y))
    first = group
    present = found.present
    if design.complete:
        group = _alike(model, design, y, found.person)
        weight, first, present = np.bincount(group).astype(float), first_of(group), None

    def mean(values: np.ndarray) -> np.ndarray:
        if len(weight) == len(values):  # nobody is like another
            return values
        sums = [np.bincount(group, column) for column in values.T]
        return np.stack(sums, axis=1) / weight[:, None]

    y, constant = mean(y), mean(constant[:, None])[:, 0]
    more = rounded_up(len(y)) - len(y)

    def padded(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, np.zeros((more, *values.shape[1:]), values.dtype)])

    return on_host(
        Canonical,
        np.concatenate([y, np.broadcast_to(base, (more, len(base)))]),
        None if present is None else padded(present),
        base,
        padded(constant),
        padded(weight),
        jax.tree.map(lambda leaf: padded(leaf[first]), found.person),
        group,
    )


def _alike(model: Model, design: Design, y: np.ndarray, person: Person) -> np.ndarray:
    """Number the persons, those who are known to have equal posteriors alike.

    With loading_c = Lambda'z_c the responses enter a posterior through the scores sum_c y_c z_c.
    """
    import pandas as pd

    if model.moved > 1 or any(effect.slope.free for effect in model.effects if effect.local):
        return np.arange(len(y))
    scores = [y @ term.z for term in design.terms if term.local]
    covariates = [np.asarray(leaf) for leaf in jax.tree.leaves(person)]
    columns = np.concatenate([*scores, *covariates], axis=1)
    return combine(pd.DataFrame(columns), range(columns.shape[1]))


def canonical_log_likelihoods(
    model: Model, cells: CellParameters, who: Canonical, grid: Grid
) -> Float[Array, "N K"]:
    """Return each person's log-likelihood at every node."""
    at_node = jax.vmap(model.log_prob, (None, None, 0))
    by_cell = jax.vmap(at_node, (0, 0, None))(cells, who.base, jnp.asarray(grid.nodes))
    base = by_cell.sum(axis=0) if who.present is None else who.present @ by_cell
    above = who.y - who.base
    level = above @ cells.location + who.constant
    return base + level[:, None] + (above @ cells.loading) @ grid.nodes.T


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
    m, n_cells, n_nodes = how.m, len(who.base), len(grid.nodes)
    at_nodes = row_derivatives(model, cells, who.base, grid, m)
    a = jnp.concatenate([jnp.ones((n_nodes, 1)), jnp.asarray(grid.nodes)], axis=1)[:, :m]
    h = jnp.swapaxes(who.base[:, None, None] * a - at_nodes.gradient, 0, 1)
    mass = weights * who.weight[:, None]
    if who.present is not None:
        count = who.present.T @ mass
        by_cell = (who.present * who.y).T @ (mass @ a) - jnp.einsum("ck,kcm->cm", count, h)
        complete = carry.blocks(-jnp.einsum("ck,ckmo->cmo", count, at_nodes.hessian))
        return Louis(by_cell, complete, _projected(a, h, how, carry, who, weights, grid))
    count = mass.sum(axis=0)
    by_cell = who.y.T @ (mass @ a) - jnp.einsum("k,kcm->cm", count, h)
    complete = carry.blocks(-jnp.einsum("k,ckmo->cmo", count, at_nodes.hessian))
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
    empty = jnp.zeros((n_cells * m, n_cells * m))
    return carry.pairs(over_blocks(add, empty, parts, how.block))


def projection(design: Design, dimension: int, m: int) -> Assembly:
    """Choose how to project: a degree that leaves nothing of note, persons that fit in memory."""
    degree = enough(design.n_obs / len(design.persons) / max(dimension, 1), dimension)
    width = len(powers_up_to(dimension, degree)) * len(design.x) * m
    return Assembly(m, int(np.clip(ELEMENTS // max(width, 1), 1, len(design.persons))), degree)


def _with_responses(
    x: Float[Array, "K D"], flat: Float[Array, "K Cm"], who: Canonical, weights: Array, m: int
) -> Float[Array, "Cm Cm"]:
    """Return the covariances of y x with itself and, twice and negative, with h."""
    n_cells, d = len(who.base), x.shape[1]
    mean = weights @ x
    weighted = who.y * who.weight[:, None]
    empty = jnp.zeros((n_cells, m, n_cells, m))
    for b in range(d):
        cross = weighted.T @ (weights * (x[:, b] - mean[:, b : b + 1])) @ flat
        cross = cross.reshape(n_cells, n_cells, m)
        empty = empty.at[:, 1 + b, :, :].add(-cross)
        empty = empty.at[:, :, :, 1 + b].add(-jnp.moveaxis(cross, 0, 2))
        for c in range(d):
            covariance = weights @ (x[:, b] * x[:, c]) - mean[:, b] * mean[:, c]
            both = (weighted * covariance[:, None]).T @ who.y
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
