"""Random effects: what they are assumed to be, what they move, and the slope that carries them.

Inside, random effects are spherical: b = Lambda(theta) u with u ~ N(0, I).
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np

from eirt.covariances import Covariance
from eirt.indicators import Indicators, least_squares

if TYPE_CHECKING:
    from jaxtyping import Array, Float


class Target(NamedTuple):
    """A parameter of the response to ONE cell that predictors and random effects can move.

    Attributes:
        parameter: "easiness"; "discrimination" of a dimension; "ability" or "spread" (the mean,
            or the logarithm of the standard deviation, of a dimension); "extra" (one of the
            response's own parameters).
        place: which dimension, or which extra parameter.
    """

    parameter: str
    place: int = 0


STEEP = "discrimination"
EASINESS = Target("easiness")

LEAST_START = 0.2  # slope that a logarithm starts from


@dataclass(frozen=True)
class Slope(abc.ABC):
    """How sharply responses react to an effect, as a function of a linear predictor."""

    free = True

    @abc.abstractmethod
    def at(self, predictor: Float[Array, ""]) -> Float[Array, ""]:
        """Return the slope."""

    @abc.abstractmethod
    def start(self, x: np.ndarray | Indicators, steepness: Float[np.ndarray, " C"]) -> np.ndarray:
        """Return coefficients of x that make slopes about as steep as that."""


@dataclass(frozen=True)
class Unit(Slope):
    """Every slope is one (Rasch, LLTM, generalized linear mixed models).

    >>> float(Unit().at(jnp.asarray(3.0)))
    1.0
    """

    free = False

    def at(self, predictor: Float[Array, ""]) -> Float[Array, ""]:
        return jnp.ones_like(predictor)

    def start(self, x: np.ndarray | Indicators, steepness: Float[np.ndarray, " C"]) -> np.ndarray:
        return np.zeros(x.shape[1])


@dataclass(frozen=True)
class Linear(Slope):
    """slope = x'delta: common (1PL), per item (2PL, factor models), or linear in features.

    >>> float(Linear().at(jnp.asarray(3.0)))
    3.0
    """

    def at(self, predictor: Float[Array, ""]) -> Float[Array, ""]:
        return predictor

    def start(self, x: np.ndarray | Indicators, steepness: Float[np.ndarray, " C"]) -> np.ndarray:
        some = 1.0 if isinstance(x, Indicators) else np.any(x != 0, axis=1)
        return least_squares(x, some * steepness)


@dataclass(frozen=True)
class LogLinear(Slope):
    """log slope = x'delta: positive slopes; features and residuals multiply.

    >>> float(LogLinear().at(jnp.asarray(0.0)))
    1.0
    """

    def at(self, predictor: Float[Array, ""]) -> Float[Array, ""]:
        return jnp.exp(predictor)

    def start(self, x: np.ndarray | Indicators, steepness: Float[np.ndarray, " C"]) -> np.ndarray:
        return least_squares(x, np.log(np.maximum(steepness, LEAST_START)))


SLOPES: tuple[type[Slope], ...] = (Unit, Linear, LogLinear)


@dataclass(frozen=True)
class Effect:
    """What is assumed of the random effects of one term `(z | group)`.

    Args:
        covariance: how the effects of one level vary together.
        slope: how responses react to them (local effects).
        local: True for the group that is integrated first (persons).
        targets: what each effect moves; of local effects, the discrimination that carries it.
    """

    covariance: Covariance
    targets: tuple[Target, ...]
    slope: Slope = Unit()
    local: bool = False
