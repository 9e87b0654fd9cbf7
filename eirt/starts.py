"""Where a fit starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt._compiled import compiled
from eirt._math import rounded_up
from eirt.design import Design
from eirt.extras import answers, categories, holds_level
from eirt.indicators import Indicators
from eirt.likelihood.incidence import centre as person_centre
from eirt.likelihood.polynomials import TOLD
from eirt.model import Model
from eirt.responses import Response
from eirt.scales import OTHER_SD
from eirt.terms import Term

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

START_SD = (0.3, 3.0)
LOGISTIC = np.pi**2 / 3  # residual variance of the logit
START_LOADING = (-0.8, 0.9)
MOST_PERSONS = 20_000  # whose responses tell where slopes start


def start_values(model: Model, design: Design) -> np.ndarray:
    """Return a starting vector: weighted least squares on smoothed marginal links.

    Covariates of persons are regressed on persons, all others on cells. The marginal effects are
    stretched to the conditional scale, the more the steeper (Zeger, Liang & Albert, 1988).
    """
    eta, n = marginal(model, design, np.arange(len(design.x)))
    aux = _start_aux(model, design)
    if not model.response.has_intercept:
        # the extra parameters hold the level, of all cells or of each item
        own = design.cell_item if model.aux_by_item else np.zeros(len(n), int)
        eta = eta - (np.bincount(own, n * eta) / np.bincount(own, n))[own]
        gain, aux = _recentred(model, design, aux)
        eta = eta + gain[own]
    beta = _least_squares(design.x, eta, n)
    eta_cell, n_cell = eta, n
    if len(design.person_columns):
        eta, n = marginal(model, design)
        centre = person_centre(design).covariates
        above = eta - mean_of(design, eta, n)
        gamma = _least_squares(design.person_x - centre, above, n, design)
        beta[design.person_columns] = gamma
        beta[np.array(design.x_names) == "(Intercept)"] -= centre @ gamma
    steepness = _steepness(model, design)
    stretch = np.sqrt(1.0 + 0.35 * (steepness**2 + model.dimension - 1))
    overall = float(np.average(stretch, weights=n_cell))
    thetas = [
        effect.covariance.start(_start_sd(model, design, term, beta, overall))
        for effect, term in zip(model.effects, design.terms, strict=True)
    ]
    gamma = overall * beta[design.person_columns]
    beta = _least_squares(design.x, stretch * eta_cell, n_cell)
    beta[design.person_columns] = gamma
    if len(gamma):
        beta[np.array(design.x_names) == "(Intercept)"] -= centre @ gamma
    aux = _stretched(model, design, aux, stretch / (steepness if model.aux_steep else 1.0))
    return model.pack(beta, thetas, start_parts(model, design, steepness), aux)


def _steepness(model: Model, design: Design) -> Float[np.ndarray, " C"]:
    """Return about how steeply each cell's responses rise with ability; ones where nothing is told.

    With one factor, standardised responses z of a person have E(z_i z_j) = l_i l_j, so that
    z times the sum of the person's others averages to l_i times the mean loading.

    Source: the centroid method of Thurstone (1931); Takane & de Leeuw (1987) for slopes.
    """
    link = getattr(model.response, "distribution", None)
    ones = np.ones(len(design.x))
    guessed = bool(model.response.bounded)  # asymptotes blur correlations, too
    if link is None or guessed or model.dimension != 1 or not design.n_categories:
        return ones
    answers = design.observations.first(MOST_PERSONS)
    group = design.cell_item if design.item and not design.items_first else np.arange(len(ones))
    own, y, count = group[design.row_cell], design.row_y, _total(design, answers.counts)
    n = np.maximum(np.bincount(own, count), 1.0)
    mean = np.bincount(own, count * y) / n
    variance = np.bincount(own, count * y**2) / n - mean**2
    z = (y - mean[own]) / np.sqrt(np.maximum(variance, 1e-8))[own]
    total = _total(design, answers.by_row(answers.by_person(z)))
    products = np.bincount(own, z * (total - count * z))
    pairs = np.bincount(own, _total(design, answers.by_row(answers.lengths - 1.0)))
    if not pairs.sum() or not products.sum() > 0:
        return ones
    loading = products / np.maximum(pairs, 1.0) / np.sqrt(products.sum() / pairs.sum())
    # categories blur correlations, the more the fewer they are
    loading = np.clip(loading * (1.0 + 0.5 / design.n_categories), *START_LOADING)
    residual = link.residual_variance if np.isfinite(link.residual_variance) else LOGISTIC
    slope = np.sqrt(residual) * loading / np.sqrt(1.0 - loading**2)
    if not any(effect.slope.free for effect in model.effects if effect.local):
        slope = np.full_like(slope, np.sqrt(np.mean(slope**2)))
    return slope[group]


def _stretched(
    model: Model, design: Design, aux: np.ndarray, stretch: Float[np.ndarray, " C"]
) -> np.ndarray:
    """Return extra parameters as wide as the predictor, of each item where it has its own."""
    if not model.aux_by_item:
        return np.stack([model.response.stretched(raw, stretch.mean()) for raw in aux])
    n = np.bincount(design.cell_item, minlength=len(aux))
    factors = np.bincount(design.cell_item, stretch, minlength=len(aux)) / n
    pairs = zip(aux, factors, strict=True)
    return np.stack([model.response.stretched(raw, factor) for raw, factor in pairs])


def _start_aux(model: Model, design: Design) -> Float[np.ndarray, "sets n_aux"]:
    """Return where the unconstrained extra parameters start, of each item where it has its own."""
    if not model.response.n_aux:
        return np.zeros((model.n_items if model.aux_by_item else 1, 0))
    sets = answers(design, model.aux_by_item)
    return np.stack([model.response.start_from(y, *given) for y, given in sets])


def _recentred(
    model: Model, design: Design, aux: np.ndarray
) -> tuple[Float[np.ndarray, " sets"], Float[np.ndarray, "sets n_aux"]]:
    """Return extra parameters with the level that they keep, and what easiness takes over."""
    sizes = categories(design, model.aux_by_item)
    kept = 0.0 if holds_level(design, model.aux_by_item) else aux[0, 0]
    found = [model.response.recentred(raw, n, kept) for raw, n in zip(aux, sizes, strict=True)]
    return np.array([gain for gain, _ in found]), np.stack([raw for _, raw in found])


def _start_sd(
    model: Model, design: Design, term: Term, beta: np.ndarray, inflation: float
) -> float:
    """Return about the sd of the effects of a term: that of its levels' means, less their noise.

    Source: as the moment estimator of DerSimonian & Laird (1986).
    """
    if term.effects != ("(Intercept)",):
        return 1.0 if term.local else OTHER_SD
    answers, of_rows = design.observations, (design.x @ beta)[design.row_cell]
    of_persons = design.person_x @ beta[design.person_columns]
    eta, n = marginal(model, design, term.index)
    if term.index is None:
        fitted = answers.by_person(of_rows) + answers.lengths * of_persons
    else:
        sums = answers.counts * of_rows + answers.by_row(of_persons)
        fitted = np.bincount(term.index[design.row_cell], sums, len(n))
    residual = eta - fitted / n
    apart = design if term.index is None else None  # levels may belong to several processes
    centred = residual - mean_of(apart, residual, n)
    noise = 1.0 / (TOLD * mean_of(apart, n, np.ones(len(n))))
    variance = mean_of(apart, centred**2, n) - noise
    return float(np.clip(inflation * np.sqrt(max(variance, 0.0)), *START_SD))


def start_parts(
    model: Model, design: Design, steepness: Float[np.ndarray, " C"]
) -> list[np.ndarray]:
    """Return starting values of what else is explained: slopes as steep as that, no effects."""
    slopes = {t: effect.slope for effect in model.effects if effect.local for t in effect.targets}
    return [
        slopes[part.target].start(part.x, steepness)
        if part.target in slopes
        else np.zeros(part.x.shape[1])
        for part in design.parts
    ]


def marginal(
    model: Model, design: Design, group: Int[np.ndarray, " C"] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictor that fits the mean response, smoothed, and how many responses there are.

    Args:
        model: the model.
        design: the data.
        group: to which group each cell belongs; persons are the groups when None.
    """
    answers, cell, y = design.observations, design.row_cell, design.row_y

    def summed(of_rows: np.ndarray) -> np.ndarray:
        if group is None:
            return answers.by_person(of_rows)
        return np.bincount(group[cell], answers.counts * of_rows)

    eta = size = np.zeros(())
    member = model.response.member_of(*design.given[cell].T)
    several = len(model.response.members) > 1
    for k, family in enumerate(model.response.members):
        own = (member == k) * 1.0 if several else np.ones(len(y))
        if group is None and not several:
            n, sums = answers.lengths, design.person_totals
        else:
            n, sums = summed(own), summed(own * y)
        typical = np.average(y, weights=answers.counts * own)
        mean = (sums + typical) / (n + 1.0)
        padded = np.pad(mean, (0, rounded_up(len(mean)) - len(mean)), mode="edge")
        eta = eta + n * np.asarray(_start_eta(family, padded))[: len(mean)]
        size = size + n
    return eta / np.maximum(size, 1.0), size


@compiled(0, once=True)
def _start_eta(response: Response, mean: Array) -> Array:
    return response.start_eta(mean)


def _total(design: Design | None, values: np.ndarray) -> np.ndarray:
    """Sum what processes know of their persons, where these are spread over several."""
    return values if design is None or design.devices is None else design.devices.total(values)


def mean_of(design: Design | None, values: np.ndarray, weight: np.ndarray) -> float:
    """Return a weighted mean, over the persons of all processes where a design is given."""
    sums, size = _total(design, np.array([weight @ values, weight.sum()]))
    return float(sums / size)


def _least_squares(
    x: np.ndarray | Indicators, y: np.ndarray, weight: np.ndarray, design: Design | None = None
) -> np.ndarray:
    if isinstance(x, Indicators):
        size, products = _total(design, np.stack([x.sums(weight), x.sums(weight * y)]))
        return products / size
    weighted = x.T * weight
    gram, products = _total(design, weighted @ x), _total(design, weighted @ y)
    # columns that hold nothing here (covariates of persons) get zero
    ridge = (1e-10 * np.trace(gram) or 1.0) / max(len(gram), 1)
    return np.linalg.solve(gram + ridge * np.eye(len(gram)), products)
