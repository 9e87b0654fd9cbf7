"""Random effects: their covariance, and the slope that carries them into the predictor.

Inside, random effects are spherical: b = Lambda(theta) u with u ~ N(0, I).
"""

import abc
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Theta = Float[Array, " n_theta"]


@dataclass(frozen=True)
class Covariance(abc.ABC):
    """A map from parameters to the factor Lambda of the covariance Lambda Lambda'.

    Parameters are entries of Lambda itself, of either sign: the likelihood is even in them,
    so a variance of zero is a stationary point in the interior, not a bound (Bates et al.,
    2015, equation 4, without its constraint).

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


@dataclass(frozen=True)
class Standard(Covariance):
    """Lambda = I: standard normal effects, whose scale a slope carries.

    >>> Standard(1).n_theta
    0
    """

    @property
    def n_theta(self) -> int:
        return 0

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        return jnp.eye(self.dimension)

    def start(self, sd: float) -> np.ndarray:
        return np.zeros(0)

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True)
class Scalar(Covariance):
    """Lambda = theta I: one standard deviation shared by all effects.

    >>> Scalar(1).factor(jnp.asarray([2.0])).tolist()
    [[2.0]]
    """

    @property
    def n_theta(self) -> int:
        return 1

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        return theta[0] * jnp.eye(self.dimension)

    def start(self, sd: float) -> np.ndarray:
        return np.full(1, sd)

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return (effects[0] if self.dimension == 1 else "common",)


@dataclass(frozen=True)
class Diagonal(Covariance):
    """Lambda = diag(theta): independent effects, a standard deviation each.

    >>> Diagonal(2).factor(jnp.asarray([1.0, 2.0])).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """

    @property
    def n_theta(self) -> int:
        return self.dimension

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        return jnp.diag(theta)

    def start(self, sd: float) -> np.ndarray:
        return np.full(self.dimension, sd)

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return effects


@dataclass(frozen=True)
class Unstructured(Covariance):
    """Lambda = any lower triangular matrix, by rows: correlated effects.

    >>> Unstructured(2).factor(jnp.asarray([1.0, 0.5, 2.0])).tolist()
    [[1.0, 0.0], [0.5, 2.0]]
    """

    @property
    def n_theta(self) -> int:
        return self.dimension * (self.dimension + 1) // 2

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        rows, columns = np.tril_indices(self.dimension)
        empty = jnp.zeros((self.dimension, self.dimension), theta.dtype)
        return empty.at[rows, columns].set(theta)

    def start(self, sd: float) -> np.ndarray:
        return (sd * np.eye(self.dimension))[np.tril_indices(self.dimension)]

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        rows, columns = np.tril_indices(self.dimension)
        return tuple(
            effects[r] if r == c else f"{effects[r]}~{effects[c]}"
            for r, c in zip(rows, columns, strict=True)
        )


COVARIANCES: tuple[type[Covariance], ...] = (Standard, Scalar, Diagonal, Unstructured)


@dataclass(frozen=True)
class Slope(abc.ABC):
    """How sharply a response reacts to each effect of a level: its discrimination."""

    @abc.abstractmethod
    def n_slopes(self, n_items: int, dimension: int) -> int:
        """Return the number of parameters."""

    @abc.abstractmethod
    def at(self, slopes: Float[Array, " n"], item: Array, dimension: int) -> Float[Array, " q"]:
        """Return the slopes of one item on each effect."""

    def start(self, n_items: int, dimension: int) -> np.ndarray:
        """Return starting values: every slope one."""
        return np.ones(self.n_slopes(n_items, dimension))


@dataclass(frozen=True)
class Unit(Slope):
    """Every slope is one (Rasch, LLTM, generalized linear mixed models)."""

    def n_slopes(self, n_items: int, dimension: int) -> int:
        return 0

    def at(self, slopes: Float[Array, " n"], item: Array, dimension: int) -> Float[Array, " q"]:
        return jnp.ones(dimension)


@dataclass(frozen=True)
class Common(Slope):
    """One slope for all items (1PL), per effect."""

    def n_slopes(self, n_items: int, dimension: int) -> int:
        return dimension

    def at(self, slopes: Float[Array, " n"], item: Array, dimension: int) -> Float[Array, " q"]:
        return slopes


@dataclass(frozen=True)
class Free(Slope):
    """A slope per item and effect (2PL, factor models).

    Args:
        mask: per item, which effects load (1) and which are fixed at zero (0); a tuple of
            tuples, or None when all load.
    """

    mask: tuple[tuple[int, ...], ...] | None = None

    def n_slopes(self, n_items: int, dimension: int) -> int:
        return n_items * dimension

    def at(self, slopes: Float[Array, " n"], item: Array, dimension: int) -> Float[Array, " q"]:
        return slopes.reshape(-1, dimension)[item]

    def start(self, n_items: int, dimension: int) -> np.ndarray:
        if self.mask is None:
            return np.ones(n_items * dimension)
        return np.asarray(self.mask, dtype=float).ravel()


SLOPES: tuple[type[Slope], ...] = (Unit, Common, Free)


@dataclass(frozen=True)
class Effect:
    """What is assumed of the random effects of one term `(z | group)`.

    Args:
        covariance: how the effects of one level vary together.
        slope: how items react to them.
        local: True for the group that is integrated first (persons).
    """

    covariance: Covariance
    slope: Slope = Unit()
    local: bool = False
