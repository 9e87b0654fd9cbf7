"""What every likelihood shares: the data as device arrays, the objective, the choice."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt.design import Design
from eirt.likelihood.cells import Data
from eirt.model import Model
from eirt.restrictions import Restriction

if TYPE_CHECKING:
    from jaxtyping import Array, Float

Precision = Literal["double", "mixed"]
IMPORTANCE_DRAWS = 256
SINGLE = 1e-7  # rounding of a log-likelihood in single precision, relative
SHIFT = 1e-4  # in standard errors, over which gradients are differenced


def antithetic_normals(size: int) -> Float[np.ndarray, "draws n"]:
    """Return the standard normal draws of importance sampling, in antithetic pairs."""
    normals = np.random.default_rng(0).standard_normal((IMPORTANCE_DRAWS // 2, size))
    return np.concatenate([normals, -normals])


def importance_error(
    log_integrand: Callable[[Float[Array, " U"]], Float[Array, ""]],
    mode: Float[Array, " U"],
    half: Float[Array, "U U"],
    normals: Float[Array, "draws U"],
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Estimate what Laplace's method misses, by importance sampling from N(mode, H^-1).

    Args:
        log_integrand: f(u).
        mode: maximiser of f.
        half: a square root of the covariance, half half' = H^-1 where H = -d2 f(mode).
        normals: see `antithetic_normals`.

    Returns:
        log integral minus Laplace's approximation of it, its Monte-Carlo standard error, and
        f(mode).
    """

    def relative(z: Array) -> Array:
        return log_integrand(mode + half @ z) + z @ z / 2

    # the mode goes with the draws: what evaluates f is compiled once
    values = jax.lax.map(relative, jnp.concatenate([jnp.zeros((1, mode.size)), normals]))
    ratios = values[1:] - values[0]
    error = jax.nn.logsumexp(ratios) - jnp.log(ratios.size)
    pairs = jnp.mean(jnp.exp(ratios - error).reshape(2, -1), axis=0)
    return error, jnp.std(pairs) / jnp.sqrt(pairs.size), values[0]


class Moments(NamedTuple):
    """Posterior of the spherical random effects at the estimates.

    Attributes:
        mean: posterior means of the local effects.
        covariance: their posterior covariances.
        others: modes of the global effects.
        others_covariance: inverse curvature there.
    """

    mean: Float[np.ndarray, "N D"]
    covariance: Float[np.ndarray, "N D D"]
    others: Float[np.ndarray, " U"]
    others_covariance: Float[np.ndarray, "U U"]


class Terms(NamedTuple):
    """What a Newton step needs, all at one point.

    Attributes:
        value: log-likelihood.
        gradient: its gradient.
        information: observed information, a matrix or what stands for one (`eirt.separable`).
        safe: an information that is never indefinite, for steps far from the optimum.
    """

    value: float
    gradient: np.ndarray
    information: Any
    safe: Any


