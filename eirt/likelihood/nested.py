"""Crossed effects: persons by quadrature given the rest, the rest by Laplace.

    m(u)   = sum over persons of log sum_k w_k exp l_p(x_k; u)
    f(u)   = m(u) - u'u / 2
    log L ~= f(u^) - log|H(u^)| / 2,    H = I - d2 m(u^)

Persons have few responses each, so their posteriors are skewed and a Laplace approximation of
them is poor; items have many, so theirs are nearly Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from eirt._compiled import compiled
from eirt._math import Grid, equispaced_grid, gauss_hermite_grid, on_host
from eirt.design import Design
from eirt.likelihood.arrowhead import Effects, Setting
from eirt.likelihood.base import IMPORTANCE_DRAWS, Likelihood, Objective
from eirt.likelihood.crossed import OuterObjective
from eirt.likelihood.incidence import slots
from eirt.likelihood.inner import ELEMENTS, Inner, Own, Shared, own_nodes
from eirt.likelihood.joint import joint_mode
from eirt.likelihood.laplace import Laplace
from eirt.likelihood.table import (
    MAX_NODES,
    WIDER,
    Assembly,
    assemble,
    default_nodes,
    finer_nodes,
)
from eirt.model import Model
from eirt.restrictions import Restriction


@dataclass(frozen=True)
class Nested(Likelihood):
    """Integrate persons by quadrature inside a Laplace approximation over all other effects.

        log L ~= f(u^) - log|H(u^)|/2,  f(u) = sum_p log sum_k w_k exp l_p(x_k; u) - u'u/2

    Args:
        nodes: nodes per dimension of the persons' effects; chosen by dimension when None.
        reach: shared nodes cover +-reach standard deviations.
        adaptive: whether nodes stand at each person's own mode and curvature; few then do.

    Source: H by Louis (1982); the outer integral as Tierney & Kadane (1986).

    >>> Nested(61).name
    'Nested'
    """

    nodes: int | None = None
    reach: float = 6.5
    adaptive: bool = False

    @property
    def rougher(self) -> Likelihood | None:
        return Laplace() if self.adaptive else None

    def bind(self, model: Model, design: Design, restriction: Restriction) -> Objective:
        if all(term.local for term in design.terms):
            raise ValueError(
                "Nested needs random effects besides those of persons; use "
                "likelihood=eirt.Quadrature() for one grouping factor."
            )
        kind = AdaptiveNestedObjective if self.adaptive else NestedObjective
        return kind(self, model, design, restriction)


_own_nodes = compiled()(own_nodes)


class NestedObjective(OuterObjective):
    """Persons on shared nodes, everything else by Laplace around its own mode."""

    inner: Shared

    def __init__(self, choice: Nested, model: Model, design: Design, restriction: Restriction):
        super().__init__(model, design, restriction)
        nodes = choice.nodes or default_nodes(model.dimension)
        if nodes**model.dimension > MAX_NODES:
            raise ValueError(
                f"{nodes} nodes in each of {model.dimension} dimensions are too many; "
                "use likelihood=eirt.Laplace() or fewer nodes."
            )
        self.nodes = nodes
        self.choice = Nested(nodes, choice.reach)
        grid = equispaced_grid(nodes, model.dimension, choice.reach)
        self.how, who = assemble(model, design, len(grid.log_weights), self.n_effects, model.moved)
        self.inner = Shared(self.data, jax.device_put(who), grid)

    def finer_choice(self) -> Nested | None:
        nodes = finer_nodes(self.nodes, self.model.dimension)
        return None if nodes is None else Nested(nodes, WIDER * self.choice.reach)

    def finer_inner(self, psi: np.ndarray) -> Inner | None:
        finer = self.finer_choice()
        if finer is None or finer.nodes is None:
            return None
        grid = equispaced_grid(finer.nodes, self.model.dimension, finer.reach)
        return self.inner._replace(grid=grid)

    def check_cost(self) -> float:
        rows = self.inner.data.row_cell.size * len(self.inner.who.weight)
        return float(IMPORTANCE_DRAWS * rows * self.nodes**self.model.dimension)


class AdaptiveNestedObjective(OuterObjective):
    """Persons on nodes of their own, everything else by Laplace around its own mode."""

    def __init__(self, choice: Nested, model: Model, design: Design, restriction: Restriction):
        super().__init__(model, design, restriction)
        self.nodes = choice.nodes or {1: 9, 2: 9, 3: 7}.get(model.dimension, 5)
        self.choice = Nested(self.nodes, choice.reach, True)
        self.grid = gauss_hermite_grid(self.nodes, model.dimension)
        self.setting = Setting(self.data, jax.device_put(slots(design)))
        present = self.setting.who.present
        width = present.shape[1] * len(self.grid.log_weights) * model.moved
        block = int(np.clip(ELEMENTS // width, 1, len(present)))
        self.how = Assembly(model.moved, block)
        self.joint = on_host(
            Effects, np.zeros((len(present), model.dimension)), np.zeros(self.n_effects)
        )

    def place(self, psi: np.ndarray) -> None:
        self.inner = self._nodes(psi, self.grid)

    def _nodes(self, psi: np.ndarray, grid: Grid) -> Own:
        # the joint mode is a smooth function of psi, and near enough to where persons are
        joint, arrow = joint_mode(self.model, psi, self.joint, self.setting)
        if np.all(np.isfinite(joint.u)):
            self.joint = joint
        return _own_nodes(self.setting, joint.x, arrow.persons, grid)

    @property
    def _finer(self) -> int:
        """More nodes per dimension."""
        return self.nodes + 6 if self.model.dimension < 3 else self.nodes + 2

    def finer_choice(self) -> Nested | None:
        if self._finer**self.model.dimension > MAX_NODES // 4:
            return None
        return Nested(self._finer, self.choice.reach, True)

    def finer_inner(self, psi: np.ndarray) -> Inner | None:
        return self._nodes(psi, gauss_hermite_grid(self._finer, self.model.dimension))

    def check_cost(self) -> float:
        responses = self.setting.who.present.size
        return float(IMPORTANCE_DRAWS * responses * len(self.grid.log_weights))

    def refined(self) -> OuterObjective | None:
        finer = super().refined()
        if isinstance(finer, AdaptiveNestedObjective):
            finer.joint = self.joint
        return finer
