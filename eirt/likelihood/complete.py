"""Complete data of a canonical family: sufficiency turns sums over responses into products.

Where every person answered every cell and log p = y eta - b(eta) + c(y), with eta = location +
loading . x, a person's log-likelihood at the nodes needs only two weighted sums of the responses,
and informations are products of persons x cells and persons x nodes matrices: nothing grows with
persons x cells x nodes.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from eirt._math import Grid
from eirt.design import Design
from eirt.likelihood.ability import node_statistics
from eirt.likelihood.carry import Carry, Direct
from eirt.likelihood.cells import row_derivatives
from eirt.likelihood.incidence import person_data
from eirt.model import CellParameters, Model, Person


class Complete(NamedTuple):
    """Who answered what, where everybody answered everything.

    Attributes:
        y: responses, persons x cells.
        base: a response that each cell is compared with.
        constant: what log p(y) holds besides y eta - b(eta), relative to the base, by person.
        weight: weight of each person.
        person: covariates of each person.
    """

    y: Float[Array, "N C"]
    base: Float[Array, " C"]
    constant: Float[Array, " N"]
    weight: Float[Array, " N"]
    person: Person


class Louis(NamedTuple):
    """Sums over persons: expected score by cell, complete information, and that which is lost.

    The observed information is `complete - lost` (Louis, 1982).
    """

    by_cell: Float[Array, "C m"]
    complete: Float[Array, "P P"]
    lost: Float[Array, "P P"]


def complete_incidence(model: Model, design: Design) -> Complete:
    """Return the responses as a table of persons x cells."""
    y = np.zeros((len(design.persons), len(design.x)))
    y[design.obs_person, design.obs_cell] = design.y
    base = y[0]

    def at_zero(value: Array) -> Array:
        return model.response.log_prob(value, jnp.zeros(()), jnp.zeros(model.response.n_aux))

    values, places = np.unique(y, return_inverse=True)
    known = np.asarray(jax.vmap(at_zero)(jnp.asarray(values)))
    table = known[places.reshape(y.shape)]
    constant = (table - table[0]).sum(axis=1)
    return Complete(
        jnp.asarray(y),
        jnp.asarray(base),
        jnp.asarray(constant),
        jnp.ones(len(y)),
        person_data(design),
    )


def complete_log_likelihoods(
    model: Model, cells: CellParameters, who: Complete, grid: Grid
) -> Float[Array, "N K"]:
    """Return each person's log-likelihood at every node."""
    at_node = jax.vmap(model.log_prob, (None, None, 0))
    base = jax.vmap(at_node, (0, 0, None))(cells, who.base, jnp.asarray(grid.nodes)).sum(axis=0)
    above = who.y - who.base
    level = above @ cells.location + who.constant
    return base + level[:, None] + (above @ cells.loading) @ grid.nodes.T


def complete_louis(
    model: Model,
    m: int,
    cells: CellParameters,
    carry: Carry,
    who: Complete,
    weights: Float[Array, "N K"],
    grid: Grid,
    moving: Float[Array, "N s P"] | None,
) -> Louis:
    """Assemble score and information from posterior weights; see `table.louis`.

    The score of a cell is y a(x) - h(x) with a = (1, x), so that its posterior covariances are
    those of x and of h.
    """
    n_cells, n_nodes = len(who.base), len(grid.nodes)
    at_nodes = row_derivatives(model, cells, who.base, grid, m)
    a = jnp.concatenate([jnp.ones((n_nodes, 1)), jnp.asarray(grid.nodes)], axis=1)[:, :m]
    h = jnp.swapaxes(who.base[:, None, None] * a - at_nodes.gradient, 0, 1)
    mass = weights * who.weight[:, None]
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


def _with_responses(
    x: Float[Array, "K D"], flat: Float[Array, "K Cm"], who: Complete, weights: Array, m: int
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
    who: Complete,
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
