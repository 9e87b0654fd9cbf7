"""Quadrature of reduced dimension: testlets, bifactor and two-tier models, crossed or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._math import equispaced_grid
from eirt.design import Design
from eirt.likelihood.base import IMPORTANCE_DRAWS, Likelihood, Objective, Terms
from eirt.likelihood.canonical import Assembly
from eirt.likelihood.carry import Direct
from eirt.likelihood.cells import cell_parameters, flatten
from eirt.likelihood.crossed import OuterObjective
from eirt.likelihood.table import MAX_NODES, WIDER
from eirt.likelihood.testlets import ByTestlet, by_testlet, split
from eirt.likelihood.two_tier import ELEMENTS, TwoTier
from eirt.model import Model
from eirt.restrictions import Restriction

if TYPE_CHECKING:
    from jaxtyping import Array


@dataclass(frozen=True)
class Reduced(Likelihood):
    """Integrate general dimensions by quadrature, and each specific one by itself given those.

        L_p = integral of prod_s { integral of prod_{n in s} p(y_n | x, z_s) dN(z_s) } dN(x)

    Exact for testlets, bifactor and two-tier models, whose cost does not grow with the number of
    specific dimensions. Other random effects are integrated as by `Nested`.

    Args:
        nodes: nodes per general dimension.
        specific_nodes: nodes of each specific dimension.
        reach: the nodes cover +-reach standard deviations.

    Raises:
        ValueError: when bound to a model in which fewer than two dimensions are specific.

    Source: Gibbons & Hedeker (1992); Cai (2010) for several general dimensions.

    >>> Reduced(31).specific_nodes
    21
    """

    nodes: int = 31
    specific_nodes: int = 21
    reach: float = 6.5

    def bind(self, model: Model, design: Design, restriction: Restriction) -> Objective:
        if model.dimension == 0 or len(split(model, design).specific) < 2:
            raise ValueError(
                "Reduced needs two specific dimensions or more, of which no two move the same "
                "response; use likelihood=eirt.Quadrature() or eirt.Nested()."
            )
        return ReducedObjective(self, model, design, restriction)


class ReducedObjective(OuterObjective):
    """General dimensions on shared nodes, specific ones given these, all else by Laplace."""

    inner: TwoTier

    def __init__(self, choice: Reduced, model: Model, design: Design, restriction: Restriction):
        super().__init__(model, design, restriction)
        self.choice = choice
        self.exact_information = not self.n_effects and not model.varied
        who = jax.device_put(by_testlet(model, design))
        self.inner = self._on_nodes(choice, who)
        m = model.moved
        if self.exact_information:  # of all parameters of reduced cells
            m = 1 + who.dimensions.shape[1] + model.response.n_aux
        n_x, n_z = len(self.inner.general.nodes), len(self.inner.specific.nodes)
        width = len(who.cells) * n_x * n_z + who.counts[0].size * n_x * m
        self.how = Assembly(m, max(1, ELEMENTS // width))

    def _on_nodes(self, choice: Reduced, who: ByTestlet) -> TwoTier:
        n_general = who.dimensions.shape[1] - 1
        general = equispaced_grid(choice.nodes, n_general, choice.reach)
        specific = equispaced_grid(choice.specific_nodes, 1, choice.reach)
        return TwoTier(self.data, who, general, specific)

    def newton_terms(self, psi: np.ndarray) -> Terms:
        if not self.exact_information:
            return super().newton_terms(psi)
        value, *rest = _newton_terms(self.model, self.how, psi, self.inner)
        return Terms(float(value), *map(np.asarray, rest))

    def finer_inner(self, psi: np.ndarray) -> TwoTier | None:
        finer = self.finer_choice()
        return None if finer is None else self._on_nodes(finer, self.inner.who)

    def finer_choice(self) -> Reduced | None:
        choice = self.choice
        nodes, specific = 2 * choice.nodes - 1, 2 * choice.specific_nodes - 1
        if nodes ** self.inner.general.nodes.shape[1] * specific > MAX_NODES:
            return None
        return Reduced(nodes, specific, WIDER * choice.reach)

    def check_cost(self) -> float:
        draws = IMPORTANCE_DRAWS if self.n_effects else 1
        responses = len(self.inner.who.weight) * self.inner.who.cells.size
        return float(draws * responses * len(self.inner.grid.log_weights))


@compiled(0, 1)
def _newton_terms(model: Model, how: Assembly, psi: Array, inner: TwoTier) -> tuple[Array, ...]:
    """Return value, gradient, observed and complete information by Louis' identity."""
    none = jnp.zeros(0)

    def flat_cells(free: Array) -> Array:
        full = inner.data.restriction.expand(free)
        flat = flatten(inner.reduce(cell_parameters(model, full, inner.data, none)))
        return jnp.pad(flat[:, : how.m], ((0, 1), (0, 0)))[inner.who.cells.ravel()]

    carry = Direct(jax.jacfwd(flat_cells)(psi))
    sums = inner.sums(model, how.m, how.block, psi, none)

    def linearised(free: Array) -> Array:
        return jnp.sum(sums.score * flat_cells(free))

    # location and loading may be products of parameters: the curvature of the map itself
    complete, bend = carry.blocks(sums.curvature), jax.hessian(linearised)(psi)
    observed = complete - bend - carry.pairs(sums.lost)
    return sums.loglik, jax.grad(linearised)(psi), (observed + observed.T) / 2, complete
