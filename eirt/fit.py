"""From a model and a design to a fit: starts, optimisers, the certificate."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from eirt._config import double_precision
from eirt.design import Design
from eirt.effects import Standard
from eirt.likelihood import (
    AdaptiveQuadrature,
    Laplace,
    Likelihood,
    Nested,
    Normal,
    Objective,
    Quadrature,
)
from eirt.likelihood.base import Terms
from eirt.likelihood.prior import penalise
from eirt.model import Model, Params, parameter_names, restrict
from eirt.progress import Progress
from eirt.results import Certificate, Fit

FINISHED = 1e-18  # Newton decrement at which no digit is left to gain
GRID_TOLERANCE = 1e-3  # quadrature error beyond which the grid is refined


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
    is, gives the step: Fisher scoring of the complete data, an EM step to first order.

    Source: Louis (1982); Lange (1995) for the safe step.
    """

    def maximise(self, objective: Objective, psi: np.ndarray, report: Progress) -> Solution:
        terms = objective.newton_terms(psi)
        iterations = 0
        interrupted = False
        try:
            while iterations < self.max_iterations:
                step, decrement = _newton_step(terms)
                report(terms.value, _scaled_gradient(terms, objective.design.n_obs))
                if not decrement > FINISHED:
                    break
                moved = _halve_until_better(objective, psi, terms, step)
                if moved is None:
                    break
                psi, terms = moved
                iterations += 1
        except KeyboardInterrupt:
            interrupted = True
        return Solution(psi, terms, iterations, interrupted)


def _newton_step(terms: Terms) -> tuple[np.ndarray, float]:
    """Return a step uphill and its decrement."""
    size = len(terms.gradient)
    for information in (terms.information, terms.safe):
        try:
            factor = np.linalg.cholesky(information + 1e-12 * np.eye(size))
        except np.linalg.LinAlgError:
            continue
        step = np.linalg.solve(factor.T, np.linalg.solve(factor, terms.gradient))
        return step, float(terms.gradient @ step)
    values, vectors = np.linalg.eigh(terms.information)
    values = np.maximum(np.abs(values), 1e-3 * np.abs(values).max())
    step = vectors @ ((vectors.T @ terms.gradient) / values)
    return step, float(terms.gradient @ step)


def _halve_until_better(
    objective: Objective, psi: np.ndarray, terms: Terms, step: np.ndarray
) -> tuple[np.ndarray, Terms] | None:
    """Return the first of psi + step, psi + step/2, ... that is no worse, or None."""
    for _ in range(30):
        trial = objective.newton_terms(psi + step)
        if np.isfinite(trial.value) and trial.value >= terms.value - 1e-12 * abs(terms.value):
            return psi + step, trial
        step = step / 2
    return None


