"""Covariances whose parameters are entries of Lambda: lme4's, and one standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from eirt.covariances.base import Covariance, pair_names, sign

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from eirt.covariances.base import Theta


@dataclass(frozen=True)
class Standard(Covariance):
    """Lambda = I: standard normal effects, whose scale a slope carries.

    >>> Standard(1).n_theta
    0
    """

    @property
    def correlated(self) -> bool:
        return False

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
    def correlated(self) -> bool:
        return False

    @property
    def n_theta(self) -> int:
        return 1

    @property
    def n_scales(self) -> int:
        return 1

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        return theta[0] * jnp.eye(self.dimension)

    def start(self, sd: float) -> np.ndarray:
        return np.full(1, sd)

    def signs(self, theta: np.ndarray) -> np.ndarray:
        return sign(theta)

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return (effects[0] if self.dimension == 1 else "common",)


@dataclass(frozen=True)
class Diagonal(Covariance):
    """Lambda = diag(theta): independent effects, a standard deviation each.

    >>> Diagonal(2).factor(jnp.asarray([1.0, 2.0])).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """

    @property
    def correlated(self) -> bool:
        return False

    @property
    def n_theta(self) -> int:
        return self.dimension

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        return jnp.diag(theta)

    def start(self, sd: float) -> np.ndarray:
        return np.full(self.dimension, sd)

    def signs(self, theta: np.ndarray) -> np.ndarray:
        return sign(theta)

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

    def signs(self, theta: np.ndarray) -> np.ndarray:
        rows, columns = np.tril_indices(self.dimension)
        return sign(np.asarray(theta)[rows == columns])[columns]

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return pair_names(effects, *np.tril_indices(self.dimension))
