"""Links: cumulative distribution functions, in logs and without cancellation."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from eirt._math import log1mexp, softplus

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float

    Real = Float[Array, ""]


@dataclass(frozen=True)
class Link(abc.ABC):
    """A distribution function F with p = F(eta); `log_cdf` and `log_sf` are its two tails.

    Attributes:
        name: what users type.
        residual_variance: variance of the latent response whose distribution function F is,
            the item residual scale of intraclass correlations; nan where it is infinite.
        symmetric: whether 1 - F(eta) = F(-eta).
    """

    name = ""
    residual_variance = math.nan
    symmetric = False

    @abc.abstractmethod
    def log_cdf(self, eta: Real) -> Real:
        """Return log F(eta)."""

    @abc.abstractmethod
    def log_sf(self, eta: Real) -> Real:
        """Return log(1 - F(eta))."""

    @abc.abstractmethod
    def quantile(self, p: Real) -> Real:
        """Return the eta at which F(eta) = p."""

    def log_tail(self, below: Bool[Array, ""], eta: Real) -> Real:
        """Return log F(eta) or log(1 - F(eta)), as asked."""
        if self.symmetric:  # one function of one number
            return self.log_cdf(jnp.where(below, eta, -eta))
        return jnp.where(below, self.log_cdf(eta), self.log_sf(eta))

    def cdf(self, eta: Real) -> Real:
        """Return F(eta)."""
        return jnp.exp(self.log_cdf(eta))


@dataclass(frozen=True)
class Logit(Link):
    """F(eta) = 1 / (1 + exp(-eta))."""

    name = "logit"
    symmetric = True
    residual_variance = math.pi**2 / 3

    def log_cdf(self, eta: Real) -> Real:
        return -softplus(-eta)

    def log_sf(self, eta: Real) -> Real:
        return -softplus(eta)

    def quantile(self, p: Real) -> Real:
        return jnp.log(p) - jnp.log1p(-p)


@dataclass(frozen=True)
class Probit(Link):
    """F(eta) = Phi(eta), the standard normal distribution function."""

    name = "probit"
    symmetric = True
    residual_variance = 1.0

    def log_cdf(self, eta: Real) -> Real:
        return jax.scipy.stats.norm.logcdf(eta)

    def log_sf(self, eta: Real) -> Real:
        return jax.scipy.stats.norm.logcdf(-eta)

    def quantile(self, p: Real) -> Real:
        return jax.scipy.stats.norm.ppf(p)


@dataclass(frozen=True)
class Cloglog(Link):
    """F(eta) = 1 - exp(-exp(eta)), the complementary log-log link."""

    name = "cloglog"
    residual_variance = math.pi**2 / 6

    def log_cdf(self, eta: Real) -> Real:
        # past 6 the upper tail exp(-exp(6)) is below 1e-175: log F is 0 with zero derivatives
        rate = jnp.exp(jnp.minimum(eta, 6.0))
        # below -30, log F = eta - exp(eta)/2 to machine precision
        return jnp.where(eta < -30.0, eta, log1mexp(jnp.maximum(rate, 1e-14)))

    def log_sf(self, eta: Real) -> Real:
        return -jnp.exp(eta)

    def quantile(self, p: Real) -> Real:
        return jnp.log(-jnp.log1p(-p))


@dataclass(frozen=True)
class Loglog(Link):
    """F(eta) = exp(-exp(-eta)), the log-log link."""

    name = "loglog"
    residual_variance = math.pi**2 / 6

    def log_cdf(self, eta: Real) -> Real:
        return -jnp.exp(-eta)

    def log_sf(self, eta: Real) -> Real:
        return Cloglog().log_cdf(-eta)

    def quantile(self, p: Real) -> Real:
        return -jnp.log(-jnp.log(p))


@dataclass(frozen=True)
class Cauchit(Link):
    """F(eta) = 1/2 + arctan(eta) / pi."""

    name = "cauchit"
    symmetric = True

    def log_cdf(self, eta: Real) -> Real:
        return jnp.log(jnp.arctan2(jnp.ones_like(eta), -eta) / math.pi)

    def log_sf(self, eta: Real) -> Real:
        return self.log_cdf(-eta)

    def quantile(self, p: Real) -> Real:
        return jnp.tan(math.pi * (p - 0.5))


LINKS: dict[str, Link] = {
    link.name: link for link in (Logit(), Probit(), Cloglog(), Loglog(), Cauchit())
}
