"""What a response family must provide: p(y | eta, aux) for ONE observation."""

import abc
from dataclasses import dataclass
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

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