class Objective(abc.ABC):
    """A log-likelihood bound to data, as a function of the free parameters."""

    exact_information = False
    scale: Float[np.ndarray, "P P"] | None = None  # about the covariance of the estimates
    precision: Precision | None = None  # of searches; they end in double precision
    enough = 0.0  # Newton decrement at which a rehearsal ends
    rounding = 1e-12  # of a log-likelihood, relative
    priors: tuple = ()  # pairs of a prior and the places of its parameters among the free ones

    def __init__(self, model: Model, design: Design, data: Data):
        self.model = model
        self.design = design
        self.data = jax.device_put(data)

    @abc.abstractmethod
    def value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the log-likelihood and its gradient."""

    def newton_terms(self, psi: np.ndarray) -> Terms:
        """Return value, gradient and information together."""
        value, gradient = self.value_and_grad(psi)
        if not np.isfinite(value):
            return Terms(value, gradient, np.eye(len(psi)), np.eye(len(psi)))
        information = self._differences(psi, gradient)
        return Terms(value, gradient, information, information)

    @property
    def quick(self) -> bool:
        """Whether `quick_terms` cost far less than `newton_terms`."""
        return False

    def quick_terms(self, psi: np.ndarray) -> Terms:
        """Return about value, gradient and information: for searches, if `quick`."""
        return self.newton_terms(psi)

    def quick_value_and_grad(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        """Return value and gradient, in single precision maybe: for searches, if `quick`."""
        return self.value_and_grad(psi)

    @property
    def rehearsal(self) -> Objective | None:
        """The same of a sample of persons, or in single precision: its maximum is near."""
        return None

    def information(self, psi: np.ndarray) -> np.ndarray:
        """Return the observed information."""
        return self.newton_terms(psi).information

    def _differences(self, psi: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Return the observed information: differences of the exact gradient.

        Where the scale of the parameters is known, a short step to one side suffices; otherwise
        steps may be long, and differences are central.
        """
        if not len(psi):
            return np.zeros((0, 0))
        if self.scale is not None:
            steps = SHIFT * np.sqrt(np.diagonal(self.scale))
            below, width = gradient, steps
        else:
            steps = 1e-4 * np.maximum(np.abs(psi), 1.0)
            below = np.stack([self.gradient_near(psi - shift) for shift in np.diag(steps)])
            width = 2 * steps
        above = np.stack([self.gradient_near(psi + shift) for shift in np.diag(steps)])
        matrix = (below - above) / width[:, None]
        return (matrix + matrix.T) / 2

    def gradient_near(self, psi: np.ndarray) -> np.ndarray:
        """Return the gradient next to the point of the last evaluation."""
        return self.value_and_grad(psi)[1]

    @property
    def unpenalised(self) -> Objective:
        """The log-likelihood alone, without log prior densities."""
        return self

    def started(self, psi: np.ndarray) -> np.ndarray:
        """Return where to start: at psi, or inside the supports of priors."""
        return psi

    def inside(self, psi: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Return the step, cut where it would go too far: out of the support of a prior, say."""
        return step

    def penalty(self, psi: np.ndarray) -> float:
        """Return what of the value is not log-likelihood (log prior densities)."""
        return 0.0

    @abc.abstractmethod
    def moments(self, psi: np.ndarray) -> Moments:
        """Return the posterior of the random effects."""

    def person_scores(self, psi: np.ndarray) -> Float[np.ndarray, "N P"]:
        """Return the gradient of each person's log-likelihood.

        Raises:
            ValueError: where the log-likelihood is no sum over persons, or its parts are not known.
        """
        raise ValueError(
            "This likelihood has no scores of single persons, which share random effects or are "
            "not integrated by quadrature: see fit.bootstrap(kind='cluster'), or refit without "
            "effects across persons by likelihood=eirt.Quadrature() or eirt.Conditional()."
        )

    def errors(self, psi: np.ndarray) -> dict[str, float]:
        """Return the estimated errors of the approximation, by name."""
        return {}

    def check_cost(self) -> float:
        """Return about how many responses x nodes `errors` evaluates."""
        return 0.0

    def refined(self) -> Objective | None:
        """Return the same objective on a finer grid, where there is one."""
        return None


@dataclass(frozen=True)
class Likelihood(abc.ABC):
    """How the random effects are eliminated: a choice of a fit, not yet bound to data.

    Attributes:
        conditional: whether persons are conditioned on, not integrated: a likelihood of other
            data, the responses given scores.
        spreads: whether persons may be spread over several devices.
    """

    conditional = False
    spreads = False

    @property
    def name(self) -> str:
        """The likelihood as printed."""
        return type(self).__name__

    @property
    def rougher(self) -> Likelihood | None:
        """A likelihood that is far cheaper, whose maximum is close: where to start."""
        return None

    def settle(
        self, model: Model, design: Design, anchors: Mapping[str, float | str]
    ) -> Mapping[str, float | str]:
        """Return the anchors, with those of parameters that this likelihood leaves undetermined."""
        return anchors

    @abc.abstractmethod
    def bind(self, model: Model, design: Design, restriction: Restriction) -> Objective:
        """Return the objective for these data."""
