"""Persons integrated given all other effects: on shared nodes, or on nodes of their own.

    m(u) = sum over persons of log integral of exp l_p(x; u) N(x; m_p, V_p) dx

`Shared` nodes make a table of cells; nodes that stand where each person's posterior is (`Own`)
are few, which pays where posteriors are sharp, designs are incomplete, or there are several
dimensions. They are held fixed while u moves: that changes m by no more than the quadrature errs.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from eirt._math import Grid, cholesky_logdet, over_blocks, upper_solve
from eirt.likelihood.ability import log_ratio
from eirt.likelihood.arrowhead import Setting, each_response, gram, places_of
from eirt.likelihood.canonical import Louis
from eirt.likelihood.carry import Local
from eirt.likelihood.cells import (
    Data,
    People,
    cell_parameters,
    derivatives_at,
    on_common_scale,
    person_prior,
)
from eirt.likelihood.incidence import Slots
from eirt.likelihood.table import (
    Assembly,
    Incidence,
    Posterior,
    louis,
    posterior,
    posterior_moments,
)
from eirt.model import Model

if TYPE_CHECKING:
    from jaxtyping import Array, Float

ELEMENTS = 2**22  # persons at a time x responses x nodes


class Inner(Protocol):
    """The integral over persons as a function of all other effects."""

    @property
    def data(self) -> Data:
        """The data."""
        ...

    @property
    def who(self) -> People:
        """The persons."""
        ...

    def total(self, model: Model, psi: Array, u: Float[Array, " U"]) -> Float[Array, ""]:
        """Return m(u)."""
        ...

    def moments(
        self, model: Model, psi: Array, u: Float[Array, " U"]
    ) -> tuple[Float[Array, "N D"], Float[Array, "N D D"]]:
        """Return posterior means and covariances of persons given u."""
        ...

    def louis(
        self, model: Model, how: Assembly, psi: Array, u: Float[Array, " U"], carry: Local
    ) -> tuple[Float[Array, ""], Louis]:
        """Return m(u), and score and information about u by Louis' identity."""
        ...


class Shared(NamedTuple):
    """Nodes shared by all persons.

    Attributes:
        data: the data.
        who: who answered what.
        grid: the nodes.
    """

    data: Data
    who: Incidence
    grid: Grid

    def _posterior(self, model: Model, psi: Array, u: Array) -> Posterior:
        full = self.data.restriction.expand(psi)
        return posterior(model, full, self.data, self.who, self.grid, u)

    def total(self, model: Model, psi: Array, u: Array) -> Array:
        return jnp.sum(self.who.weight * self._posterior(model, psi, u).loglik)

    def moments(self, model: Model, psi: Array, u: Array) -> tuple[Array, Array]:
        found = posterior_moments(self._posterior(model, psi, u).weights, self.grid)
        return common_moments(model, psi, self, *found)

    def louis(
        self, model: Model, how: Assembly, psi: Array, u: Array, carry: Local
    ) -> tuple[Array, Louis]:
        now = self._posterior(model, psi, u)
        cells = cell_parameters(model, self.data.restriction.expand(psi), self.data, u)
        sums = louis(model, how, cells, carry, self.data, self.who, now.weights, self.grid)
        return jnp.sum(self.who.weight * now.loglik), sums


