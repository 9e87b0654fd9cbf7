"""Right or wrong, with or without guessing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt.links import Link
from eirt.responses.base import Response, category_information, named_link

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from eirt.responses.base import Aux, Real


@dataclass(frozen=True)
class Bernoulli(Response):
    """Right or wrong: P(y = 1) = F(eta).

    Args:
        link: "logit", "probit", "cloglog", "loglog", "cauchit", or a `Link`.

    Raises:
        ValueError: if there is no such link.

    Source: McCullagh & Nelder (1989), section 4.3.

    >>> float(Bernoulli("logit").mean(jnp.asarray(0.0), jnp.zeros(0)))
    0.5
    """

    link: str | Link = "logit"
    kind = "binary"

    def __post_init__(self) -> None:
        object.__setattr__(self, "link", named_link(self.link))

    @property
    def distribution(self) -> Link:
        """The link as an object."""
        return named_link(self.link)

    @property
    def canonical(self) -> bool:
        return self.distribution.name == "logit"

    @property
    def support(self) -> str:
        return "0 or 1"

    @property
    def residual_variance(self) -> float:
        return self.distribution.residual_variance

    def start_eta(self, mean: Array) -> Array:
        return self.distribution.quantile(mean)

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        return self.distribution.log_tail(y > 0.5, eta)

    def mean(self, eta: Real, aux: Aux) -> Real:
        return self.distribution.cdf(eta)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return jax.random.bernoulli(key, self.mean(eta, aux)).astype(eta.dtype)

    def information(self, eta: Real, aux: Aux) -> Real:
        return category_information(self, 2, eta, aux)


@dataclass(frozen=True)
class Guessing(Response):
    """Right or wrong between two asymptotes: P(y = 1) = c + (d - c) F(eta).

    Unconstrained: the logit of c (of c / d where d is fixed below one), and that of how far d has
    come from c to one.

    Args:
        lower: c, the chance of guessing right; estimated when None.
        upper: d, one minus the chance of a slip; estimated when None.
        link: a distribution function F by name, or a `Link`.

    Raises:
        ValueError: if the asymptotes are not 0 <= lower < upper <= 1.

    Source: Birnbaum (1968), section 17.3; Barton & Lord (1981) for the upper asymptote.

    >>> float(Guessing(lower=0.25).mean(jnp.asarray(0.0), jnp.zeros(0)))
    0.625
    """

    lower: float | None = None
    upper: float | None = 1.0
    link: str | Link = "logit"
    kind = "binary"

    def __post_init__(self) -> None:
        object.__setattr__(self, "link", named_link(self.link))
        low, high = self.lower or 0.0, 1.0 if self.upper is None else self.upper
        if not 0.0 <= low < high <= 1.0:
            raise ValueError(f"Asymptotes must be 0 <= lower < upper <= 1, not {low} and {high}.")

    @property
    def distribution(self) -> Link:
        """The link as an object."""
        return named_link(self.link)

    @property
    def n_aux(self) -> int:
        return len(self.aux_names)

    @property
    def aux_names(self) -> tuple[str, ...]:
        asymptotes = {"guessing": self.lower, "ceiling": self.upper}
        return tuple(name for name, value in asymptotes.items() if value is None)

    @property
    def bounded(self) -> tuple[int, ...]:
        return tuple(range(self.n_aux))

    def beyond(self, smaller: Response) -> int | None:
        if isinstance(smaller, Bernoulli):
            smaller = Guessing(0.0, 1.0, smaller.link)
        if not isinstance(smaller, Guessing) or smaller.link != self.link:
            return None
        pairs = [(smaller.lower, self.lower), (smaller.upper, self.upper)]
        if any(value not in (None, before) for before, value in pairs):
            return None
        return sum(value is None and before in (0.0, 1.0) for before, value in pairs)

    @property
    def raw_names(self) -> tuple[str, ...]:
        return tuple(f"logit_{name}" for name in self.aux_names)

    @property
    def support(self) -> str:
        return "0 or 1"

    def asymptotes(self, aux: Aux) -> tuple[Real, Real]:
        """Return c and d."""
        lower = aux[0] if self.lower is None else jnp.asarray(self.lower)
        return lower, aux[-1] if self.upper is None else jnp.asarray(self.upper)

    def constrain(self, raw: Aux) -> Float[Array, " n"]:
        share = jax.nn.sigmoid(raw)
        if self.upper is not None:
            return self.upper * share
        lower = share[0] if self.lower is None else jnp.asarray(self.lower)
        upper = lower + (1.0 - lower) * share[-1]
        return upper[None] if self.lower is not None else jnp.stack([lower, upper])

    def start_aux(self, proportions: np.ndarray) -> np.ndarray:
        starts = {"guessing": -1.5, "ceiling": 3.0}
        return np.array([starts[name] for name in self.aux_names])

    def start_eta(self, mean: Array) -> Array:
        lower, upper = self.asymptotes(self.constrain(jnp.asarray(self.start_aux(np.zeros(2)))))
        inside = jnp.clip((mean - lower) / (upper - lower), 0.02, 0.98)
        return self.distribution.quantile(inside)

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        lower, upper = self.asymptotes(aux)
        right = y > 0.5
        floor = jnp.where(right, lower, 1.0 - upper)
        rise = jnp.log(upper - lower) + self.distribution.log_tail(right, eta)
        # a floor of zero has no logarithm, nor derivatives of one
        some = floor > 0.0
        both = jnp.logaddexp(jnp.log(jnp.where(some, floor, 0.5)), rise)
        return jnp.where(some, both, rise)

    def mean(self, eta: Real, aux: Aux) -> Real:
        lower, upper = self.asymptotes(aux)
        return lower + (upper - lower) * self.distribution.cdf(eta)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return jax.random.bernoulli(key, self.mean(eta, aux)).astype(eta.dtype)

    def information(self, eta: Real, aux: Aux) -> Real:
        return category_information(self, 2, eta, aux)
