"""Counts."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array

from eirt.responses.base import Aux, Real, Response


@dataclass(frozen=True)
class Poisson(Response):
    """Counts: y ~ Poisson(exp(eta)).

    Source: Rasch (1960), chapter 2; McCullagh & Nelder (1989), chapter 6.

    >>> float(Poisson().mean(jnp.asarray(0.0), jnp.zeros(0)))
    1.0
    """

    kind = "count"

    @property
    def canonical(self) -> bool:
        return True

    def start_eta(self, mean: Array) -> Array:
        return jnp.log(mean)

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        return y * eta - jnp.exp(eta) - jax.scipy.special.gammaln(y + 1.0)

    def mean(self, eta: Real, aux: Aux) -> Real:
        return jnp.exp(eta)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return jax.random.poisson(key, jnp.exp(eta)).astype(eta.dtype)

    def information(self, eta: Real, aux: Aux) -> Real:
        return jnp.exp(eta)