class Own(NamedTuple):
    """Nodes of each person.

    Attributes:
        setting: the data and the responses of each person.
        nodes: where the nodes stand.
        log_weights: logarithms of their weights, relative to the normal density at the node.
    """

    setting: Setting
    nodes: Float[Array, "N K D"]
    log_weights: Float[Array, "N K"]

    @property
    def data(self) -> Data:
        """The data."""
        return self.setting.data

    @property
    def who(self) -> Slots:
        """Who answered what."""
        return self.setting.who

    def _posterior(self, model: Model, psi: Array, u: Array) -> Posterior:
        full = self.data.restriction.expand(psi)
        y, cells = each_response(cell_parameters(model, full, self.data, u), self.setting)
        at_node = jax.vmap(model.log_prob, (None, None, 0))
        log_prob = jax.vmap(jax.vmap(at_node, (0, 0, None)))(cells, y, self.nodes)
        prior = person_prior(model, full, self.data, self.who)
        relative = jax.vmap(jax.vmap(log_ratio, (0, None)))(self.nodes, prior)
        likelihoods = jnp.einsum("nj,njk->nk", self.who.present, log_prob)
        joint = likelihoods + relative + self.log_weights
        loglik = jax.nn.logsumexp(joint, axis=1)
        return Posterior(loglik, jnp.exp(joint - loglik[:, None]))

    def total(self, model: Model, psi: Array, u: Array) -> Array:
        return jnp.sum(self._posterior(model, psi, u).loglik)

    def moments(self, model: Model, psi: Array, u: Array) -> tuple[Array, Array]:
        weights = self._posterior(model, psi, u).weights
        mean = jnp.einsum("nk,nkd->nd", weights, self.nodes)
        centred = self.nodes - mean[:, None, :]
        covariance = jnp.einsum("nk,nkd,nke->nde", weights, centred, centred)
        return common_moments(model, psi, self, mean, covariance)

    def louis(
        self, model: Model, how: Assembly, psi: Array, u: Array, carry: Local
    ) -> tuple[Array, Louis]:
        now = self._posterior(model, psi, u)
        return jnp.sum(now.loglik), _own_louis(model, how, psi, u, self, now.weights, carry)


def common_moments(
    model: Model, psi: Array, inner: Inner, mean: Float[Array, "N D"], covariance: Array
) -> tuple[Float[Array, "N D"], Float[Array, "N D D"]]:
    """Return moments as deviations from what covariates predict, in units of Lambda."""
    full = inner.data.restriction.expand(psi)
    prior = person_prior(model, full, inner.data, inner.who)
    return on_common_scale(model, full, inner.data, prior, mean, covariance)


def own_nodes(
    setting: Setting, centre: Float[Array, "N D"], factor: Float[Array, "N D D"], grid: Grid
) -> Own:
    """Place nodes at each person's mode and curvature.

    Args:
        setting: the data.
        centre: the modes.
        factor: Cholesky factors of the negative Hessians there.
        grid: Gauss-Hermite nodes for the standard normal density.
    """
    spread = jax.vmap(lambda one: upper_solve(one, jnp.asarray(grid.nodes).T).T)
    nodes = centre[:, None, :] + spread(factor)
    ratio = (jnp.sum(grid.nodes**2, axis=-1) - jnp.sum(nodes**2, axis=-1)) / 2
    log_weights = jnp.asarray(grid.log_weights) + ratio - cholesky_logdet(factor)[:, None] / 2
    return Own(setting, nodes, log_weights)


def _own_louis(
    model: Model,
    how: Assembly,
    psi: Array,
    u: Array,
    inner: Own,
    weights: Float[Array, "N K"],
    carry: Local,
) -> Louis:
    """Return score and information from each person's own nodes, persons in blocks."""
    data, n_cells = inner.data, len(inner.data.cells.item)
    cells = cell_parameters(model, data.restriction.expand(psi), data, u)
    each = jax.vmap(jax.vmap(functools.partial(derivatives_at, model, how.m), (0, 0, None)))

    def add(sums: Louis, part: tuple) -> Louis:
        who, w, x = part
        y, own = each_response(cells, Setting(data, who))
        gradient, hessian = jax.vmap(each, (None, None, 1), 2)(own, y, x)
        gradient = gradient * who.present[:, :, None, None]
        expected = jnp.einsum("nk,njkm->njm", w, gradient)
        centred = (gradient - expected[:, :, None, :]) * jnp.sqrt(w)[:, None, :, None]
        curvature = -jnp.einsum("nk,njkmo->njmo", w, hessian) * who.present[:, :, None, None]
        moved = who.of_cells(carry.own, data.row_cell)
        carried = jnp.einsum("njkm,njmq->nkjq", centred, moved)
        carried = carried.reshape(*carried.shape[:2], -1)
        lost = gram(carried, places_of(who, data), carry.size)
        return Louis(
            sums.by_cell + who.by_cell(expected, data.row_cell, n_cells),
            sums.complete + who.by_cell(curvature, data.row_cell, n_cells),
            sums.lost + lost,
        )

    empty = Louis(
        jnp.zeros((n_cells, how.m)),
        jnp.zeros((n_cells, how.m, how.m)),
        jnp.zeros((carry.size, carry.size)),
    )
    parts = (inner.who, weights, inner.nodes)
    sums = over_blocks(add, empty, parts, how.block)
    return Louis(sums.by_cell, carry.blocks(sums.complete), sums.lost)
