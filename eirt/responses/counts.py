"""Counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt._math import log1mexp, log_rising, softplus
from eirt.responses.base import Response, log_start, not_whole

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from eirt.responses.base import Aux, Real


class Count(Response):
    """Whole numbers from 0, the logarithm of whose mean is eta."""

    kind = "count"

    @property
    def support(self) -> str:
        return "whole numbers from 0"

    def impossible(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        return not_whole(y)

    def start_eta(self, mean: Array) -> Array:
        return jnp.log(mean)

    def mean(self, eta: Real, aux: Aux) -> Real:
        return jnp.exp(eta)


@dataclass(frozen=True)
class Poisson(Count):
    """Counts: y ~ Poisson(exp(eta)).

    Source: Rasch (1960), chapter 2; McCullagh & Nelder (1989), chapter 6.

    >>> float(Poisson().mean(jnp.asarray(0.0), jnp.zeros(0)))
    1.0
    """

    @property
    def canonical(self) -> bool:
        return True

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        return y * eta - jnp.exp(eta) - jax.scipy.special.gammaln(y + 1.0)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return jax.random.poisson(key, jnp.exp(eta)).astype(eta.dtype)

    def information(self, eta: Real, aux: Aux) -> Real:
        return jnp.exp(eta)


@dataclass(frozen=True)
class NegativeBinomial(Count):
    """Overdispersed counts: E(y) = mu = exp(eta), var(y) = mu + mu^2 / size (NB2).

    Unconstrained: log size. The Poisson family is the limit of large sizes.

    Source: Lawless (1987); Hilbe (2011), chapter 8.

    >>> family = NegativeBinomial()
    >>> round(float(jnp.exp(family.log_prob(jnp.asarray(0.0), jnp.asarray(0.0), jnp.ones(1)))), 3)
    0.5
    """

    def beyond(self, smaller: Response) -> int | None:
        return 1 if smaller == Poisson() else super().beyond(smaller)

    @property
    def bounded(self) -> tuple[int, ...]:
        return (0,)

    @property
    def raw_names(self) -> tuple[str, ...]:
        return ("log_size",)

    @property
    def n_aux(self) -> int:
        return 1

    @property
    def aux_names(self) -> tuple[str, ...]:
        return ("size",)

    def constrain(self, raw: Aux) -> Float[Array, " n"]:
        return jnp.exp(raw)

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        return log_start(y.mean() ** 2 / max(y.var() - y.mean(), 1e-8))

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        size, log_size = aux[0], jnp.log(aux[0])
        ways = log_rising(log_size, y) - jax.scipy.special.gammaln(y + 1.0)
        surplus = eta - log_size
        return ways - size * softplus(surplus) - y * softplus(-surplus)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        first, second = jax.random.split(key)
        rate = jnp.exp(eta) * jax.random.gamma(first, aux[0]) / aux[0]
        return jax.random.poisson(second, rate).astype(eta.dtype)

    def information(self, eta: Real, aux: Aux) -> Real:
        return aux[0] * jax.nn.sigmoid(eta - jnp.log(aux[0]))


@dataclass(frozen=True)
class ZeroAltered(Response):
    """Counts whose zeros have a probability of their own, the last extra parameter `zero`.

    Unconstrained: the extra parameters of the base, then the logit of `zero`.

    Args:
        base: the family of the other counts.

    Raises:
        ValueError: if the base is no family of counts.
    """

    base: Response = Poisson()
    kind = "count"

    def __post_init__(self) -> None:
        if self.base.kind != "count":
            raise ValueError(f"{type(self).__name__} needs a family of counts, not {self.base}.")

    @property
    def n_aux(self) -> int:
        return self.base.n_aux + 1

    @property
    def aux_names(self) -> tuple[str, ...]:
        return (*self.base.aux_names, "zero")

    @property
    def raw_names(self) -> tuple[str, ...]:
        return (*self.base.raw_names, "logit_zero")

    @property
    def given(self) -> tuple[str, ...]:
        return self.base.given

    def beyond(self, smaller: Response) -> int | None:
        return self.base.beyond(smaller.base) if type(smaller) is type(self) else None

    @property
    def bounded(self) -> tuple[int, ...]:
        return (*self.base.bounded, self.base.n_aux)

    @property
    def support(self) -> str:
        return self.base.support

    def impossible(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        return self.base.impossible(y, *given)

    def constrain(self, raw: Aux) -> Float[Array, " n"]:
        return jnp.concatenate([self.base.constrain(raw[:-1]), jax.nn.sigmoid(raw[-1:])])

    def start_aux(self, proportions: np.ndarray) -> np.ndarray:
        return np.append(self.base.start_aux(proportions), -1.0)

    def start_eta(self, mean: Array) -> Array:
        return self.base.start_eta(mean)

    def parts(self, aux: Aux) -> tuple[Real, Aux]:
        """Return the probability of zero, short of 0 and 1, and what the base reads."""
        n = self.base.n_aux
        rest = jnp.concatenate([aux[:n], aux[n + 1 :]])
        return jnp.clip(aux[n], 1e-300, 1.0 - 1e-15), rest

    def score_at_zero(self, eta: Real, rest: Aux) -> tuple[Real, Real]:
        """Return log P(0) of the base and its derivative in eta."""
        return jax.value_and_grad(self.base.log_prob, 1)(jnp.zeros_like(eta), eta, rest)


@dataclass(frozen=True)
class ZeroInflated(ZeroAltered):
    """Counts with more zeros: 0 with probability `zero`, else a draw of the base.

    Args:
        base: the family of the other counts, zeros among them.

    Raises:
        ValueError: if the base is no family of counts.

    Source: Lambert (1992); Wang (2010) for items.

    >>> float(ZeroInflated(Poisson()).mean(jnp.asarray(0.0), jnp.asarray([0.25])))
    0.75
    """

    def beyond(self, smaller: Response) -> int | None:
        without = self.base.beyond(smaller)
        return super().beyond(smaller) if without is None else without + 1

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        # half of the zeros are taken to be extra
        extra = np.clip(np.mean(y == 0) / 2, 0.02, 0.98)
        base = self.base.start_from(y[y > 0] if np.any(y > 0) else y)
        return np.append(base, np.log(extra / (1.0 - extra)))

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        zero, rest = self.parts(aux)
        drawn = jnp.log1p(-zero) + self.base.log_prob(y, eta, rest)
        return jnp.where(y > 0, drawn, jnp.logaddexp(jnp.log(zero), drawn))

    def mean(self, eta: Real, aux: Aux) -> Real:
        zero, rest = self.parts(aux)
        return (1.0 - zero) * self.base.mean(eta, rest)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        zero, rest = self.parts(aux)
        first, second = jax.random.split(key)
        extra = jax.random.bernoulli(first, zero)
        return jnp.where(extra, 0.0, self.base.sample(second, eta, rest))

    def information(self, eta: Real, aux: Aux) -> Real:
        zero, rest = self.parts(aux)
        log_none, score = self.score_at_zero(eta, rest)
        none = jnp.exp(log_none)
        extra = zero / (zero + (1.0 - zero) * none)  # of all zeros
        lost = extra * none * score**2
        return (1.0 - zero) * (self.base.information(eta, rest) - lost)


@dataclass(frozen=True)
class Hurdle(ZeroAltered):
    """Zeros apart: 0 with probability `zero`, else a draw of the base that is not zero.

    Args:
        base: the family of the other counts, truncated at zero.

    Raises:
        ValueError: if the base is no family of counts.

    Source: Mullahy (1986); Cameron & Trivedi (2013), section 4.3.

    >>> hurdle, aux = Hurdle(Poisson()), jnp.asarray([0.25])
    >>> round(float(jnp.exp(hurdle.log_prob(jnp.asarray(0.0), jnp.asarray(0.0), aux))), 3)
    0.25
    """

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        none = np.clip(np.mean(y == 0), 0.02, 0.98)
        base = self.base.start_from(y[y > 0] if np.any(y > 0) else y)
        return np.append(base, np.log(none / (1.0 - none)))

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        zero, rest = self.parts(aux)
        log_none = self.base.log_prob(jnp.zeros_like(eta), eta, rest)
        log_some = log1mexp(jnp.maximum(-log_none, 1e-300))
        drawn = jnp.log1p(-zero) + self.base.log_prob(y, eta, rest) - log_some
        return jnp.where(y > 0, drawn, jnp.log(zero))

    def mean(self, eta: Real, aux: Aux) -> Real:
        zero, rest = self.parts(aux)
        some = -jnp.expm1(self.base.log_prob(jnp.zeros_like(eta), eta, rest))
        return (1.0 - zero) * self.base.mean(eta, rest) / jnp.maximum(some, 1e-300)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        zero, rest = self.parts(aux)
        first, second = jax.random.split(key)
        none = jax.random.bernoulli(first, zero)
        return jnp.where(none, 0.0, self.positive(second, eta, rest))

    def positive(self, key: Array, eta: Real, rest: Aux) -> Real:
        """Draw from the base until the draw is not zero; by inversion where most draws are."""
        some = -jnp.expm1(self.base.log_prob(jnp.zeros_like(eta), eta, rest))
        first, second = jax.random.split(key)
        share = jax.random.uniform(first, dtype=eta.dtype, minval=1e-12, maxval=1.0 - 1e-12)
        goal = jnp.where(some < 0.5, share * some, 0.0)

        def climb(state: tuple[Real, Real]) -> tuple[Real, Real]:
            y, reached = state
            return y + 1.0, reached + jnp.exp(self.base.log_prob(y + 1.0, eta, rest))

        def redraw(state: tuple[Real, Array]) -> tuple[Real, Array]:
            now, later = jax.random.split(state[1])
            return self.base.sample(now, eta, rest), later

        start = jnp.zeros_like(eta)
        inverted, _ = jax.lax.while_loop(lambda state: state[1] < goal, climb, (start, start))
        drawn, _ = jax.lax.while_loop(lambda state: state[0] < 1.0, redraw, (inverted, second))
        return drawn

    def information(self, eta: Real, aux: Aux) -> Real:
        zero, rest = self.parts(aux)
        log_none, score = self.score_at_zero(eta, rest)
        none, some = jnp.exp(log_none), jnp.maximum(-jnp.expm1(log_none), 1e-300)
        # the variance of the base's score among the draws that are not zero
        square = (self.base.information(eta, rest) - none * score**2) / some
        return (1.0 - zero) * jnp.maximum(square - (none * score / some) ** 2, 0.0)
