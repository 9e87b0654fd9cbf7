"""Steps of optimisers: directions uphill, and how far along them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from eirt.information import finite, solved, updated, uphill
from eirt.likelihood.base import Objective, Terms

FINISHED = 1e-13  # Newton decrement at which no digit that matters is left to gain
DRIFTING = 1e-8  # Newton decrement below which slow progress is a drift to infinity
ROUNDING = 1e-12  # of a log-likelihood


def newton_step(terms: Terms) -> tuple[np.ndarray, float]:
    """Return a step uphill and its decrement (not a number where the terms are not finite)."""
    if not np.all(np.isfinite(terms.gradient)) or not finite(terms.information):
        return np.zeros_like(terms.gradient), float("nan")
    for information in (terms.information, terms.safe):
        step = solved(information, terms.gradient)
        if step is not None:
            return step, float(terms.gradient @ step)
    step = uphill(terms.information, terms.gradient)
    return step, float(terms.gradient @ step)


def halve_until_better(
    terms_of: Callable[[np.ndarray], Terms],
    psi: np.ndarray,
    terms: Terms,
    step: np.ndarray,
    rounding: float = ROUNDING,
) -> tuple[np.ndarray, Terms] | None:
    """Return the first of psi + step, psi + step/2, ... that is no worse, or None."""
    for _ in range(30):
        trial = terms_of(psi + step)
        if np.isfinite(trial.value) and trial.value >= terms.value - rounding * abs(terms.value):
            return psi + step, trial
        step = step / 2
    return None


def finished(decrement: float, before: float) -> bool:
    """Return whether there is nothing to gain, given the decrement of the step before.

    Where a parameter goes to infinity (a logit of zero) steps shorten by a constant factor, as
    they do for no maximum inside; what they gain is below any digit that matters.
    """
    drifting = before < DRIFTING and decrement > before / 10
    return not decrement > FINISHED or drifting


def with_old_information(
    value_and_grad: Callable[[np.ndarray], tuple[float, np.ndarray]], terms: Terms
) -> Callable[[np.ndarray], Terms]:
    """Return value and gradient at a point, with the information of another nearby.

    Close to the maximum such steps still gain digits (Kelley, 1995, section 5.4).
    """

    def terms_of(psi: np.ndarray) -> Terms:
        value, gradient = value_and_grad(psi)
        return terms._replace(value=value, gradient=gradient)

    return terms_of


def with_secants(
    value_and_grad: Callable[[np.ndarray], tuple[float, np.ndarray]],
    psi: np.ndarray,
    terms: Terms,
) -> Callable[[np.ndarray], Terms]:
    """Return value and gradient at a point, with an information updated by what they tell."""
    old = with_old_information(value_and_grad, terms)

    def terms_of(there: np.ndarray) -> Terms:
        found = old(there)
        step, change = there - psi, terms.gradient - found.gradient
        if not step @ change > 0:
            return found
        return found._replace(information=updated(terms.information, step, change))

    return terms_of


class Point(NamedTuple):
    """Value and gradient at a point."""

    psi: np.ndarray
    value: float
    gradient: np.ndarray

    @property
    def steepest(self) -> float:
        """The largest absolute derivative."""
        return float(np.max(np.abs(self.gradient), initial=0.0))


def along(objective: Objective, at: Point, step: np.ndarray) -> Point | None:
    """Return a point along a step, higher by enough and where the slope has fallen, or None.

    Source: the Wolfe conditions (Nocedal & Wright, 2006, eq. 3.6), bracketed by interpolation.
    """
    slope = float(at.gradient @ step)
    short, long, length = 0.0, np.inf, 1.0
    for _ in range(30):
        psi = at.psi + length * step
        there = Point(psi, *objective.value_and_grad(psi))
        gain = there.value - at.value
        if not (np.isfinite(gain) and gain >= 1e-4 * length * slope):
            long = length
            top = 0.5 * length**2 * slope / (length * slope - gain) if np.isfinite(gain) else 0.0
            length = short + min(max(top - short, 0.1 * (long - short)), 0.5 * (long - short))
        elif there.gradient @ step > 0.9 * slope:
            short, length = length, 2 * length if np.isinf(long) else (length + long) / 2
        else:
            return there
    return None


def with_secant(inverse: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return the inverse curvature updated by the change of the gradient along a step.

    Source: Nocedal & Wright (2006), eq. 6.17.
    """
    along = step @ change
    turned = inverse @ change
    across = np.outer(step, turned)
    grown = (1.0 + change @ turned / along) / along
    return inverse + grown * np.outer(step, step) - (across + across.T) / along


def scaled_gradient(terms: Terms, n_obs: int) -> float:
    """Return the largest absolute derivative per response."""
    return float(np.max(np.abs(terms.gradient), initial=0.0)) / n_obs
