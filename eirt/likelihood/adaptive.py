"""Adaptive quadrature for one grouping factor, with the information by Louis' identity.

Nodes stand where each person's posterior is, so that few suffice in several dimensions. The
gradient is exact; the information treats the nodes as fixed, which is right to the error of the
quadrature itself.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._math import over_blocks
from eirt.design import Design
from eirt.likelihood.ability import partition, statistics
from eirt.likelihood.arrowhead import Information, Setting, cells_of, each_response, prior_of
from eirt.likelihood.base import Likelihood, Objective, Terms
from eirt.likelihood.carry import Direct
from eirt.likelihood.cells import derivatives_at, flatten
from eirt.likelihood.incidence import Padded
from eirt.likelihood.joint import integral_and_gradient, nodes_of_persons
from eirt.likelihood.laplace import JointObjective
from eirt.model import Model
from eirt.restrictions import Restriction

if TYPE_CHECKING:
    from jaxtyping import Array, Float

ELEMENTS = 2**22  # persons at a time x responses x nodes
MOST_NODES = 20_000


@dataclass(frozen=True)
class AdaptiveQuadrature(Likelihood):
    """Integrate each person's effects on Gauss-Hermite nodes at their own mode and curvature.

    One node is Laplace's method.

    Args:
        nodes: nodes per dimension.
        information: as for `Laplace`.

    Raises:
        ValueError: when bound to crossed effects.

    Source: Naylor & Smith (1982); Pinheiro & Bates (1995), section 2.4.

    >>> AdaptiveQuadrature(7).nodes
    7
    """

    nodes: int = 15
    information: Information = "observed"

    def bind(self, model: Model, design: Design, restriction: Restriction) -> Objective:
        if any(not term.local for term in design.terms):
            raise ValueError(
                "AdaptiveQuadrature integrates one grouping factor; for crossed or nested effects "
                "use likelihood=eirt.Nested() or eirt.Laplace()."
            )
        kind = AdaptiveObjective if self.nodes > 1 else JointObjective
        return kind(self.nodes, self.information, model, design, restriction)


class AdaptiveObjective(JointObjective):
    """The adaptive-quadrature log-likelihood of one grouping factor."""

    exact_information = True

    def __init__(
        self,
        nodes: int,
        information: Information,
        model: Model,
        design: Design,
        restriction: Restriction,
    ):
        super().__init__(nodes, information, model, design, restriction)
        slots = self.setting.who.present.shape[1] * (1 + model.dimension + model.response.n_aux)
        self.block = max(1, ELEMENTS // (slots * len(self.grid.log_weights)))

    def newton_terms(self, psi: np.ndarray) -> Terms:
        mode, arrow = self._find_mode(psi)
        args = (psi, mode, arrow, self.setting, self.grid)
        value, gradient = integral_and_gradient(self.model, self.curvature, *args)
        if np.isfinite(value):
            self.mode = mode
        where = nodes_of_persons(self.model, psi, mode, arrow.persons, self.setting, self.grid)
        information, safe = _information(self.model, self.block, psi, *where, self.setting)
        return Terms(float(value), *map(np.asarray, (gradient, information, safe)))

    def refined(self) -> Objective | None:
        if self.nodes > 60 or self.finer**self.model.dimension > MOST_NODES:
            return None
        return AdaptiveObjective(
            self.finer, self.curvature, self.model, self.design, self.data.restriction
        )


class Sums(NamedTuple):
    """Sums over persons: scores and curvatures by cell, and the information that is lost."""

    score: Float[Array, "C m"]
    curvature: Float[Array, "C m m"]
    lost: Float[Array, "P P"]


@compiled(0, 1)
def _information(
    model: Model,
    block: int,
    psi: Array,
    weights: Float[Array, "N K"],
    nodes: Float[Array, "N K D"],
    setting: Setting,
) -> tuple[Float[Array, "P P"], Float[Array, "P P"]]:
    """Return the observed information, and that of complete data, by Louis' identity."""
    data = setting.data
    none = jnp.zeros(0)

    def flat_cells(free: Array) -> Array:
        return flatten(cells_of(model, free, none, setting))

    def prior(free: Array) -> Array:
        return prior_of(model, free, setting)

    jacobian = jax.jacfwd(flat_cells)(psi)
    n_cells, m, n_free = jacobian.shape
    carry = Direct(jacobian)
    natural = prior(psi)
    size = natural.shape[1]
    moving = jax.jacfwd(prior)(psi) if model.varied else jnp.zeros((*natural.shape, len(psi)))
    cells = cells_of(model, psi, none, setting)
    moments = jax.vmap(jax.vmap(statistics, (0, None)), (0, None))(nodes, size)

    def add(total: Sums, part: tuple) -> Sums:
        who, w, x, stats, move = part
        y, own = each_response(cells, Setting(data, who))
        present = who.present[:, :, None]
        each = jax.vmap(jax.vmap(functools.partial(derivatives_at, model, m), (0, 0, None)))
        gradient, hessian = jax.vmap(each, (None, None, 1), 2)(own, y, x)
        gradient = gradient * present[..., None]
        by_node = jnp.swapaxes(gradient, 1, 2).reshape(*w.shape, -1)
        cell = data.row_cell[who.rows] if isinstance(who, Padded) else None
        scores = carry.scores(by_node, cell)
        scores = scores + jnp.einsum("nks,nsp->nkp", stats, move)
        centred = scores - jnp.einsum("nk,nkp->np", w, scores)[:, None, :]
        lost = jnp.einsum("nkp,nkq->pq", centred * w[:, :, None], centred)
        expected = jnp.einsum("nk,njkm->njm", w, gradient)
        curvature = -jnp.einsum("nk,njkmo->njmo", w, hessian) * present[..., None]
        return Sums(
            total.score + who.by_cell(expected, data.row_cell, n_cells),
            total.curvature + who.by_cell(curvature, data.row_cell, n_cells),
            total.lost + lost,
        )

    empty = Sums(jnp.zeros((n_cells, m)), jnp.zeros((n_cells, m, m)), jnp.zeros((n_free, n_free)))
    parts = (setting.who, weights, nodes, moments, moving)
    sums = over_blocks(add, empty, parts, block)
    expected = jnp.einsum("nk,nks->ns", weights, moments)
    normaliser = functools.partial(partition, dimension=model.dimension)

    def linearised(free: Array) -> Array:
        """Parameters of cells and persons, weighted by their scores."""
        cells_part = jnp.sum(sums.score * flat_cells(free))
        if not model.varied:
            return cells_part
        there = prior(free)
        return cells_part + jnp.sum(expected * there) - jnp.sum(jax.vmap(normaliser)(there))

    complete = carry.blocks(sums.curvature)
    observed = complete - jax.hessian(linearised)(psi) - sums.lost
    if model.varied:
        spread = jax.vmap(jax.hessian(normaliser))(natural)
        complete = complete + jnp.einsum("nsp,nst,ntq->pq", moving, spread, moving)
    return (observed + observed.T) / 2, complete
