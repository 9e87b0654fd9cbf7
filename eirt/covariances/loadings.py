"""Covariances made of loadings: factor-analytic, reduced rank, and free correlations."""

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
class ReducedRank(Covariance):
    """A few factors carry all effects, which are then perfectly predictable from each other.

        L L',    L (q x rank) with zeros above its diagonal, for identification

    Parameters: the loadings, by rows. Lambda is L and columns of zeros.

    Args:
        dimension: number of effects per level.
        rank: number of factors.

    Source: `rr` in glmmTMB (McGillycuddy, Popovic, Bolker & Warton, 2025).

    >>> ReducedRank(2, 1).factor(jnp.asarray([1.0, 0.5])).tolist()
    [[1.0, 0.0], [0.5, 0.0]]
    """

    rank: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= self.dimension:
            raise ValueError(
                f"The rank of {self.dimension} effects is from 1 to {self.dimension}, "
                f"not {self.rank}."
            )

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of each loading."""
        return np.tril_indices(self.dimension, m=self.rank)

    @property
    def n_theta(self) -> int:
        return len(self.places[0])

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        return jnp.zeros((self.dimension, self.dimension), theta.dtype).at[self.places].set(theta)

    def start(self, sd: float) -> np.ndarray:
        # equal loadings: at zero the likelihood, even in them, would hold a fit where it starts
        rows, _ = self.places
        return sd / np.sqrt(np.minimum(rows + 1, self.rank))

    @property
    def n_scales(self) -> int:
        return self.rank

    def signs(self, theta: np.ndarray) -> np.ndarray:
        rows, columns = self.places
        return sign(np.asarray(theta)[rows == columns])[columns]

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{effects[r]}~f{c + 1}" for r, c in zip(*self.places, strict=True))


@dataclass(frozen=True)
class Factor(Covariance):
    """Factor-analytic: a few factors carry what effects share, and each keeps its own part.

        L L' + diag(psi^2),    L (q x rank) with zeros above its diagonal

    Parameters: the loadings by rows, then the specific standard deviations psi. Lambda is the
    Cholesky factor of the sum. A start gives half of each variance to the factors.

    Args:
        dimension: number of effects per level.
        rank: number of factors; there may not be more parameters than entries in a covariance.

    Source: Lawley & Maxwell (1971), chapter 2; Thompson, Cullis, Smith & Gilmour (2003), `fa`
    in ASReml.

    >>> factor = Factor(3).factor(jnp.asarray([1.0, 1.0, 2.0, 1.0, 2.0, 1.0]))
    >>> (factor @ factor.T).round(4).tolist()
    [[2.0, 1.0, 2.0], [1.0, 5.0, 2.0], [2.0, 2.0, 5.0]]
    """

    rank: int = 1

    def __post_init__(self) -> None:
        entries = self.dimension * (self.dimension + 1) // 2
        if self.n_theta > entries:
            raise ValueError(
                f"A factor-analytic covariance of {self.dimension} effects with rank {self.rank} "
                f"has {self.n_theta} parameters for {entries} entries: use us or rr instead."
            )

    @property
    def shared(self) -> ReducedRank:
        """The part of the factors."""
        return ReducedRank(self.dimension, self.rank)

    @property
    def n_theta(self) -> int:
        return self.shared.n_theta + self.dimension

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        loadings = self.shared.factor(theta[: -self.dimension])
        specific = theta[-self.dimension :] ** 2
        # a millionth of a standard deviation keeps derivatives finite where several psi are zero
        ridge = 1e-12 * (1 + jnp.mean(specific) + jnp.sum(loadings**2) / self.dimension)
        return jnp.linalg.cholesky(loadings @ loadings.T + jnp.diag(specific + ridge))

    def start(self, sd: float) -> np.ndarray:
        half = sd * np.sqrt(0.5)
        return np.concatenate([self.shared.start(half), np.full(self.dimension, half)])

    def signs(self, theta: np.ndarray) -> np.ndarray:
        n = self.shared.n_theta
        return np.concatenate([self.shared.signs(theta[:n]), sign(theta[n:])])

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return (*self.shared.names(effects), *effects)


@dataclass(frozen=True)
class Correlation(Covariance):
    """Unit variances and free correlations: factors whose scales slopes carry.

        Lambda = rows of a unit lower triangular matrix, each divided by its length

    Parameters: the entries below the diagonal, by rows; any values give a valid correlation
    matrix, and every positive definite one has exactly one set of them. With slopes it is
    confirmatory factor analysis, or multidimensional IRT.

    Source: the correlations of `us` in glmmTMB (Kristensen, Nielsen, Berg, Skaug & Bell, 2016,
    UNSTRUCTURED_CORR of TMB).

    >>> factor = Correlation(2).factor(jnp.asarray([1 / jnp.sqrt(3.0)]))
    >>> (factor @ factor.T).round(4).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """

    @property
    def n_theta(self) -> int:
        return self.dimension * (self.dimension - 1) // 2

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        below = np.tril_indices(self.dimension, -1)
        rows = jnp.eye(self.dimension, dtype=theta.dtype).at[below].set(theta)
        return rows / jnp.sqrt(jnp.sum(rows**2, axis=1, keepdims=True))

    def start(self, sd: float) -> np.ndarray:
        return np.zeros(self.n_theta)

    @property
    def n_scales(self) -> int:
        return 0

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return pair_names(effects, *np.tril_indices(self.dimension, -1))