@dataclass(frozen=True)
class QuasiNewton(Optimiser):
    """BFGS on exact gradients, then Newton steps to the last digit.

    For objectives whose information must be differenced, so that it is built only at the end.

    Source: Nocedal & Wright (2006), chapter 6; scipy's implementation.
    """

    def maximise(self, objective: Objective, psi: np.ndarray, report: Progress) -> Solution:
        import scipy.optimize

        n = objective.design.n_obs
        best = _Best(psi)

        def negative(at: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = objective.value_and_grad(at)
            if not np.isfinite(value) or not np.all(np.isfinite(gradient)):
                return 1e10, np.zeros_like(at)
            best.update(at, value, gradient)
            return -value / n, -gradient / n

        def callback(intermediate_result: scipy.optimize.OptimizeResult) -> None:
            report(best.value, float(np.max(np.abs(best.gradient), initial=0.0)) / n)

        try:
            found = scipy.optimize.minimize(
                negative,
                psi,
                jac=True,
                method="BFGS",
                callback=callback,
                options={"gtol": 1e-5, "maxiter": self.max_iterations},
            )
        except KeyboardInterrupt:
            return Solution(best.psi, objective.newton_terms(best.psi), report.iteration, True)
        polished = Newton(20).maximise(objective, best.psi, report)
        return polished._replace(iterations=int(found.nit) + polished.iterations)


class _Best:
    """The best point that an optimiser has seen."""

    def __init__(self, psi: np.ndarray):
        self.psi = psi
        self.value = -np.inf
        self.gradient = np.zeros_like(psi)

    def update(self, psi: np.ndarray, value: float, gradient: np.ndarray) -> None:
        if value > self.value:
            self.psi, self.value, self.gradient = psi.copy(), value, gradient


@dataclass(frozen=True)
class LBFGS(Optimiser):
    """Limited-memory BFGS directions from optax with step halving: many parameters, any model.

    Args:
        max_iterations: give up after so many.
        memory: pairs of steps and gradient changes remembered.
        tolerance: largest gradient per response at which to stop.

    Source: Liu & Nocedal (1989); optax's `scale_by_lbfgs`.
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


def _scaled_gradient(terms: Terms, n_obs: int) -> float:
    return float(np.max(np.abs(terms.gradient), initial=0.0)) / n_obs


def default_likelihood(model: Model, design: Design) -> Likelihood:
    """Choose how to eliminate the random effects from the shape of the design."""
    crossed = any(not term.local for term in design.terms)
    if model.dimension <= 2:
        return Nested() if crossed else Quadrature()
    return Laplace() if crossed else AdaptiveQuadrature(7)


def start_values(model: Model, design: Design) -> np.ndarray:
    """Return a starting vector: weighted least squares on smoothed marginal links.

    The marginal effects are inflated to the conditional scale (Zeger, Liang & Albert, 1988).
    """
    counts = np.bincount(design.obs_row, minlength=len(design.row_y)).astype(float)
    n = np.bincount(design.row_cell, counts, minlength=len(design.x))
    overall = np.average(design.row_y, weights=counts)
    sums = np.bincount(design.row_cell, counts * design.row_y, minlength=len(design.x))
    eta = model.response.start_eta((sums + overall) / (n + 1.0))
    if not model.response.has_intercept:
        eta = eta - np.average(eta, weights=n)
    root = np.sqrt(n)
    beta = np.linalg.lstsq(design.x * root[:, None], eta * root, rcond=None)[0]
    inflation = np.sqrt(1.0 + 0.35 * model.dimension)
    proportions = np.zeros(max(design.n_categories, 1))
    if design.n_categories:
        total = np.bincount(design.row_y.astype(int), counts, minlength=design.n_categories)
        proportions = total / total.sum()
    return model.start(inflation * beta, model.response.start_aux(proportions))


@double_precision
def fit(
    model: Model,
    design: Design,
    likelihood: Likelihood | None = None,
    optimiser: Optimiser | None = None,
    *,
    name: str = "Model",
    anchors: Mapping[str, float] | None = None,
    priors: Mapping[str, Normal] | None = None,
    start: np.ndarray | None = None,
    progress: bool | None = None,
    check: bool | None = None,
) -> Fit:
    """Fit a model to a design by maximum likelihood.

    Args:
        model: the model.
        design: the data.
        likelihood: how the random effects are eliminated; chosen from the design when None.
        optimiser: how the maximum is found; Newton where the information is exact, BFGS with a
            Newton finish otherwise.
        name: what to call the model in tables.
        anchors: parameters fixed at a value, by name.
        priors: normal priors on parameters, by name; "easiness" stands for all fixed effects.
        start: full starting vector.
        progress: see `eirt.progress.Progress`.
        check: whether to estimate the error of the likelihood; None does where it is cheap.

    Returns:
        The fit, with its certificate. A fit that did not converge warns.
    """
    names = parameter_names(model, design)
    restriction = restrict(model, names, anchors)
    choice = likelihood or default_likelihood(model, design)
    objective = penalise(choice.bind(model, design, restriction), names, priors)
    psi = restriction.free(start_values(model, design) if start is None else start)
    chosen = optimiser or (Newton() if objective.exact_information else QuasiNewton())
    report = Progress(progress, name)
    solution = chosen.maximise(objective, psi, report)
    iterations = solution.iterations
    cheap = objective.check_cost() < 5e8
    errors = objective.errors(solution.psi) if check or (check is None and cheap) else {}
    while abs(errors.get("quadrature", 0.0)) > GRID_TOLERANCE and likelihood is None:
        finer = objective.refined()
        if finer is None:
            break
        objective = finer
        solution = chosen.maximise(objective, solution.psi, report)
        iterations += solution.iterations
        errors = objective.errors(solution.psi)
    signs = restriction.free(_signs(model, np.asarray(restriction.expand(solution.psi))))
    return Fit(
        name=name,
        model=model,
        design=design,
        likelihood=choice,
        objective=objective,
        restriction=restriction,
        names=names,
        psi=signs * solution.psi,
        information=signs[:, None] * solution.terms.information * signs,
        loglik=solution.terms.value - objective.penalty(solution.psi),
        certificate=_certificate(solution._replace(iterations=iterations), model, errors, design),
    ).warn()


def _signs(model: Model, full: np.ndarray) -> np.ndarray:
    """Return +-1 per parameter, so that scales, and the mean slope of a dimension, are positive.

    Reflecting a spherical effect leaves the likelihood as it is.
    """
    params = model.unpack(full)
    thetas, slopes = [], []
    for effect, theta, slope in zip(model.effects, params.theta, params.slopes, strict=True):
        q = effect.covariance.dimension
        if isinstance(effect.covariance, Standard) and len(slope):
            flip = np.where(np.asarray(slope).reshape(-1, q).sum(axis=0) < 0, -1.0, 1.0)
            slopes.append(np.tile(flip, len(slope) // q))
            thetas.append(np.ones(len(theta)))
            continue
        flip = np.where(np.diagonal(effect.covariance.factor(theta)) < 0, -1.0, 1.0)
        # a sign per column of Lambda: read off what it does to each parameter
        basis = np.eye(len(theta))
        moved = [effect.covariance.factor(row) * flip for row in basis]
        same = [np.allclose(m, effect.covariance.factor(row)) for m, row in zip(moved, basis, strict=True)]
        thetas.append(np.where(same, 1.0, -1.0))
        slopes.append(np.ones(len(slope)))
    ones = Params(np.ones(model.n_fixed), tuple(thetas), tuple(slopes), np.ones(params.aux.size))
    return np.concatenate([ones.beta, *ones.theta, *ones.slopes, ones.aux])


def _certificate(
    solution: Solution, model: Model, errors: Mapping[str, float], design: Design
) -> Certificate:
    terms = solution.terms
    _, decrement = _newton_step(terms)
    scale = np.sqrt(np.maximum(np.diagonal(terms.information), 1e-300))
    finite = bool(np.all(np.isfinite(terms.information)))
    smallest = (
        float(np.linalg.eigvalsh(terms.information / np.outer(scale, scale)).min(initial=1.0))
        if finite
        else float("nan")
    )
    return Certificate(
        gradient=_scaled_gradient(terms, design.n_obs),
        decrement=decrement,
        smallest_eigenvalue=smallest,
        iterations=solution.iterations,
        interrupted=solution.interrupted,
        quadrature_error=errors.get("quadrature"),
        laplace_error=errors.get("laplace"),
        laplace_error_se=errors.get("laplace_se"),
    )
