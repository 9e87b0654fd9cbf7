"""Priors on parameters: a penalty around any objective (maximum a posteriori estimation)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eirt.errors import nearest
from eirt.likelihood.base import Moments, Objective, Terms


@dataclass(frozen=True)
class Normal:
    """A normal prior.

    Args:
        mean: its mean.
        sd: its standard deviation.

    >>> Normal(0, 3).sd
    3
    """

    mean: float
    sd: float


class PenalisedObjective(Objective):
    """An objective plus log densities of normal priors on some parameters."""

    def __init__(self, inner: Objective, mean: np.ndarray, precision: np.ndarray):
        self.inner = inner
        self.model, self.design, self.data = inner.model, inner.design, inner.data
        self.mean, self.precision = mean, precision
        self.exact_information = inner.exact_information

    def penalty(self, psi: np.ndarray) -> float:
        return -0.5 * float(np.sum(self.precision * (psi - self.mean) ** 2))

    def value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.inner.value_and_grad(psi)
        return value + self.penalty(psi), gradient - self.precision * (psi - self.mean)

    def newton_terms(self, psi: np.ndarray) -> Terms:
        terms = self.inner.newton_terms(psi)
        extra = np.diag(self.precision)
        return Terms(
            terms.value + self.penalty(psi),
            terms.gradient - self.precision * (psi - self.mean),
            terms.information + extra,
            terms.safe + extra,
        )

    def information(self, psi: np.ndarray) -> np.ndarray:
        return self.inner.information(psi) + np.diag(self.precision)

    def moments(self, psi: np.ndarray) -> Moments:
        return self.inner.moments(psi)

    def errors(self, psi: np.ndarray) -> dict[str, float]:
        return self.inner.errors(psi)

    def check_cost(self) -> float:
        return self.inner.check_cost()

    def refined(self) -> Objective | None:
        finer = self.inner.refined()
        return finer and PenalisedObjective(finer, self.mean, self.precision)


def penalise(
    objective: Objective, names: tuple[str, ...], priors: Mapping[str, Normal] | None
) -> Objective:
    """Put priors on parameters.

    Args:
        objective: the log-likelihood.
        names: parameter names, full vector.
        priors: normal priors by parameter name; "easiness" stands for every fixed effect.

    Raises:
        ValueError: if a name is not a parameter.
    """
    if not priors:
        return objective
    mean, precision = np.zeros(len(names)), np.zeros(len(names))
    for name, prior in priors.items():
        if name == "easiness":
            places = slice(0, objective.model.n_fixed)
        elif name in names:
            places = slice(names.index(name), names.index(name) + 1)
        else:
            raise ValueError(f"There is no parameter {name!r} for a prior.{nearest(name, names)}")
        mean[places], precision[places] = prior.mean, prior.sd**-2.0
    restriction = objective.data.restriction
    return PenalisedObjective(objective, restriction.free(mean), restriction.free(precision))
