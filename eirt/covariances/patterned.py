"""Covariances with a pattern: exchangeable or serial correlation, independent blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt.covariances.base import Covariance, require_two, sign

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from eirt.covariances.base import Theta


@dataclass(frozen=True)
class CompoundSymmetry(Covariance):
    """One standard deviation, one correlation between any two effects: exchangeable effects.

        sd^2 {(1 - rho) I + rho 1 1'},    rho = (e^t - 1) / (e^t + q - 1)

    Parameters: sd and t, the log ratio of the two eigenvalues 1 + (q - 1) rho and 1 - rho; so
    rho runs over all of its range, (-1 / (q - 1), 1), and t = 0 is no correlation.

    Source: Pinheiro & Bates (2000), sections 4.2.2 (pdCompSymm) and 5.3.1; `homcs` in glmmTMB.

    >>> factor = CompoundSymmetry(2).factor(jnp.asarray([2.0, jnp.log(3.0)]))
    >>> (factor @ factor.T).round(4).tolist()
    [[4.0, 2.0], [2.0, 4.0]]
    """

    def __post_init__(self) -> None:
        require_two(self, "homcs")

    @property
    def n_theta(self) -> int:
        return 2

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        q = self.dimension
        # share[k] is 1 + (k - 1) rho, without cancellation where rho is near an end of its range
        up, down = jax.nn.sigmoid(theta[1]), jax.nn.sigmoid(-theta[1])
        share = jnp.linspace(q * down, q * up, q + 1) / (up + (q - 1) * down)
        rho = (up - down) / (up + (q - 1) * down)
        pivot = jnp.sqrt(share[0] * share[1:] / share[:-1])
        below = rho * share[0] / (share[:-1] * pivot)
        return theta[0] * (jnp.diag(pivot) + jnp.tril(jnp.broadcast_to(below, (q, q)), -1))

    def start(self, sd: float) -> np.ndarray:
        return np.array([sd, 0.0])

    @property
    def n_scales(self) -> int:
        return 1

    def signs(self, theta: np.ndarray) -> np.ndarray:
        return np.append(sign(theta[:1]), 1.0)

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return ("common", "rho")


@dataclass(frozen=True)
class HeterogeneousCompoundSymmetry(Covariance):
    """A standard deviation per effect, one correlation between any two.

        diag(sd) {(1 - rho) I + rho 1 1'} diag(sd),    rho = (e^t - 1) / (e^t + q - 1)

    Parameters: the standard deviations, then t as in `CompoundSymmetry`. Two effects whose
    standard deviations differ in sign correlate by -rho.

    Source: `cs` in glmmTMB.

    >>> factor = HeterogeneousCompoundSymmetry(2).factor(jnp.asarray([1.0, 2.0, jnp.log(3.0)]))
    >>> (factor @ factor.T).round(4).tolist()
    [[1.0, 1.0], [1.0, 4.0]]
    """

    def __post_init__(self) -> None:
        require_two(self, "cs")

    @property
    def n_theta(self) -> int:
        return self.dimension + 1

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        same = jnp.stack([jnp.ones_like(theta[-1]), theta[-1]])
        return theta[:-1, None] * CompoundSymmetry(self.dimension).factor(same)

    def start(self, sd: float) -> np.ndarray:
        return np.append(np.full(self.dimension, sd), 0.0)

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return (*effects, "rho")


@dataclass(frozen=True)
class AR1(Covariance):
    """One standard deviation, correlations that decay with distance: effects in order.

        sd^2 rho^|i - j|,    rho = t / sqrt(1 + t^2)

    Parameters: sd and t. Effects are one step apart, in their order. Lambda is the recursion
    b[i] = rho b[i - 1] + sqrt(1 - rho^2) sd u[i], started at b[1] = sd u[1].

    Source: Pinheiro & Bates (2000), section 5.3.1; `ar1` in glmmTMB, with the same t.

    >>> factor = AR1(3).factor(jnp.asarray([1.0, 1 / jnp.sqrt(3.0)]))
    >>> (factor @ factor.T)[0].round(4).tolist()
    [1.0, 0.5, 0.25]
    """

    def __post_init__(self) -> None:
        require_two(self, "ar1")

    @property
    def n_theta(self) -> int:
        return 2

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        steps = np.arange(self.dimension)
        fresh = 1 / jnp.sqrt(1 + theta[1] ** 2)  # sqrt(1 - rho^2)
        # integer powers: their derivatives are finite at rho = 0, where a fit starts
        powers = jnp.stack([(theta[1] * fresh) ** k for k in range(self.dimension)])
        lagged = jnp.tril(powers[np.abs(steps[:, None] - steps)])
        return theta[0] * lagged * jnp.where(steps == 0, 1.0, fresh)

    def start(self, sd: float) -> np.ndarray:
        return np.array([sd, 0.0])

    @property
    def n_scales(self) -> int:
        return 1

    def signs(self, theta: np.ndarray) -> np.ndarray:
        return np.append(sign(theta[:1]), 1.0)

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return ("common", "rho")


@dataclass(frozen=True)
class Repeated(Covariance):
    """The same covariance in independent blocks: testlets within persons.

        I_times (x) V,    Lambda = I_times (x) Lambda_V

    Effects are ordered by block; parameters and their names are those of one block. With one
    effect per block it is the testlet variance of `(1 | person:testlet)`.

    Args:
        inner: covariance within a block.
        times: number of blocks.

    Source: Bradlow, Wainer & Wang (1999), with one variance for all testlets.

    >>> from eirt.covariances import Scalar
    >>> Repeated(Scalar(1), 2).factor(jnp.asarray([3.0])).tolist()
    [[3.0, 0.0], [0.0, 3.0]]
    """

    dimension: int = field(init=False)
    inner: Covariance
    times: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimension", self.inner.dimension * self.times)

    @property
    def n_theta(self) -> int:
        return self.inner.n_theta

    def factor(self, theta: Theta) -> Float[Array, "q q"]:
        return jnp.kron(jnp.eye(self.times), self.inner.factor(theta))

    def start(self, sd: float) -> np.ndarray:
        return self.inner.start(sd)

    @property
    def block(self) -> Covariance:
        return self.inner.block

    @property
    def correlated(self) -> bool:
        return self.inner.correlated

    @property
    def n_scales(self) -> int:
        return self.inner.n_scales

    def signs(self, theta: np.ndarray) -> np.ndarray:
        return self.inner.signs(theta)

    def names(self, effects: tuple[str, ...]) -> tuple[str, ...]:
        return self.inner.names(effects[: self.inner.dimension])
