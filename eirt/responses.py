"""Response families: p(y | eta, aux) for ONE observation."""

import abc
from dataclasses import dataclass, replace
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from eirt._math import log1mexp
from eirt.errors import nearest
from eirt.links import LINKS, Link

Real = Float[Array, ""]
Aux = Float[Array, " n_aux"]


@dataclass(frozen=True)
class Response(abc.ABC):
    """A distribution of one response given its linear predictor.

    Extra parameters (thresholds, dispersion, guessing) live in `aux`. The optimiser moves
    their unconstrained form, `n_aux` reals, which `constrain` maps to what `log_prob` reads.

    Attributes:
        kind: what the response column must hold: "binary", "ordered", "count", "continuous".
        has_intercept: False where the extra parameters take the intercept's place.
    """

    kind = "continuous"
    has_intercept = True

    @property
    def canonical(self) -> bool:
        """Whether d log p / d eta = y - mean(eta), the canonical exponential family."""
        return False

    @property
    def n_aux(self) -> int:
        """Number of unconstrained extra parameters."""
        return 0

    @property
    def aux_names(self) -> tuple[str, ...]:
        """Names of the constrained extra parameters, as printed."""
        return ()

    @property
    def residual_variance(self) -> float:
        """Variance of the latent response around eta (3.29 for logit, 1 for probit)."""
        return float("nan")

    def bind(self, n_categories: int) -> Self:
        """Return the family for a response with this many categories."""
        return self

    def constrain(self, raw: Aux) -> Float[Array, " n"]:
        """Map unconstrained reals to the extra parameters."""
        return raw

    def extra(self, raw: Aux, moved: Aux) -> Float[Array, " n"]:
        """Return the extra parameters when features or random effects move them."""
        return self.constrain(raw + moved)

    def start_aux(self, proportions: np.ndarray) -> np.ndarray:
        """Return unconstrained starting values from the proportion of each category."""
        return np.zeros(self.n_aux)

    @abc.abstractmethod
    def start_eta(self, mean: np.ndarray) -> np.ndarray:
        """Return the linear predictor whose mean response is `mean`."""

    @abc.abstractmethod
    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        """Return log p(y | eta, aux)."""

    @abc.abstractmethod
    def mean(self, eta: Real, aux: Aux) -> Real:
        """Return E(y | eta, aux)."""

    @abc.abstractmethod
    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        """Draw one y."""

    def information(self, eta: Real, aux: Aux) -> Real:
        """Return the expected information about eta, E{(d log p / d eta)^2}."""
        raise NotImplementedError(f"{type(self).__name__} has no expected information.")


def _named_link(link: str | Link) -> Link:
    if isinstance(link, Link):
        return link
    if link not in LINKS:
        options = ", ".join(LINKS)
        raise ValueError(f"No link {link!r}; there are {options}.{nearest(link, LINKS)}")
    return LINKS[link]


def _category_information(response: Response, n: int, eta: Real, aux: Aux) -> Real:
    """Return sum over categories of p (d log p / d eta)^2."""
    y = jnp.arange(n, dtype=eta.dtype)
    log_prob, score = jax.vmap(jax.value_and_grad(response.log_prob, 1), (0, None, None))(
        y, eta, aux
    )
    return jnp.sum(jnp.exp(log_prob) * score**2)


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
        object.__setattr__(self, "link", _named_link(self.link))

    @property
    def distribution(self) -> Link:
        """The link as an object."""
        return _named_link(self.link)

    @property
    def canonical(self) -> bool:
        return self.distribution.name == "logit"

    @property
    def residual_variance(self) -> float:
        return self.distribution.residual_variance

    def start_eta(self, mean: np.ndarray) -> np.ndarray:
        return np.asarray(self.distribution.quantile(jnp.asarray(mean)))

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        link = self.distribution
        return jnp.where(y > 0.5, link.log_cdf(eta), link.log_sf(eta))

    def mean(self, eta: Real, aux: Aux) -> Real:
        return self.distribution.cdf(eta)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return jax.random.bernoulli(key, self.mean(eta, aux)).astype(eta.dtype)

    def information(self, eta: Real, aux: Aux) -> Real:
        return _category_information(self, 2, eta, aux)


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
        object.__setattr__(self, "link", _named_link(self.link))

    @property
    def distribution(self) -> Link:
        """The link as an object."""
        return _named_link(self.link)

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

    def start_eta(self, mean: np.ndarray) -> np.ndarray:
        return np.asarray(self.distribution.quantile(jnp.asarray(mean / (self.n_categories - 1))))

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
        return _category_information(self, self.n_categories, eta, aux)


def _log_interval(link: Link, upper: Real, lower: Real) -> Real:
    """Return log{F(upper) - F(lower)}, upper > lower, from the tail that loses fewer digits."""
    left = upper + lower < 0
    log_big = jnp.where(left, link.log_cdf(upper), link.log_sf(lower))
    log_small = jnp.where(left, link.log_cdf(lower), link.log_sf(upper))
    return log_big + log1mexp(jnp.maximum(log_big - log_small, 1e-300))


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

    def start_eta(self, mean: np.ndarray) -> np.ndarray:
        return np.log(mean)

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        return y * eta - jnp.exp(eta) - jax.scipy.special.gammaln(y + 1.0)

    def mean(self, eta: Real, aux: Aux) -> Real:
        return jnp.exp(eta)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return jax.random.poisson(key, jnp.exp(eta)).astype(eta.dtype)

    def information(self, eta: Real, aux: Aux) -> Real:
        return jnp.exp(eta)


RESPONSES: tuple[Response, ...] = (
    *(Bernoulli(name) for name in LINKS),
    *(Cumulative(name, 4) for name in LINKS),
    Poisson(),
)
