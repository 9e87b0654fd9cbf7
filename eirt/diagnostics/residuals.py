"""What each response was expected to be, at the person's estimated ability."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._config import double_precision
from eirt.errors import DataError
from eirt.model import Model
from eirt.responses import Response
from eirt.results import Fit
from eirt.scores.answers import Answers, answers_of
from eirt.scores.estimates import predictors
from eirt.scores.persons import estimate, refuse_method

if TYPE_CHECKING:
    from jaxtyping import Array, Float

Ability = Literal["WLE", "EAP", "MAP"]
METHODS = ("EAP", "MAP", "WLE")
ALPHA = 0.05  # of p-values adjusted for how many there are
WIDEST = np.sqrt(2)  # standard deviation of a mean square, beyond which z is not trusted


class Expected(NamedTuple):
    """Moments of each response, persons x responses, at the estimated abilities.

    Attributes:
        mean, variance, fourth: of the response code (the last two central moments).
        log_p: log probability of the response.
        log_mean, log_variance: mean and variance of that logarithm.
        score: derivative of log p in eta.
        information: its variance.
        shared: covariance of log probability and score.
    """

    mean: Float[Array, "N J"]
    variance: Float[Array, "N J"]
    fourth: Float[Array, "N J"]
    log_p: Float[Array, "N J"]
    log_mean: Float[Array, "N J"]
    log_variance: Float[Array, "N J"]
    score: Float[Array, "N J"]
    information: Float[Array, "N J"]
    shared: Float[Array, "N J"]


class Residuals(NamedTuple):
    """Answers and what was expected of them; zero where nothing was answered.

    Attributes:
        answers: the responses.
        expected: their moments.
        residual: response code minus its mean.
    """

    answers: Answers
    expected: Expected
    residual: Float[np.ndarray, "N J"]

    @property
    def present(self) -> Float[np.ndarray, "N J"]:
        """1 for a response, 0 for padding."""
        return np.asarray(self.answers.present)


class MeanSquares(NamedTuple):
    """Infit and outfit, and both as standard normal deviates."""

    outfit: Float[np.ndarray, " n"]
    outfit_z: Float[np.ndarray, " n"]
    infit: Float[np.ndarray, " n"]
    infit_z: Float[np.ndarray, " n"]


def _expected(
    response: Response, n_categories: int, y: Array, eta: Float[Array, ""], aux: Array
) -> Expected:
    """Return the moments of ONE response."""
    codes = jnp.arange(n_categories, dtype=eta.dtype)
    slope = jax.value_and_grad(response.log_prob, 1)
    log_p, score = jax.vmap(slope, (0, None, None))(codes, eta, aux)
    p = jnp.exp(log_p)
    log_p = jnp.where(p > 0, log_p, 0.0)  # p log p is 0 where p is
    mean, log_mean = p @ codes, p @ log_p
    code = y.astype(int)
    return Expected(
        mean,
        p @ (codes - mean) ** 2,
        p @ (codes - mean) ** 4,
        log_p[code],
        log_mean,
        p @ (log_p - log_mean) ** 2,
        score[code],
        p @ score**2,
        p @ (score * log_p),
    )


@compiled(0, 1)
def _expected_of_all(
    model: Model, n_categories: int, answers: Answers, x: Float[Array, "N D"]
) -> Expected:
    """Return the moments of every response (this is where responses are vmapped)."""

    def one(person: Answers, x: Array) -> Expected:
        eta = predictors(person.cells, x)
        each = functools.partial(_expected, model.response, n_categories)
        found = jax.vmap(each)(person.y, eta, person.cells.aux)
        return jax.tree.map(lambda leaf: leaf * person.present, found)

    return jax.vmap(one)(answers, x)


@double_precision
def residuals(fit: Fit, method: Ability | None) -> Residuals:
    """Return residuals at estimated abilities: by default WLE of one ability, EAP of several.

    Raises:
        ValueError: for an unknown method.
        DataError: if responses are not binary or ordered.
    """
    require_ordered(fit)
    chosen = method or ("WLE" if fit.model.dimension == 1 else "EAP")
    refuse_method(fit, chosen, METHODS)
    answers = answers_of(fit)
    return residuals_at(fit, answers, estimate(fit, chosen, answers).x)


def residuals_at(fit: Fit, answers: Answers, x: Float[np.ndarray | Array, "N D"]) -> Residuals:
    """Return residuals at given x of the persons."""
    found = _expected_of_all(fit.model, len(fit.design.labels), answers, x)
    expected = jax.tree.map(np.asarray, found)
    residual = np.asarray(answers.y * answers.present) - expected.mean
    return Residuals(answers, expected, np.asarray(residual))


def require_ordered(fit: Fit) -> None:
    """Refuse responses whose codes do not count, and fits that do not know the items."""
    fit.require_items(first=False)
    if fit.model.response.kind not in ("binary", "ordered") or not fit.design.labels:
        raise DataError(
            f"These statistics need binary or ordered responses; those of {fit.name} are "
            f"{type(fit.model.response).__name__}: compare them with fit.predict(scale='response')."
        )


def require_independent(fit: Fit) -> None:
    """Refuse fits under which the responses of different persons depend on each other."""
    if any(not term.local for term in fit.design.terms):
        raise DataError(
            f"{fit.name} has random effects across persons, so that responses of different "
            "persons are not independent, which this test takes for granted: test the same model "
            "with free items (eirt.rasch, eirt.two_pl), and compare the two by eirt.compare."
        )


def mean_squares(
    found: Residuals, group: np.ndarray, n_groups: int
) -> tuple[np.ndarray, MeanSquares]:
    """Return the number of responses of each group (persons or items), infit and outfit.

        outfit = mean of r^2 / V,   infit = sum of r^2 / sum of V
        z = (ms^(1/3) - 1) 3 / q + q / 3,   q^2 the variance of the mean square

    Args:
        found: residuals r and their variances V.
        group: group of each response.
        n_groups: how many there are.

    Source: Wright & Masters (1982), chapter 5.
    """
    here = found.present > 0
    code = group[here]
    square, variance = found.residual[here] ** 2, np.asarray(found.expected.variance)[here]
    fourth = np.asarray(found.expected.fourth)[here]

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(code, values, minlength=n_groups)

    n = np.bincount(code, minlength=n_groups)
    outfit = total(square / variance) / n
    outfit_sd = np.sqrt(np.maximum(total(fourth / variance**2) / n**2 - 1 / n, 0.0))
    weight = total(variance)
    infit = total(square) / weight
    infit_sd = np.sqrt(total(fourth - variance**2)) / weight
    return n, MeanSquares(
        outfit, _standardised(outfit, outfit_sd), infit, _standardised(infit, infit_sd)
    )


def _standardised(mean_square: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return the cube-root (Wilson-Hilferty) deviate of a mean square."""
    sd = np.minimum(sd, WIDEST)
    return (np.cbrt(mean_square) - 1) * 3 / sd + sd / 3


def adjusted(p: np.ndarray) -> np.ndarray:
    """Return p-values that control the false discovery rate; missing ones stay so.

        p_(i) -> min over j >= i of p_(j) m / j

    Source: Benjamini & Hochberg (1995).

    >>> adjusted(np.array([0.01, 0.04, 0.03, np.nan])).round(3).tolist()
    [0.03, 0.04, 0.04, nan]
    """
    found = np.full(len(p), np.nan)
    kept = np.flatnonzero(np.isfinite(p))
    order = kept[np.argsort(p[kept])]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    found[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return found
