"""What a response family must provide: p(y | eta, aux) for ONE observation."""

from __future__ import annotations

import abc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import jax
import jax.numpy as jnp
import numpy as np

from eirt.errors import nearest
from eirt.links import LINKS, Link

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

    Real = Float[Array, ""]
    Aux = Float[Array, " n_aux"]

ABSENT = -1e6  # intercept of a category that an item does not have


@dataclass(frozen=True)
class Response(abc.ABC):
    """A distribution of one response given its linear predictor.

    Extra parameters (thresholds, dispersion, guessing) live in `aux`. The optimiser moves
    their unconstrained form, `n_aux` reals, which `constrain` maps to what `log_prob` reads.

    Attributes:
        kind: what the response column must hold: "binary", "ordered", "nominal", "count",
            "continuous".
        has_intercept: False where the extra parameters take the intercept's place.
    """

    kind = "continuous"
    has_intercept = True

    @property
    def canonical(self) -> bool:
        """Whether log p = y eta - b(eta) + c(y): d log p / d eta = y - mean(eta)."""
        return False

    @property
    def quadratic(self) -> bool:
        """Whether log p is quadratic in eta, so that Laplace's approximation is exact."""
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
    def raw_names(self) -> tuple[str, ...]:
        """Names of the unconstrained extra parameters, for anchors and priors."""
        return tuple(f"aux[{k + 1}]" for k in range(self.n_aux))

    @property
    def given(self) -> tuple[str, ...]:
        """Columns of the data whose values follow the extra parameters in `aux`."""
        return ()

    @property
    def later(self) -> tuple[int, ...]:
        """Which extra parameters place thresholds after the first."""
        return ()

    @property
    def bounded(self) -> tuple[int, ...]:
        """Which extra parameters may end at a bound, their unconstrained form at infinity."""
        return ()

    @property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """What the columns hold that are given by name: they are read as codes."""
        return {}

    @property
    def members(self) -> tuple["Response", ...]:
        """The families of which this one is made: itself, or several."""
        return (self,)

    @property
    def support(self) -> str:
        """Which responses are possible, in words."""
        return "numbers"

    @property
    def residual_variance(self) -> float:
        """Variance of the latent response around eta (3.29 for logit, 1 for probit)."""
        return float("nan")

    def impossible(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        """Return which responses cannot be, whatever the parameters, given their columns."""
        return np.zeros(np.shape(y), bool)

    def member_of(self, *given: np.ndarray) -> Int[np.ndarray, " n"]:
        """Return which of `members` each response is of, given its columns."""
        return np.zeros(len(given[0]) if given else 1, int)

    def beyond(self, smaller: "Response") -> int | None:
        """Return how many extra parameters are at a bound where this is a smaller family.

        None where the smaller family is no special case of this one.
        """
        return 0 if self == smaller else None

    def bind(self, n_categories: int) -> Self:
        """Return the family for a response with this many categories."""
        return self

    def bind_members(self, sizes: list[int]) -> Self:
        """Return the family, its members bound to their numbers of categories."""
        return self.bind(sizes[0])

    def constrain(self, raw: Aux) -> Float[Array, " n"]:
        """Map unconstrained reals to the extra parameters."""
        return raw

    def extra(self, raw: Aux, moved: Aux) -> Float[Array, " n"]:
        """Return the extra parameters when features or random effects move them."""
        return self.constrain(raw + moved)

    def thresholds(self, aux: Float[Array, " n"]) -> Float[Array, " k"]:
        """Return what eta must outweigh to reach each higher category."""
        return jnp.zeros(0)

    def absent(self, y: np.ndarray, *given: np.ndarray) -> dict[int, float]:
        """Return unconstrained parameters that responses like these do not have, and values."""
        return {}

    def origin(self, n_categories: int) -> int:
        """Return which unconstrained parameter takes the intercept's place."""
        return 0

    def recentred(
        self, raw: np.ndarray, n_categories: int, origin: float
    ) -> tuple[float, np.ndarray]:
        """Return what eta gains, and the parameters, when that of the origin is given."""
        gain = raw[0] - origin
        return gain, raw - gain

    def stretched(self, raw: np.ndarray, factor: float) -> np.ndarray:
        """Return unconstrained parameters on a predictor that is so many times as wide."""
        return raw

    def start_aux(self, proportions: np.ndarray) -> np.ndarray:
        """Return unconstrained starting values from the proportion of each category."""
        return np.zeros(self.n_aux)

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        """Return unconstrained starting values from all responses and their columns."""
        return self.start_aux(np.zeros(1))

    @abc.abstractmethod
    def start_eta(self, mean: Array) -> Array:
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


class Categorical(Response):
    """Categories 0..C-1, whose extra parameters take the intercept's place.

    Where an item lacks the highest categories, their intercepts are `ABSENT`.

    Attributes:
        n_categories: C, a field of each family; read from the data when 0.
    """

    n_categories: int
    has_intercept = False

    @property
    def n_aux(self) -> int:
        return len(self.aux_names)

    @property
    def aux_names(self) -> tuple[str, ...]:
        return tuple(f"intercept[{c}]" for c in range(1, self.n_categories))

    @property
    def later(self) -> tuple[int, ...]:
        return tuple(range(self.n_aux - self.n_categories + 2, self.n_aux))

    @property
    def support(self) -> str:
        return "categories"

    def bind(self, n_categories: int) -> Self:
        return replace(self, n_categories=n_categories)  # type: ignore[call-arg]

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        counts = np.bincount(y.astype(int), minlength=self.n_categories)
        counts = np.maximum(counts, 0.5)  # an item may lack the highest
        return self.start_aux(counts / counts.sum())

    def thresholds(self, aux: Float[Array, " n"]) -> Float[Array, " k"]:
        return -aux

    def absent(self, y: np.ndarray, *given: np.ndarray) -> dict[int, float]:
        return dict.fromkeys(range(int(y.max()), self.n_aux), ABSENT)

    @abc.abstractmethod
    def category_log_probs(self, eta: Real, aux: Aux) -> Float[Array, " C"]:
        """Return log P(y = c) for every category."""

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        return self.category_log_probs(eta, aux)[y.astype(int)]

    def mean(self, eta: Real, aux: Aux) -> Real:
        return jnp.arange(self.n_categories) @ jnp.exp(self.category_log_probs(eta, aux))

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return jax.random.categorical(key, self.category_log_probs(eta, aux)).astype(eta.dtype)

    def information(self, eta: Real, aux: Aux) -> Real:
        return category_information(self, self.n_categories, eta, aux)


def named_link(link: str | Link) -> Link:
    """Return a link by its name, or as it is."""
    if isinstance(link, Link):
        return link
    if link not in LINKS:
        options = ", ".join(LINKS)
        raise ValueError(f"No link {link!r}; there are {options}.{nearest(link, LINKS)}")
    return LINKS[link]


def category_information(response: Response, n: int, eta: Real, aux: Aux) -> Real:
    """Return sum over categories of p (d log p / d eta)^2."""
    y = jnp.arange(n, dtype=eta.dtype)
    log_prob, score = jax.vmap(jax.value_and_grad(response.log_prob, 1), (0, None, None))(
        y, eta, aux
    )
    return jnp.sum(jnp.exp(log_prob) * score**2)


def not_whole(y: np.ndarray) -> np.ndarray:
    """Return which responses are no counts."""
    return (y < 0) | (y != np.floor(y))


def log_start(estimate: float) -> np.ndarray:
    """Return the logarithm of a moment estimate of a precision, kept within reason."""
    return np.log(np.clip([estimate], 0.1, 100.0))


def log_sd(y: np.ndarray) -> np.ndarray:
    """Return the logarithm of the standard deviation."""
    return np.log([max(float(np.std(y)), 1e-8)])
