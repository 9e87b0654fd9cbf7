"""Priors on parameters: a penalty around any objective (maximum a posteriori estimation)."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np

from eirt.errors import nearest
from eirt.information import plus_diagonal
from eirt.likelihood.base import Moments, Objective, Precision, Terms
from eirt.restrictions import Restriction

if TYPE_CHECKING:
    from jaxtyping import Array, Float


MOST_OF_THE_WAY = 0.8  # to the bound of a support, in one step


class Expansion(NamedTuple):
    """A log density with its first and second derivatives, one entry per parameter."""

    value: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray


@dataclass(frozen=True)
class Prior(abc.ABC):
    """A prior distribution of a parameter; constants are left out of its log density.

    Attributes:
        least: the least value from which a search starts, of a parameter that must be positive.
    """

    least = -np.inf

    @abc.abstractmethod
    def expand(self, x: np.ndarray) -> Expansion:
        """Return the log density and its derivatives."""

    @abc.abstractmethod
    def log_density(self, x: Float[Array, " k"]) -> Float[Array, " k"]:
        """Return the log density of the parameter itself, traceable: what sampling needs."""


@dataclass(frozen=True)
class Normal(Prior):
    """A normal prior: log p = -((x - mean) / sd)^2 / 2.

    Args:
        mean: its mean.
        sd: its standard deviation.

    >>> Normal(0, 3).sd
    3
    """

    mean: float
    sd: float

    def expand(self, x: np.ndarray) -> Expansion:
        z = (x - self.mean) / self.sd
        return Expansion(-(z**2) / 2, -z / self.sd, np.full_like(z, -(self.sd**-2.0)))

    def log_density(self, x: Float[Array, " k"]) -> Float[Array, " k"]:
        return -(((x - self.mean) / self.sd) ** 2) / 2


@dataclass(frozen=True)
class LogNormal(Prior):
    """A log-normal prior of a positive parameter, a discrimination or a standard deviation.

        log p = -log x - ((log x - mean) / sd)^2 / 2

    Args:
        mean: mean of log x.
        sd: standard deviation of log x.

    >>> float(LogNormal(0, 0.5).expand(np.array([1.0])).slope[0])
    -1.0
    """

    mean: float
    sd: float

    @property
    def least(self) -> float:  # type: ignore[override]
        """Two standard deviations below the median."""
        return float(np.exp(self.mean - 2 * self.sd))

    def expand(self, x: np.ndarray) -> Expansion:
        x = np.maximum(x, 1e-8)
        z = (np.log(x) - self.mean) / self.sd
        slope = -(1.0 + z / self.sd) / x
        return Expansion(-np.log(x) - z**2 / 2, slope, -(slope + self.sd**-2.0 / x) / x)

    def log_density(self, x: Float[Array, " k"]) -> Float[Array, " k"]:
        log_x = jnp.log(jnp.maximum(jnp.abs(x), 1e-300))  # scales are of either sign
        return -log_x - ((log_x - self.mean) / self.sd) ** 2 / 2


@dataclass(frozen=True)
class Beta(Prior):
    """A beta prior of a probability whose logit is the parameter (guessing).

        log p = (a - 1) log c + (b - 1) log(1 - c),   c = 1 / (1 + exp(-x))

    The density is that of the probability itself, not of its logit, so that the mode is at
    (a - 1) / (a + b - 2).

    Args:
        a: one plus the prior number of successes.
        b: one plus the prior number of failures.

    >>> round(float(Beta(5, 17).expand(np.log(np.array([0.2 / 0.8]))).slope[0]), 12)
    0.0
    """

    a: float
    b: float

    def expand(self, x: np.ndarray) -> Expansion:
        c = 1.0 / (1.0 + np.exp(-x))
        n = self.a + self.b - 2.0
        value = -(self.a - 1.0) * np.logaddexp(0.0, -x) - (self.b - 1.0) * np.logaddexp(0.0, x)
        return Expansion(value, self.a - 1.0 - n * c, -n * c * (1.0 - c))

    def log_density(self, x: Float[Array, " k"]) -> Float[Array, " k"]:
        # with dc / dx = c (1 - c): the density of the logit
        return -self.a * jnp.logaddexp(0.0, -x) - self.b * jnp.logaddexp(0.0, x)


class PenalisedObjective(Objective):
    """An objective plus log densities of priors on some parameters."""

    def __init__(self, inner: Objective, priors: tuple[tuple[Prior, np.ndarray], ...]):
        self.inner = inner
        self.model, self.design, self.data = inner.model, inner.design, inner.data
        self.priors = priors
        self.exact_information = inner.exact_information

    def _expand(self, psi: np.ndarray) -> Expansion:
        total = Expansion(*np.zeros((3, len(psi))))
        for prior, places in self.priors:
            for part, found in zip(total, prior.expand(psi[places]), strict=True):
                part[places] += found
        return total

    @property
    def unpenalised(self) -> Objective:
        return self.inner

    def started(self, psi: np.ndarray) -> np.ndarray:
        psi = psi.copy()
        for prior, places in self.priors:
            psi[places] = np.maximum(psi[places], prior.least)
        return psi

    def inside(self, psi: np.ndarray, step: np.ndarray) -> np.ndarray:
        step = self.inner.inside(psi, step).copy()
        for prior, places in self.priors:
            if prior.least > 0:  # most of the way to zero, as interior point methods go
                step[places] = np.maximum(step[places], -MOST_OF_THE_WAY * psi[places])
        return step

    @property
    def scale(self) -> Float[np.ndarray, "P P"] | None:  # type: ignore[override]
        """About the covariance of the estimates."""
        return self.inner.scale

    @scale.setter
    def scale(self, scale: Float[np.ndarray, "P P"] | None) -> None:
        self.inner.scale = scale

    def penalty(self, psi: np.ndarray) -> float:
        return float(self._expand(psi).value.sum())

    def value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.inner.value_and_grad(psi)
        prior = self._expand(psi)
        return value + float(prior.value.sum()), gradient + prior.slope

    def quick_value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.inner.quick_value_and_grad(psi)
        prior = self._expand(psi)
        return value + float(prior.value.sum()), gradient + prior.slope

    def newton_terms(self, psi: np.ndarray) -> Terms:
        return self._added(self.inner.newton_terms(psi), psi)

    @property
    def quick(self) -> bool:
        return self.inner.quick

    def quick_terms(self, psi: np.ndarray) -> Terms:
        return self._added(self.inner.quick_terms(psi), psi)

    @property
    def rehearsal(self) -> Objective | None:
        found = self.inner.rehearsal
        if found is None:
            return None
        rehearsal = PenalisedObjective(found, self.priors)
        rehearsal.enough, rehearsal.rounding = found.enough, found.rounding
        return rehearsal

    @property
    def precision(self) -> Precision | None:  # type: ignore[override]
        """The precision of searches."""
        return self.inner.precision

    @precision.setter
    def precision(self, precision: Precision | None) -> None:
        self.inner.precision = precision

    def _added(self, terms: Terms, psi: np.ndarray) -> Terms:
        prior = self._expand(psi)
        return Terms(
            terms.value + float(prior.value.sum()),
            terms.gradient + prior.slope,
            plus_diagonal(terms.information, -prior.curvature),
            plus_diagonal(terms.safe, np.maximum(-prior.curvature, 0.0)),
        )

    def moments(self, psi: np.ndarray) -> Moments:
        return self.inner.moments(psi)

    def person_scores(self, psi: np.ndarray) -> np.ndarray:
        return self.inner.person_scores(psi)

    def errors(self, psi: np.ndarray) -> dict[str, float]:
        return self.inner.errors(psi)

    def check_cost(self) -> float:
        return self.inner.check_cost()

    def refined(self) -> Objective | None:
        finer = self.inner.refined()
        return finer and PenalisedObjective(finer, self.priors)


def penalise(
    objective: Objective, names: tuple[str, ...], priors: Mapping[str, Prior] | None
) -> Objective:
    """Put priors on parameters.

    Args:
        objective: the log-likelihood.
        names: parameter names, full vector.
        priors: priors by parameter name; "easiness" stands for every fixed effect, and
            "discrimination" and the like for every parameter named "discrimination[...]".

    Raises:
        ValueError: if a name is not a parameter.
    """
    if not priors:
        return objective
    places = prior_places(priors, names, objective.model.n_fixed, objective.data.restriction)
    return PenalisedObjective(objective, places)


def prior_places(
    priors: Mapping[str, Prior], names: tuple[str, ...], n_fixed: int, restriction: Restriction
) -> tuple[tuple[Prior, np.ndarray], ...]:
    """Return each prior with the places of its parameters among the free ones; see `penalise`."""
    source = np.asarray(restriction.source)
    kinds = {name.partition("[")[0] for name in names}
    found = []
    for name, prior in priors.items():
        if name in names:
            places = [names.index(name)]
        elif name == "easiness":
            places = list(range(n_fixed))
        elif name in kinds:
            places = [k for k, other in enumerate(names) if other.startswith(f"{name}[")]
        else:
            raise ValueError(f"There is no parameter {name!r} for a prior.{nearest(name, names)}")
        free = np.unique(source[places])
        found.append((prior, free[free >= 0]))
    return tuple(found)
