"""From a model and a design to a fit: starts, optimisers, the certificate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from eirt._config import calm_linear_algebra, double_precision
from eirt._positive import inverse
from eirt.certificate import Certificate
from eirt.covariances import Standard
from eirt.defaults import default_likelihood
from eirt.design import Design
from eirt.devices import gathered
from eirt.effects import Linear, Target
from eirt.information import reflected, smallest_eigenvalue
from eirt.likelihood import Likelihood, Prior
from eirt.likelihood.base import Precision
from eirt.likelihood.prior import penalise
from eirt.model import Model, Params, global_offsets, parameter_names
from eirt.optimisers import Newton, Optimiser, QuasiNewton, Solution
from eirt.progress import Progress
from eirt.restrictions import restrict
from eirt.results import Fit
from eirt.starts import start_values
from eirt.steps import newton_step, scaled_gradient

GRID_TOLERANCE = 1e-3  # quadrature error beyond which the grid is refined


@double_precision
def fit(
    model: Model,
    design: Design,
    likelihood: Likelihood | None = None,
    optimiser: Optimiser | None = None,
    *,
    name: str = "Model",
    anchors: Mapping[str, float | str] | None = None,
    priors: Mapping[str, Prior] | None = None,
    start: np.ndarray | None = None,
    progress: bool | None = None,
    check: bool | None = None,
    precision: Precision | None = None,
) -> Fit:
    """Fit a model to a design by maximum likelihood.

    Args:
        model: the model.
        design: the data.
        likelihood: how the random effects are eliminated; chosen from the design when None.
        optimiser: how the maximum is found; Newton where the information is exact, BFGS with a
            Newton finish otherwise.
        name: what to call the model in tables.
        anchors: parameters fixed at a value, or tied to another, by name.
        priors: priors on parameters, by name or kind; see `eirt.likelihood.prior.penalise`.
        start: full starting vector.
        progress: see `eirt.progress.Progress`.
        check: whether to estimate the error of the likelihood; None does where it is cheap.
        precision: of searches on shared nodes: "double", or "mixed", which is single precision
            with sums in double. None is mixed where that is quicker. All end in double precision.

    Returns:
        The fit, with its certificate. A fit that did not converge warns.
    """
    apart = design.devices is not None and design.devices.apart
    if apart != (design.observations.everyone is not None):
        raise ValueError(
            "These are the persons of one of several processes alone: what refits models to other "
            "persons, items or responses runs in one process, with all data."
        )
    names = parameter_names(model, design)
    if likelihood is not None:
        anchors = likelihood.settle(model, design, anchors or {})
    restriction = restrict(names, anchors)
    full = start_values(model, design) if start is None else start
    full = restriction.full(restriction.free(full))
    choice = likelihood or default_likelihood(model, design, full)
    if design.devices is not None:
        full, choice = _agreed(design, full, choice)
    objective = penalise(choice.bind(model, design, restriction), names, priors)
    objective.precision = precision
    psi = objective.started(restriction.free(full))
    chosen = optimiser or (Newton() if objective.exact_information else QuasiNewton())
    report = Progress(progress, name)
    size = max(len(names), global_offsets(design)[-1])
    with calm_linear_algebra(size):
        rough = None
        if start is None and optimiser is None and choice.rougher is not None:
            there = penalise(choice.rougher.bind(model, design, restriction), names, priors)
            rough = QuasiNewton().maximise(there, psi, report)
            psi, objective.scale = rough.psi, inverse(rough.terms.information)
        if rough is not None and rough.interrupted:
            solution = rough._replace(terms=objective.newton_terms(psi))
        else:
            solution = chosen.maximise(objective, psi, report)
        iterations = solution.iterations + (rough.iterations if rough is not None else 0)
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
    signs = restriction.free(_signs(model, design, restriction.full(solution.psi)))
    return Fit(
        name=name,
        model=model,
        design=design,
        likelihood=choice,
        objective=objective,
        restriction=restriction,
        names=names,
        psi=signs * solution.psi,
        information=reflected(solution.terms.information, signs),
        loglik=solution.terms.value - objective.penalty(solution.psi),
        certificate=_certificate(solution._replace(iterations=iterations), model, errors, design),
    ).warn()


def _agreed(design: Design, full: np.ndarray, choice: Likelihood) -> tuple[np.ndarray, Likelihood]:
    """Return where all processes start, and with which likelihood, if it spreads persons."""
    assert design.devices is not None
    if not choice.spreads:
        raise ValueError(
            f"{choice.name} runs on one device, and {len(design.devices.each)} are asked for: name "
            "one, device='gpu', or leave device= out. eirt.Quadrature(), for effects of persons "
            "alone, spreads persons over several."
        )
    if not design.devices.apart:
        return full, choice
    return gathered((full, choice))[0]  # alike but for rounding, where processors differ


def _signs(model: Model, design: Design, full: np.ndarray) -> np.ndarray:
    """Return +-1 per parameter, so that scales, and the mean slope of a dimension, are positive.

    Reflecting a spherical effect leaves the likelihood as it is.
    """
    params = model.unpack(full)
    thetas = [
        effect.covariance.signs(np.asarray(theta))
        for effect, theta in zip(model.effects, params.theta, strict=True)
    ]
    beta, parts = np.ones(model.n_fixed), [np.ones(part.size) for part in model.parts]
    for place, steep in _reflected(model, params, design):
        for signs, size in zip(parts, model.parts, strict=True):
            if size.target in (steep, Target("ability", place)):
                signs[:] = -1.0
        if place in model.ability_places:
            beta[design.person_columns] = -1.0
    return model.pack(beta, thetas, parts, np.ones(params.aux.size))


def _reflected(model: Model, params: Params, design: Design) -> list[tuple[int, Target]]:
    """Return the dimensions whose slopes are negative on average, and what carries them.

    Only ability of unit variance can be reflected so: a scale is made positive elsewhere.
    """
    local = [(e, t) for e in model.effects if e.local for t in e.targets]
    carriers = [target for _, target in local]
    found = []
    for part, coefficients in zip(design.parts, params.parts, strict=True):
        if carriers.count(part.target) == 1:
            place = carriers.index(part.target)
            alone = isinstance(local[place][0].covariance, Standard)
            linear = isinstance(local[place][0].slope, Linear)
            if alone and linear and np.mean(part.x @ np.asarray(coefficients)) < 0:
                found.append((place, part.target))
    return found


def _certificate(
    solution: Solution, model: Model, errors: Mapping[str, float], design: Design
) -> Certificate:
    terms = solution.terms
    _, decrement = newton_step(terms)
    return Certificate(
        gradient=scaled_gradient(terms, design.n_obs),
        decrement=decrement,
        smallest_eigenvalue=smallest_eigenvalue(terms.information),
        iterations=solution.iterations,
        interrupted=solution.interrupted,
        quadrature_error=errors.get("quadrature"),
        laplace_error=errors.get("laplace"),
        laplace_error_se=errors.get("laplace_se"),
    )
