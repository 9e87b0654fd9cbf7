"""How the maximum is found: Newton, BFGS with a Newton finish, limited-memory BFGS."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from eirt.likelihood.base import SINGLE, Objective, Terms
from eirt.progress import Progress
from eirt.scales import rough_covariance
from eirt.steps import (
    ROUNDING,
    Point,
    along,
    finished,
    halve_until_better,
    newton_step,
    scaled_gradient,
    with_old_information,
    with_secant,
    with_secants,
)

CLOSE = 1e-3  # largest gradient at which BFGS hands over to Newton
GAINED = 1e-8  # gain of log-likelihood at which it hands over, too
FAR = 5.0  # Newton decrement per parameter beyond which EM steps lead on better
NEAR = 1.0  # Newton decrement below which secants tell enough of how the information changes
MOVED = 1e-6  # Newton decrement of a step that changes the information noticeably
SEARCHED = 1e-7  # at which a search ends, where the information is built


class Solution(NamedTuple):
    """Where an optimiser stopped."""

    psi: np.ndarray
    terms: Terms
    iterations: int
    interrupted: bool = False


@dataclass(frozen=True)
class Optimiser(abc.ABC):
    """How the maximum is found.

    Args:
        max_iterations: give up after so many.
    """

    max_iterations: int = 200

    @abc.abstractmethod
    def maximise(self, objective: Objective, psi: np.ndarray, report: Progress) -> Solution:
        """Climb from psi to the maximum of the objective."""


@dataclass(frozen=True)
class Newton(Optimiser):
    """Newton's method with step halving, on the observed information.

    Where that is indefinite (far from the optimum) the complete-data information, which never
    is, gives the step: Fisher scoring of the complete data, an EM step to first order. Where data
    are large, the information of a sample of persons leads to the maximum, updated by BFGS, and
    that of all is built there.

    Source: Louis (1982); Lange (1995) for the safe step; Nocedal & Wright (2006), eq. 6.19.

    >>> Newton(max_iterations=50).max_iterations
    50
    """

    def maximise(self, objective: Objective, psi: np.ndarray, report: Progress) -> Solution:
        searched = 0
        try:
            psi = self._rehearse(objective, psi, report)
        except KeyboardInterrupt:
            return Solution(psi, objective.newton_terms(psi), 0, True)
        if objective.quick:
            psi, searched, interrupted = self._search(objective, psi, report)
            if interrupted or searched == self.max_iterations:
                return Solution(psi, objective.newton_terms(psi), searched, interrupted)
        found = _finish(objective, psi, report) if searched else self._climb(objective, psi, report)
        return found._replace(iterations=searched + found.iterations)

    def _rehearse(self, objective: Objective, psi: np.ndarray, report: Progress) -> np.ndarray:
        """Return the maximum for a sample of persons, found from that of a sample of these."""
        sample = objective.rehearsal
        if sample is None:
            return psi
        found = self._climb(sample, self._rehearse(sample, psi, report), report)
        if found.interrupted:
            raise KeyboardInterrupt
        return found.psi if np.all(np.isfinite(found.psi)) else psi

    def _climb(self, objective: Objective, psi: np.ndarray, report: Progress) -> Solution:
        """Climb until nothing is left to gain, or what is left is little enough."""
        terms, before = objective.newton_terms(psi), np.inf
        iterations, interrupted = 0, False
        try:
            while iterations < self.max_iterations:
                step, decrement = newton_step(terms)
                report(terms.value, scaled_gradient(terms, objective.design.n_obs))
                if decrement < objective.enough or finished(decrement, before):
                    break
                step, rounding = objective.inside(psi, step), objective.rounding
                moved = halve_until_better(objective.newton_terms, psi, terms, step, rounding)
                if moved is None:
                    break
                psi, terms = moved
                before, iterations = decrement, iterations + 1
        except KeyboardInterrupt:
            interrupted = True
        return Solution(psi, terms, iterations, interrupted)

    def _search(
        self, objective: Objective, psi: np.ndarray, report: Progress
    ) -> tuple[np.ndarray, int, bool]:
        """Go to where Newton's decrement is small, by EM steps and then by secants."""
        iterations, before, far = 0, np.inf, False
        try:
            terms = objective.quick_terms(psi)
            while iterations < self.max_iterations:
                step, decrement = newton_step(terms)
                if decrement > max(NEAR, before / 2) and not far:  # else the terms are new
                    terms = objective.quick_terms(psi)
                    step, decrement = newton_step(terms)
                far, before = decrement > FAR * len(psi), decrement
                report(terms.value, scaled_gradient(terms, objective.design.n_obs))
                if not decrement > SEARCHED:
                    break
                if far:
                    step, _ = newton_step(terms._replace(information=terms.safe))
                step = objective.inside(psi, step)
                at = (
                    objective.quick_terms
                    if far
                    else with_secants(objective.quick_value_and_grad, psi, terms)
                )
                moved = halve_until_better(at, psi, terms, step, SINGLE)
                if moved is None:
                    break
                (psi, terms), iterations = moved, iterations + 1
        except KeyboardInterrupt:
            return psi, iterations, True
        return psi, iterations, False


