"""What a covariance of random effects must provide."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    Theta = Float[Array, " n_theta"]


@dataclass(frozen=True)
class Covariance(abc.ABC):
    """A map from parameters to the factor Lambda of the covariance Lambda Lambda'.

    Parameters are unconstrained. Those that scale are entries of Lambda itself, of either sign:
    the likelihood is even in them, so a variance of zero is a stationary point in the interior,
    not a bound (Bates et al., 2015, equation 4, without its constraint). Those that correlate
    run from minus to plus infinity, with zero for no correlation.

    Args:
        dimension: number of effects per level.
    """

    dimension: int

    @property
    @abc.abstractmethod
    def n_theta(self) -> int:
        """Number of parameters."""

    @abc.abstractmethod
    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        """Return Lambda, lower triangular."""

    @abc.abstractmethod
    def start(self, sd: float) -> np.ndarray:
        """Return parameters that give every effect the standard deviation `sd`."""

    @abc.abstractmethod
    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        """Name each parameter after its effects."""

    @property
    def block(self) -> "Covariance":
        """The covariance of the effects that differ: its own, unless it is repeated."""
        return self

    @property
    def correlated(self) -> bool:
        """Whether effects can correlate."""
        return True

    @property
    def n_scales(self) -> int:
        """Number of standard deviations that are free."""
        return min(self.n_theta, self.dimension)

    def signs(self, theta: np.ndarray) -> np.ndarray:
        """Return +-1 per parameter: what makes scales positive and leaves the covariance alone."""
        return np.ones(self.n_theta)


def sign(values: np.ndarray) -> np.ndarray:
    """Return -1 for negative values, else 1.

    >>> sign(np.array([-2.0, 0.0])).tolist()
    [-1.0, 1.0]
    """
    return np.where(np.asarray(values) < 0, -1.0, 1.0)


def pair_names(effects: tuple[str, ...], rows: np.ndarray, columns: np.ndarray) -> tuple[str, ...]:
    """Name entries of Lambda: "a" on the diagonal, "b~a" in row b and column a.

    >>> pair_names(("a", "b"), *np.tril_indices(2))
    ('a', 'b~a', 'b')
    """
    return tuple(
        effects[r] if r == c else f"{effects[r]}~{effects[c]}"
        for r, c in zip(rows, columns, strict=True)
    )


def require_two(covariance: Covariance, structure: str) -> None:
    """Refuse a correlation between fewer than two effects.

    Raises:
        ValueError: saying how several effects are written.
    """
    if covariance.dimension < 2:
        raise ValueError(
            f"{structure} correlates two effects or more, and there is one: write an effect per "
            f"level of a categorical column, as in {structure}(0 + C(wave) | person)."
        )
