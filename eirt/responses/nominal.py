"""Unordered categories."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from eirt.responses.base import ABSENT, Aux, Categorical, Real


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
