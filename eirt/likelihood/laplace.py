"""Laplace's method for all random effects at once.

log L ~= f(x^, u^) - log|H| / 2,    H = -d2 f(x^, u^)
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from eirt._math import Grid, gauss_hermite_grid, on_host
from eirt.design import Design
from eirt.likelihood import joint
from eirt.likelihood.arrowhead import Arrow, Effects, Information, Setting
from eirt.likelihood.base import (
    IMPORTANCE_DRAWS,
    Likelihood,
    Moments,
    Objective,
    antithetic_normals,
)
from eirt.likelihood.cells import Data
from eirt.likelihood.incidence import slots
from eirt.model import Model, global_offsets
from eirt.restrictions import Restriction


@dataclass(frozen=True)
class Laplace(Likelihood):
    """Approximate the integral over all random effects by a normal at their joint mode.

        log L ~= f(x^, u^) - log|H| / 2

    Args:
        information: curvature of the responses in H; "observed" agrees with glmmTMB, "expected"
            with lme4. They differ for non-canonical links only.

    Source: Tierney & Kadane (1986); Breslow & Clayton (1993); Bates et al. (2015).

    >>> Laplace().name
    'Laplace'
    """

    information: Information = "observed"

    def bind(self, model: Model, design: Design, restriction: Restriction) -> Objective:
        return JointObjective(1, self.information, model, design, restriction)


class JointObjective(Objective):
    """The Laplace or adaptive-quadrature log-likelihood."""

    def __init__(
        self,
        nodes: int,
        information: Information,
        model: Model,
        design: Design,
        restriction: Restriction,
    ):
        super().__init__(model, design, Data.of(design, restriction))
        self.nodes = nodes
        self.curvature: Information = information
        self.grid = gauss_hermite_grid(nodes, model.dimension)
        self.setting = Setting(self.data, jax.device_put(slots(design)))
        shape = (len(design.persons), model.dimension)
        self.origin = on_host(Effects, np.zeros(shape), np.zeros(global_offsets(design)[-1]))
        self.mode = self.origin

    def _find_mode(self, psi: np.ndarray) -> tuple[Effects, Arrow]:
        mode, arrow = joint.joint_mode(self.model, psi, self.mode, self.setting)
        if not np.all(np.isfinite(arrow.logdet())):
            mode, arrow = joint.joint_mode(self.model, psi, self.origin, self.setting)
        return mode, arrow

    def value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        mode, arrow = self._find_mode(psi)
        value, gradient = joint.integral_and_gradient(
            self.model, self.curvature, psi, mode, arrow, self.setting, self.grid
        )
        if np.isfinite(value):
            self.mode = mode
        return float(value), np.asarray(gradient)

    def moments(self, psi: np.ndarray) -> Moments:
        mode, arrow = self._find_mode(psi)
        mean, covariance, others = joint.effect_moments(
            self.model, psi, mode, arrow, self.setting, self.grid
        )
        return Moments(
            np.asarray(mean), np.asarray(covariance), np.asarray(mode.u), np.asarray(others)
        )

    def errors(self, psi: np.ndarray) -> dict[str, float]:
        mode, arrow = self._find_mode(psi)
        value, _ = self.value_and_grad(psi)
        fine = self._fine()
        if mode.u.size == 0:
            better = joint.integral_around(self.model, psi, mode, arrow, self.setting, fine)
            kind = "laplace" if self.nodes == 1 else "quadrature"
            return {kind: float(better) - value}
        total, spread = joint.importance_integral(
            self.model, psi, mode, arrow, self.setting, fine, antithetic_normals(mode.u.size)
        )
        return {"laplace": float(total) - value, "laplace_se": float(spread)}

    def check_cost(self) -> float:
        draws = IMPORTANCE_DRAWS if self.origin.u.size else 1
        return float(draws * self.setting.who.present.size * self._fine().log_weights.size)

    def _fine(self) -> Grid:
        """Return the grid against which this one is checked."""
        least = {1: 11, 2: 5}.get(self.model.dimension, 3)
        return gauss_hermite_grid(max(self.finer, least), self.model.dimension)

    @property
    def finer(self) -> int:
        """About twice as many nodes, or four more per dimension where these are many."""
        return 2 * self.nodes + 1 if self.model.dimension < 3 else self.nodes + 4
