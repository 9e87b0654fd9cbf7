"""Ordered categories."""

from dataclasses import dataclass, replace
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from eirt._math import log1mexp
from eirt.links import Link
from eirt.responses.base import Aux, Real, Response, category_information, named_link


@dataclass(frozen=True)
class Cumulative(Response):
    """Ordered categories 0..C-1, predicted UP: P(y >= c) = F(eta + intercept_c).

    The intercepts decrease in c. Unconstrained: the first intercept, then the logarithms of
    the steps down.

    Args:
        link: a distribution function F by name, or a `Link`.
        n_categories: C; read from the data when 0.

    Source: Samejima (1969); McCullagh (1980).

    >>> graded = Cumulative("logit", 3)
    >>> aux = graded.constrain(jnp.asarray([1.0, 0.0]))
    >>> [round(float(a), 3) for a in aux]
    [1.0, 0.0]
    """

    link: str | Link = "logit"
    n_categories: int = 0
    kind = "ordered"
    has_intercept = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "link", named_link(self.link))

    @property
    def distribution(self) -> Link:
        """The link as an object."""
        return named_link(self.link)

    @property
    def n_aux(self) -> int:
        return self.n_categories - 1

    @property
    def aux_names(self) -> tuple[str, ...]:
        return tuple(f"intercept[{c}]" for c in range(1, self.n_categories))

    @property
    def residual_variance(self) -> float:
        return self.distribution.residual_variance

    def bind(self, n_categories: int) -> Self:
        return replace(self, n_categories=n_categories)

    def constrain(self, raw: Aux) -> Float[Array, " n"]:
        steps = jnp.concatenate([jnp.zeros(1, raw.dtype), jnp.exp(raw[1:])])
        return raw[0] - jnp.cumsum(steps)

    def extra(self, raw: Aux, moved: Aux) -> Float[Array, " n"]:
        return self.constrain(raw) + moved

    def start_aux(self, proportions: np.ndarray) -> np.ndarray:
        above = 1.0 - np.cumsum(proportions)[:-1]
        intercepts = np.asarray(self.distribution.quantile(jnp.asarray(above)))
        return np.concatenate([intercepts[:1], np.log(-np.diff(intercepts))])

    def start_eta(self, mean: Array) -> Array:
        return self.distribution.quantile(mean / (self.n_categories - 1))

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        # P(y = c) = F(upper) - F(lower), from whichever tail keeps the digits
        link, last = self.distribution, self.n_categories - 1
        category = y.astype(int)
        upper = eta + aux[jnp.clip(category - 1, 0, last - 1)]
        lower = eta + aux[jnp.clip(category, 0, last - 1)]
        inside = (category > 0) & (category < last)
        middle = _log_interval(link, upper, jnp.where(inside, lower, upper - 1.0))
        inner = jnp.where(category == last, link.log_cdf(upper), middle)
        return jnp.where(category == 0, link.log_sf(lower), inner)

    def mean(self, eta: Real, aux: Aux) -> Real:
        return jnp.sum(jax.vmap(self.distribution.cdf)(eta + aux))

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        reached = jax.random.uniform(key, dtype=eta.dtype) < self.distribution.cdf(eta + aux)
        return jnp.sum(reached).astype(eta.dtype)

    def information(self, eta: Real, aux: Aux) -> Real:
        return category_information(self, self.n_categories, eta, aux)


def _log_interval(link: Link, upper: Real, lower: Real) -> Real:
    """Return log{F(upper) - F(lower)}, upper > lower, from the tail that loses fewer digits."""
    left = upper + lower < 0
    log_big = jnp.where(left, link.log_cdf(upper), link.log_sf(lower))
    log_small = jnp.where(left, link.log_cdf(lower), link.log_sf(upper))
    return log_big + log1mexp(jnp.maximum(log_big - log_small, 1e-300))
