"""Continuous responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt.links import Link
from eirt.responses.base import Response, log_sd, log_start, named_link

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from eirt.responses.base import Aux, Real


class Dispersed(Response):
    """Continuous responses with one positive extra parameter; unconstrained: its logarithm."""

    @property
    def n_aux(self) -> int:
        return 1

    @property
    def raw_names(self) -> tuple[str, ...]:
        return tuple(f"log_{name}" for name in self.aux_names)

    def constrain(self, raw: Aux) -> Float[Array, " n"]:
        return jnp.exp(raw)


@dataclass(frozen=True)
class Gaussian(Dispersed):
    """Normal responses: y ~ N(eta, sd^2).

    Source: Mellenbergh (1994) for items.

    >>> float(Gaussian().information(jnp.asarray(0.0), jnp.asarray([2.0])))
    0.25
    """

    @property
    def quadratic(self) -> bool:
        return True

    @property
    def aux_names(self) -> tuple[str, ...]:
        return ("sd",)

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        return log_sd(y)

    def start_eta(self, mean: Array) -> Array:
        return mean

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        return jax.scipy.stats.norm.logpdf(y, eta, aux[0])

    def mean(self, eta: Real, aux: Aux) -> Real:
        return eta

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return eta + aux[0] * jax.random.normal(key, dtype=eta.dtype)

    def information(self, eta: Real, aux: Aux) -> Real:
        return aux[0] ** -2.0


@dataclass(frozen=True)
class LogGaussian(Dispersed):
    """Positive responses, such as times: log y ~ N(eta, sd^2).

    Source: van der Linden (2006).

    >>> round(float(LogGaussian().mean(jnp.asarray(0.0), jnp.asarray([1.0]))), 3)
    1.649
    """

    @property
    def quadratic(self) -> bool:
        return True

    @property
    def aux_names(self) -> tuple[str, ...]:
        return ("sd",)

    @property
    def support(self) -> str:
        return "positive numbers"

    def impossible(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        return y <= 0

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        return log_sd(np.log(y))

    def start_eta(self, mean: Array) -> Array:
        return jnp.log(mean)

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        return jax.scipy.stats.norm.logpdf(jnp.log(y), eta, aux[0]) - jnp.log(y)

    def mean(self, eta: Real, aux: Aux) -> Real:
        return jnp.exp(eta + aux[0] ** 2 / 2)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return jnp.exp(eta + aux[0] * jax.random.normal(key, dtype=eta.dtype))

    def information(self, eta: Real, aux: Aux) -> Real:
        return aux[0] ** -2.0


@dataclass(frozen=True)
class Gamma(Dispersed):
    """Positive responses whose sd grows with their mean: E(y) = exp(eta), cv(y) = shape^(-1/2).

    Source: McCullagh & Nelder (1989), chapter 8; Maris (1993) for times.

    >>> float(Gamma().information(jnp.asarray(0.0), jnp.asarray([2.0])))
    2.0
    """

    @property
    def aux_names(self) -> tuple[str, ...]:
        return ("shape",)

    @property
    def support(self) -> str:
        return "positive numbers"

    def impossible(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        return y <= 0

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        return log_start(1.0 / max(y.var() / y.mean() ** 2, 1e-8))

    def start_eta(self, mean: Array) -> Array:
        return jnp.log(mean)

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        shape, excess = aux[0], jnp.log(y) - eta
        constant = shape * (jnp.log(shape) - 1.0) - jax.scipy.special.gammaln(shape)
        return constant + shape * (excess - jnp.expm1(excess)) - jnp.log(y)

    def mean(self, eta: Real, aux: Aux) -> Real:
        return jnp.exp(eta)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return jnp.exp(eta) * jax.random.gamma(key, aux[0], dtype=eta.dtype) / aux[0]

    def information(self, eta: Real, aux: Aux) -> Real:
        return aux[0]


@dataclass(frozen=True)
class BetaProportion(Dispersed):
    """Proportions: y ~ Beta(a, b) with a = F(eta) phi and b = {1 - F(eta)} phi, phi the precision.

    Args:
        link: a distribution function F by name, or a `Link`.

    Raises:
        ValueError: if there is no such link.

    Source: Ferrari & Cribari-Neto (2004); Noel & Dauvier (2007) for items.

    >>> float(BetaProportion().mean(jnp.asarray(0.0), jnp.asarray([2.0])))
    0.5
    """

    link: str | Link = "logit"

    def __post_init__(self) -> None:
        object.__setattr__(self, "link", named_link(self.link))

    @property
    def distribution(self) -> Link:
        """The link as an object."""
        return named_link(self.link)

    @property
    def aux_names(self) -> tuple[str, ...]:
        return ("precision",)

    @property
    def support(self) -> str:
        return "numbers strictly between 0 and 1"

    def impossible(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        return (y <= 0) | (y >= 1)

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        return log_start(y.mean() * (1.0 - y.mean()) / max(y.var(), 1e-8) - 1.0)

    def start_eta(self, mean: Array) -> Array:
        return self.distribution.quantile(mean)

    def log_shapes(self, eta: Real, aux: Aux) -> tuple[Real, Real]:
        """Return log a and log b."""
        link, log_precision = self.distribution, jnp.log(aux[0])
        return log_precision + link.log_cdf(eta), log_precision + link.log_sf(eta)

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        log_a, log_b = self.log_shapes(eta, aux)
        a, b, gammaln = jnp.exp(log_a), jnp.exp(log_b), jax.scipy.special.gammaln
        # Gamma(a) = Gamma(a + 1) / a, whose logarithm is finite where a underflows
        constant = log_a - gammaln(a + 1.0) + log_b - gammaln(b + 1.0) + gammaln(aux[0])
        return constant + (a - 1.0) * jnp.log(y) + (b - 1.0) * jnp.log1p(-y)

    def mean(self, eta: Real, aux: Aux) -> Real:
        return self.distribution.cdf(eta)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        log_a, log_b = self.log_shapes(eta, aux)
        return jax.random.beta(key, jnp.exp(log_a), jnp.exp(log_b), dtype=eta.dtype)

    def information(self, eta: Real, aux: Aux) -> Real:
        # (da/d eta)^2 {psi'(a) + psi'(b)}, with psi'(a) = 1 / a^2 + psi'(a + 1)
        a, b = (jnp.exp(log) for log in self.log_shapes(eta, aux))
        up, down = jax.grad(self.distribution.log_cdf)(eta), jax.grad(self.distribution.log_sf)(eta)
        rest = jax.scipy.special.polygamma(1, a + 1.0) + jax.scipy.special.polygamma(1, b + 1.0)
        return up**2 + down**2 + (a * up) ** 2 * rest


@dataclass(frozen=True)
class Tobit(Dispersed):
    """Normal responses that are cut off: N(eta, sd^2), recorded as the limit where beyond it.

    Args:
        lower: the lowest response that can be recorded (a floor); None for no such limit.
        upper: the highest (a ceiling).

    Raises:
        ValueError: if there is no limit, or not lower < upper.

    Source: Tobin (1958); Maddala (1983), section 6.3.

    >>> round(float(Tobit(lower=0.0).mean(jnp.asarray(0.0), jnp.asarray([1.0]))), 3)
    0.399
    """

    lower: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        if self.lower is None and self.upper is None:
            raise ValueError("Tobit needs a lower or an upper limit; without, it is Gaussian().")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"Limits must be lower < upper, not {self.lower} and {self.upper}.")

    @property
    def aux_names(self) -> tuple[str, ...]:
        return ("sd",)

    @property
    def support(self) -> str:
        least = "" if self.lower is None else f" from {self.lower}"
        return f"numbers{least}" + ("" if self.upper is None else f" up to {self.upper}")

    def impossible(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        lower = -np.inf if self.lower is None else self.lower
        return (y < lower) | (y > (np.inf if self.upper is None else self.upper))

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        return log_sd(y)

    def start_eta(self, mean: Array) -> Array:
        return mean

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        found = jax.scipy.stats.norm.logpdf(y, eta, aux[0])
        if self.lower is not None:
            below = jax.scipy.stats.norm.logcdf((self.lower - eta) / aux[0])
            found = jnp.where(y <= self.lower, below, found)
        if self.upper is not None:
            above = jax.scipy.stats.norm.logcdf((eta - self.upper) / aux[0])
            found = jnp.where(y >= self.upper, above, found)
        return found

    def mean(self, eta: Real, aux: Aux) -> Real:
        def beyond(limit: float) -> Real:
            """Return E max(latent - limit, 0)."""
            z = (eta - limit) / aux[0]
            return aux[0] * (z * jax.scipy.stats.norm.cdf(z) + jax.scipy.stats.norm.pdf(z))

        low = eta if self.lower is None else self.lower + beyond(self.lower)
        return low if self.upper is None else low - beyond(self.upper)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        latent = eta + aux[0] * jax.random.normal(key, dtype=eta.dtype)
        return jnp.clip(latent, self.lower, self.upper)

    def information(self, eta: Real, aux: Aux) -> Real:
        def lost(z: Real) -> Real:
            """Return what the latent response tells beyond a limit, less what the limit does."""
            density = jax.scipy.stats.norm.pdf(z)
            hazard = jnp.exp(jax.scipy.stats.norm.logpdf(z) - jax.scipy.stats.norm.logcdf(z))
            return jax.scipy.stats.norm.cdf(z) - z * density - density * hazard

        kept = jnp.ones_like(eta)
        if self.lower is not None:
            kept -= lost((self.lower - eta) / aux[0])
        if self.upper is not None:
            kept -= lost((eta - self.upper) / aux[0])
        return jnp.maximum(kept, 0.0) / aux[0] ** 2
