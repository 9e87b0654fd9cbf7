"""Successes out of a number of trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt._math import log_rising
from eirt.links import Link
from eirt.responses.base import Response, log_start, named_link, not_whole

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from eirt.responses.base import Aux, Real


@dataclass(frozen=True)
class Binomial(Response):
    """Successes out of n independent trials: y ~ Binomial(n, F(eta)).

    Start values need n: where it is a column, the average mean is taken for half of it.

    Args:
        trials: n, or the column that holds it.
        link: a distribution function F by name, or a `Link`.

    Raises:
        ValueError: if there is no such link, or n is not positive.

    Source: McCullagh & Nelder (1989), chapter 4.

    >>> float(Binomial(10).mean(jnp.asarray(0.0), jnp.zeros(0)))
    5.0
    >>> float(Binomial("tasks").mean(jnp.asarray(0.0), jnp.asarray([10.0])))
    5.0
    """

    trials: int | str
    link: str | Link = "logit"
    kind = "count"

    def __post_init__(self) -> None:
        object.__setattr__(self, "link", named_link(self.link))
        if not isinstance(self.trials, str) and self.trials < 1:
            raise ValueError(f"There must be at least one trial, not {self.trials}.")

    @property
    def distribution(self) -> Link:
        """The link as an object."""
        return named_link(self.link)

    @property
    def canonical(self) -> bool:
        # trials by row are extra parameters, on which b(eta) may not depend
        return self.distribution.name == "logit" and not self.given

    @property
    def given(self) -> tuple[str, ...]:
        return (self.trials,) if isinstance(self.trials, str) else ()

    @property
    def support(self) -> str:
        most = "the number of trials" if isinstance(self.trials, str) else self.trials
        return f"whole numbers from 0 to {most}"

    @property
    def residual_variance(self) -> float:
        return self.distribution.residual_variance

    def impossible(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        known = np.inf if isinstance(self.trials, str) else self.trials
        most = given[0] if given else known
        return not_whole(y) | (y > most)

    def n_trials(self, aux: Aux) -> Real:
        """Return n, the last entry of `aux` where it is a column."""
        return aux[-1] if isinstance(self.trials, str) else jnp.asarray(float(self.trials))

    def start_eta(self, mean: Array) -> Array:
        n = 2.0 * jnp.mean(mean) if isinstance(self.trials, str) else self.trials
        return self.distribution.quantile(jnp.clip(mean / n, 0.02, 0.98))

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        link, n = self.distribution, self.n_trials(aux)
        return _log_ways(n, y) + y * link.log_cdf(eta) + (n - y) * link.log_sf(eta)

    def mean(self, eta: Real, aux: Aux) -> Real:
        return self.n_trials(aux) * self.distribution.cdf(eta)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return jax.random.binomial(key, self.n_trials(aux), self.distribution.cdf(eta))

    def information(self, eta: Real, aux: Aux) -> Real:
        (right, up), (wrong, down) = (
            jax.value_and_grad(tail)(eta)
            for tail in (self.distribution.log_cdf, self.distribution.log_sf)
        )
        return self.n_trials(aux) * (jnp.exp(right) * up**2 + jnp.exp(wrong) * down**2)


@dataclass(frozen=True)
class BetaBinomial(Binomial):
    """Successes out of n trials that share their chance: y ~ Binomial(n, p), p ~ Beta(a, b).

    a = F(eta) phi and b = {1 - F(eta)} phi. Unconstrained: log phi, the precision; the binomial
    family is the limit of large precisions.

    Args:
        trials: n, or the column that holds it.
        link: a distribution function F by name, or a `Link`.

    Raises:
        ValueError: if there is no such link, or n is not positive.

    Source: Prentice (1986); Wilcox (1981) for tests.

    >>> family, y = BetaBinomial(4), jnp.asarray(0.0)
    >>> round(float(jnp.exp(family.log_prob(y, jnp.asarray(0.0), jnp.asarray([2.0])))), 3)
    0.2
    """

    def beyond(self, smaller: Response) -> int | None:
        binomial = smaller == Binomial(self.trials, self.link)
        return 1 if binomial else super().beyond(smaller)

    @property
    def bounded(self) -> tuple[int, ...]:
        return (0,)

    @property
    def canonical(self) -> bool:
        return False

    @property
    def residual_variance(self) -> float:
        return float("nan")

    @property
    def raw_names(self) -> tuple[str, ...]:
        return ("log_precision",)

    @property
    def n_aux(self) -> int:
        return 1

    @property
    def aux_names(self) -> tuple[str, ...]:
        return ("precision",)

    def constrain(self, raw: Aux) -> Float[Array, " n"]:
        return jnp.exp(raw)

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        if isinstance(self.trials, str) or self.trials == 1:
            return log_start(10.0)
        # var(y) = n p (1 - p) {1 + (n - 1) rho} with rho = 1 / (phi + 1)
        n, p = self.trials, y.mean() / self.trials
        inflation = y.var() / max(n * p * (1.0 - p), 1e-8)
        return log_start((n - 1) / max(inflation - 1.0, 1e-8) - 1.0)

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        link, n, log_precision = self.distribution, self.n_trials(aux), jnp.log(aux[0])
        right = log_rising(log_precision + link.log_cdf(eta), y)
        wrong = log_rising(log_precision + link.log_sf(eta), n - y)
        return _log_ways(n, y) + right + wrong - log_rising(log_precision, n)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        link = self.distribution
        first, second = jax.random.split(key)
        a, b = aux[0] * jnp.exp(link.log_cdf(eta)), aux[0] * jnp.exp(link.log_sf(eta))
        return jax.random.binomial(second, self.n_trials(aux), jax.random.beta(first, a, b))

    def information(self, eta: Real, aux: Aux) -> Real:
        def add(y: Array, total: Real) -> Real:
            found = jax.value_and_grad(self.log_prob, 1)(y.astype(eta.dtype), eta, aux)
            return total + jnp.exp(found[0]) * found[1] ** 2

        last = self.n_trials(aux).astype(int)
        return jax.lax.fori_loop(0, last + 1, add, jnp.zeros_like(eta))


def _log_ways(n: Real, y: Real) -> Real:
    """Return the logarithm of the binomial coefficient."""
    gammaln = jax.scipy.special.gammaln
    return gammaln(n + 1.0) - gammaln(y + 1.0) - gammaln(n - y + 1.0)