@dataclass(frozen=True)
class QuasiNewton(Optimiser):
    """BFGS on exact gradients, then Newton steps to the last digit.

    For objectives whose information must be differenced, so that it is built only at the end.

    Source: Nocedal & Wright (2006), chapter 6.

    >>> QuasiNewton(max_iterations=50).max_iterations
    50
    """

    def maximise(self, objective: Objective, psi: np.ndarray, report: Progress) -> Solution:
        n = objective.design.n_obs
        inverse = rough_covariance(objective) if objective.scale is None else objective.scale
        iterations, at = 0, Point(psi, *objective.value_and_grad(psi))
        try:
            while iterations < self.max_iterations and at.steepest > CLOSE:
                report(at.value, at.steepest / n)
                there = along(objective, at, inverse @ at.gradient)
                if there is None:
                    break
                inverse = with_secant(inverse, there.psi - at.psi, at.gradient - there.gradient)
                gain, at, iterations = there.value - at.value, there, iterations + 1
                if gain < max(GAINED, ROUNDING * abs(at.value)):
                    break
            objective.scale = inverse
            found = _finish(objective, at.psi, report)
        except KeyboardInterrupt:
            return Solution(at.psi, objective.newton_terms(at.psi), iterations, True)
        return found._replace(iterations=iterations + found.iterations)


def _finish(objective: Objective, psi: np.ndarray, report: Progress, most: int = 20) -> Solution:
    """Take Newton steps to the last digit, differencing the information again only if it moved.

    Each step with an old information costs one gradient instead of two per parameter.
    """
    terms, before = objective.newton_terms(psi), np.inf
    for iteration in range(most):
        step, decrement = newton_step(terms)
        report(terms.value, scaled_gradient(terms, objective.design.n_obs))
        if finished(decrement, before):
            return Solution(psi, terms, iteration)
        before = decrement
        trial = with_old_information(objective.value_and_grad, terms)(psi + step)
        if not trial.value >= terms.value - ROUNDING * abs(trial.value):
            break
        psi = psi + step
        terms = objective.newton_terms(psi) if decrement > MOVED else trial
    return Newton(most).maximise(objective, psi, report)


@dataclass(frozen=True)
class LBFGS(Optimiser):
    """Limited-memory BFGS directions from optax with step halving: many parameters, any model.

    Args:
        max_iterations: give up after so many.
        memory: pairs of steps and gradient changes remembered.
        tolerance: largest gradient per response at which to stop.

    Source: Liu & Nocedal (1989); optax's `scale_by_lbfgs`.

    >>> LBFGS(max_iterations=50).max_iterations
    50
    """

    max_iterations: int = 1000
    memory: int = 20
    tolerance: float = 1e-8

    def maximise(self, objective: Objective, psi: np.ndarray, report: Progress) -> Solution:
        import jax
        import jax.numpy as jnp
        import optax

        n = objective.design.n_obs
        transform = optax.scale_by_lbfgs(memory_size=self.memory)
        update = jax.jit(transform.update)
        psi = np.asarray(psi, float)
        state = transform.init(jnp.asarray(psi))
        value, gradient = objective.value_and_grad(psi)
        iterations, interrupted = 0, False
        try:
            while iterations < self.max_iterations:
                report(value, float(np.max(np.abs(gradient), initial=0.0)) / n)
                if np.max(np.abs(gradient), initial=0.0) / n < self.tolerance:
                    break
                direction, state = update(jnp.asarray(-gradient / n), state, jnp.asarray(psi))
                step = -np.asarray(direction)
                trial, there = value, gradient
                for _ in range(30):
                    trial, there = objective.value_and_grad(psi + step)
                    if trial >= value + 1e-4 * gradient @ step:
                        break
                    step = step / 2
                else:
                    break
                psi, value, gradient = psi + step, trial, there
                iterations += 1
        except KeyboardInterrupt:
            interrupted = True
        return Solution(psi, objective.newton_terms(psi), iterations, interrupted)
