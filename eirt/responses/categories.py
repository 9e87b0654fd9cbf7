"""Ordered and unordered categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt._math import log1mexp
from eirt.links import Link
from eirt.responses.base import ABSENT, Categorical, Response, named_link

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float

    from eirt.responses.base import Aux, Real


@dataclass(frozen=True)
class Cumulative(Categorical):
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "link", named_link(self.link))

    @property
    def distribution(self) -> Link:
        """The link as an object."""
        return named_link(self.link)

    @property
    def residual_variance(self) -> float:
        return self.distribution.residual_variance

    def constrain(self, raw: Aux) -> Float[Array, " n"]:
        steps = jnp.concatenate([jnp.zeros(1, raw.dtype), jnp.exp(raw[1:])])
        return raw[0] - jnp.cumsum(steps)

    def extra(self, raw: Aux, moved: Aux) -> Float[Array, " n"]:
        return self.constrain(raw) + moved

    def absent(self, y: np.ndarray, *given: np.ndarray) -> dict[int, float]:
        return dict.fromkeys(range(int(y.max()), self.n_aux), float(np.log(-ABSENT)))

    def recentred(
        self, raw: np.ndarray, n_categories: int, origin: float
    ) -> tuple[float, np.ndarray]:
        return raw[0] - origin, np.concatenate([[origin], raw[1:]])

    def stretched(self, raw: np.ndarray, factor: float) -> np.ndarray:
        return np.concatenate([raw[:1] * factor, raw[1:] + np.log(factor)])

    def start_aux(self, proportions: np.ndarray) -> np.ndarray:
        above = 1.0 - np.cumsum(proportions)[:-1]
        intercepts = np.asarray(self.distribution.quantile(jnp.asarray(above)))
        return np.concatenate([intercepts[:1], np.log(-np.diff(intercepts))])

    def start_eta(self, mean: Array) -> Array:
        return self.distribution.quantile(mean / (self.n_categories - 1))

    def category_log_probs(self, eta: Real, aux: Aux) -> Float[Array, " C"]:
        categories = jnp.arange(float(self.n_categories))
        return jax.vmap(self.log_prob, (0, None, None))(categories, eta, aux)

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        # P(y = c) = F(upper) - F(lower), from whichever tail keeps the digits
        link, last = self.distribution, self.n_categories - 1
        category = y.astype(int)
        above, below = jnp.clip(category - 1, 0, last - 1), jnp.clip(category, 0, last - 1)
        absent = _absent(aux)
        predictor = eta + jnp.where(absent, 0.0, aux)
        upper, lower = predictor[above], predictor[below]
        highest = (category > 0) & ((category == last) | absent[below])
        inside = (category > 0) & ~highest
        outside = link.log_tail(highest, jnp.where(highest, upper, lower))
        middle = _log_interval(link, upper, jnp.where(inside, lower, upper - 1.0))
        found = jnp.where(inside, middle, outside)
        return jnp.where((category > 0) & absent[above], ABSENT, found)

    def mean(self, eta: Real, aux: Aux) -> Real:
        return jnp.sum(self.reached(eta, aux))

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        reached = jax.random.uniform(key, dtype=eta.dtype) < self.reached(eta, aux)
        return jnp.sum(reached).astype(eta.dtype)

    def reached(self, eta: Real, aux: Aux) -> Float[Array, " steps"]:
        """Return P(y >= c), c = 1..C-1."""
        return jnp.where(_absent(aux), 0.0, self.distribution.cdf(eta + aux))


@dataclass(frozen=True)
class Adjacent(Categorical):
    """Ordered categories 0..C-1, predicted UP: log{P(y = c) / P(y = c - 1)} = eta + intercept_c.

    With an easiness for every item and step, the partial credit model.

    Args:
        n_categories: C; read from the data when 0.

    Source: Masters (1982); Muraki (1992) with slopes; Agresti (2010), section 4.1.

    >>> partial_credit = Adjacent(3)
    >>> round(float(partial_credit.mean(jnp.asarray(0.0), jnp.asarray([0.5, -0.5]))), 3)
    1.0
    """

    n_categories: int = 0
    kind = "ordered"

    def start_aux(self, proportions: np.ndarray) -> np.ndarray:
        return np.diff(np.log(proportions))

    def start_eta(self, mean: Array) -> Array:
        return jax.scipy.special.logit(mean / (self.n_categories - 1))

    def category_log_probs(self, eta: Real, aux: Aux) -> Float[Array, " C"]:
        return jax.nn.log_softmax(jnp.concatenate([jnp.zeros(1), jnp.cumsum(eta + aux)]))


@dataclass(frozen=True)
class Sequential(Categorical):
    """Ordered categories 0..C-1, reached one by one: P(y >= c | y >= c - 1) = F(eta + intercept_c).

    The steps are predicted UP, each given success at those before it.

    Args:
        link: a distribution function F by name, or a `Link`.
        n_categories: C; read from the data when 0.

    Raises:
        ValueError: if there is no such link.

    Source: Tutz (1990); Mellenbergh (1995).

    >>> steps = Sequential("logit", 3)
    >>> float(steps.mean(jnp.asarray(0.0), jnp.zeros(2)))
    0.75
    """

    link: str | Link = "logit"
    n_categories: int = 0
    kind = "ordered"

    def __post_init__(self) -> None:
        object.__setattr__(self, "link", named_link(self.link))

    @property
    def distribution(self) -> Link:
        """The link as an object."""
        return named_link(self.link)

    def start_aux(self, proportions: np.ndarray) -> np.ndarray:
        reached = np.cumsum(proportions[::-1])[::-1]
        return np.asarray(self.distribution.quantile(jnp.asarray(reached[1:] / reached[:-1])))

    def start_eta(self, mean: Array) -> Array:
        return self.distribution.quantile(mean / (self.n_categories - 1))

    def category_log_probs(self, eta: Real, aux: Aux) -> Float[Array, " C"]:
        absent = _absent(aux)
        predictor = jnp.where(absent, 0.0, eta + aux)
        climb = jnp.where(absent, ABSENT, self.distribution.log_cdf(predictor))
        stop = jnp.where(absent, 0.0, self.distribution.log_sf(predictor))
        climbed = jnp.concatenate([jnp.zeros(1), jnp.cumsum(climb)])
        return climbed + jnp.concatenate([stop, jnp.zeros(1)])


@dataclass(frozen=True)
class Nominal(Categorical):
    """Unordered categories 0..C-1: P(y = c) is proportional to exp(score_c eta + intercept_c).

    Category 0 has score and intercept 0, category C-1 has score C-1; the scores between them are
    estimated. Scores of 0, 1, ..., C-1 are those of `Adjacent`. With these as anchors
    (`anchors={"score[1]": 1.0}`) and the features of easiness on thresholds, too, effects are free
    for each category: multinomial logistic regression.

    Args:
        n_categories: C; read from the data when 0.

    Source: Bock (1972), parametrised as by Thissen, Cai & Bock (2010).

    >>> nominal = Nominal(3)
    >>> nominal.aux_names
    ('score[1]', 'intercept[1]', 'intercept[2]')
    >>> round(float(nominal.mean(jnp.asarray(0.0), jnp.asarray([1.5, 0.0, 0.0]))), 3)
    1.0
    """

    n_categories: int = 0
    kind = "nominal"

    @property
    def aux_names(self) -> tuple[str, ...]:
        scores = tuple(f"score[{c}]" for c in range(1, self.n_categories - 1))
        return scores + super().aux_names

    @property
    def raw_names(self) -> tuple[str, ...]:
        return self.aux_names

    def beyond(self, smaller: Response) -> int | None:
        return 0 if smaller == Adjacent(self.n_categories) else super().beyond(smaller)

    def thresholds(self, aux: Aux) -> Float[Array, " k"]:
        return jnp.zeros(0)  # categories have no order to climb

    def absent(self, y: np.ndarray, *given: np.ndarray) -> dict[int, float]:
        first, size = int(y.max()), self.n_categories
        scores = {c - 1: float(c) for c in range(first, size - 1)}
        return scores | {size - 3 + c: ABSENT for c in range(first + 1, size)}

    def origin(self, n_categories: int) -> int:
        return self.n_categories - 2 + n_categories - 2  # the intercept of the highest category

    def recentred(
        self, raw: np.ndarray, n_categories: int, origin: float
    ) -> tuple[float, np.ndarray]:
        gain = (raw[self.origin(n_categories)] - origin) / (n_categories - 1)
        score = np.append(raw[: self.n_categories - 2], self.n_categories - 1.0)
        score[n_categories - 2] = n_categories - 1.0
        return gain, np.concatenate([raw[: len(score) - 1], raw[len(score) - 1 :] - gain * score])

    def start_aux(self, proportions: np.ndarray) -> np.ndarray:
        scores = np.arange(1.0, self.n_categories - 1)
        return np.concatenate([scores, np.log(proportions[1:] / proportions[0])])

    def start_eta(self, mean: Array) -> Array:
        return jax.scipy.special.logit(mean / (self.n_categories - 1))

    def category_log_probs(self, eta: Real, aux: Aux) -> Float[Array, " C"]:
        last = self.n_categories - 1
        score = jnp.concatenate([jnp.zeros(1), aux[: last - 1], jnp.full(1, float(last))])
        intercept = jnp.concatenate([jnp.zeros(1), aux[last - 1 :]])
        return jax.nn.log_softmax(score * eta + intercept)


def _absent(aux: Aux) -> Bool[Array, " steps"]:
    """Return which intercepts are `ABSENT`, also when effects have moved them."""
    return aux < ABSENT / 2


def _log_interval(link: Link, upper: Real, lower: Real) -> Real:
    """Return log{F(upper) - F(lower)}, upper > lower, from the tail that loses fewer digits."""
    left = upper + lower < 0
    log_big = link.log_tail(left, jnp.where(left, upper, lower))
    log_small = link.log_tail(left, jnp.where(left, lower, upper))
    return log_big + log1mexp(jnp.maximum(log_big - log_small, 1e-300))
