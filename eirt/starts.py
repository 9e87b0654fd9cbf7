"""Where a fit starts, and how its random effects are eliminated by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from eirt._compiled import compiled
from eirt._math import rounded_up
from eirt.design import Design
from eirt.extras import answers, categories, holds_level
from eirt.likelihood import (
    AdaptiveQuadrature,
    Laplace,
    Likelihood,
    Nested,
    Quadrature,
    Reduced,
)
from eirt.likelihood.cells import Data, cell_parameters
from eirt.likelihood.incidence import centre as person_centre
from eirt.likelihood.incidence import nearly_complete
from eirt.likelihood.polynomials import TOLD
from eirt.likelihood.table import tabulated
from eirt.likelihood.testlets import split
from eirt.model import Model, global_offsets, parameter_names
from eirt.responses import Response
from eirt.restrictions import restrict
from eirt.scales import OTHER_SD
from eirt.terms import Term

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

REACH = 6.5
MOST_NODES = 401  # beyond, nodes at each person's own mode are cheaper
START_SD = (0.3, 3.0)
LOGISTIC = np.pi**2 / 3  # residual variance of the logit
START_LOADING = (-0.8, 0.9)
MOST_PERSONS = 20_000  # whose responses tell where slopes start
MOST_PRODUCTS = 3e9  # persons x nodes x pairs of responses
MOST_PAIRS = 5e7  # of responses within testlets x nodes
SPACING = 1.1  # of shared nodes, in posterior standard deviations


def start_values(model: Model, design: Design) -> np.ndarray:
    """Return a starting vector: weighted least squares on smoothed marginal links.

    Covariates of persons are regressed on persons, all others on cells. The marginal effects are
    stretched to the conditional scale, the more the steeper (Zeger, Liang & Albert, 1988).
    """
    eta, n = _marginal(model, design, np.arange(len(design.x)))
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
        eta, n = _marginal(model, design)
        centre = person_centre(design).covariates
        above = eta - _mean(design, eta, n)
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
    eta, n = _marginal(model, design, term.index)
    if term.index is None:
        fitted = answers.by_person(of_rows) + answers.lengths * of_persons
    else:
        sums = answers.counts * of_rows + answers.by_row(of_persons)
        fitted = np.bincount(term.index[design.row_cell], sums, len(n))
    residual = eta - fitted / n
    of_persons = design if term.index is None else None
    centred = residual - _mean(of_persons, residual, n)
    noise = 1.0 / (TOLD * _mean(of_persons, n, np.ones(len(n))))
    variance = _mean(of_persons, centred**2, n) - noise
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


def _marginal(
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


@compiled(0)
def _start_eta(response: Response, mean: Array) -> Array:
    return response.start_eta(mean)


def _total(design: Design | None, values: np.ndarray) -> np.ndarray:
    """Sum what processes know of their persons, where these are spread over several."""
    return values if design is None or design.devices is None else design.devices.total(values)


def _mean(design: Design | None, values: np.ndarray, weight: np.ndarray) -> float:
    """Return a weighted mean, over the persons of all processes where a design is given."""
    sums, size = _total(design, np.array([weight @ values, weight.sum()]))
    return float(sums / size)


def _least_squares(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, design: Design | None = None
) -> np.ndarray:
    weighted = x.T * weight
    gram, products = _total(design, weighted @ x), _total(design, weighted @ y)
    # columns that hold nothing here (covariates of persons) get zero
    ridge = (1e-10 * np.trace(gram) or 1.0) / max(len(gram), 1)
    return np.linalg.solve(gram + ridge * np.eye(len(gram)), products)


def default_likelihood(model: Model, design: Design, start: np.ndarray) -> Likelihood:
    """Choose how to eliminate the random effects from the shape of the design."""
    if model.response.quadratic and model.moved == 1:
        return Laplace()
    crossed = any(not term.local for term in design.terms)
    nodes_of = _enough_nodes(model, design, start)
    nodes = max(nodes_of)
    if model.dimension > 2 and (reduced := _reduced(model, design, nodes_of)):
        return reduced
    if model.dimension == 1 and nodes <= MOST_NODES:
        nodes = max(nodes, 61)
        if not crossed:
            return Quadrature(nodes)
        # what a count tells grows with it, and the start may guess too little
        own = model.response.kind == "count" or _heavy(model, design, nodes)
        return Nested(adaptive=True) if own else Nested(nodes)
    if model.dimension <= 2 and nodes <= 61 and not _heavy(model, design, 31**2):
        return Nested() if crossed else Quadrature()
    if model.dimension > 4:
        return Laplace()
    if crossed:
        return Nested(adaptive=True)
    return AdaptiveQuadrature({1: 15, 2: 15, 3: 7, 4: 5}[model.dimension])


def _reduced(model: Model, design: Design, nodes: list[int]) -> Reduced | None:
    """Return quadrature of reduced dimension, where it is possible and fits in memory."""
    if not nearly_complete(design):
        return None
    tiers = split(model, design)
    general, specific = (max([1, *(nodes[d] for d in places)]) for places in tiers[:2])
    rows = np.bincount(tiers.own[design.row_cell]).max()
    size = len(tiers.specific) * rows**2 * general ** len(tiers.general) * specific
    return Reduced(general, specific) if len(tiers.specific) > 1 and size <= MOST_PAIRS else None


def _heavy(model: Model, design: Design, nodes: int) -> bool:
    """Return whether the information on shared nodes takes long: no products for it to use."""
    if tabulated(model, design):
        return False
    slots = design.n_obs / design.n_persons
    return design.n_persons * nodes * slots**2 > MOST_PRODUCTS


def _enough_nodes(model: Model, design: Design, start: np.ndarray) -> list[int]:
    """Return how many shared nodes each local effect needs.

    They are no further apart than SPACING times the smallest posterior standard deviation of a
    person's spherical effect, guessed at the start.
    """
    if model.dimension == 0:
        return [1]
    data = Data.of(design, restrict(parameter_names(model, design)))
    none = np.zeros(global_offsets(design)[-1])
    level, n = _marginal(model, design)
    above = level - _mean(design, level, n)
    if design.complete:  # what is told of a person depends on the level alone
        above, cells = np.unique(above), np.arange(len(design.x))
        person, cell = (x.ravel() for x in np.meshgrid(np.arange(len(above)), cells, indexing="ij"))
    else:
        answers = design.observations.first(MOST_PERSONS)
        person, cell = answers.person, design.row_cell[answers.row]
    more = rounded_up(len(cell)) - len(cell)
    padded = [np.pad(x, (0, more)) for x in (cell, above[person])]
    told = np.asarray(_told(model, start, data, none, *padded))[: len(person)]
    sums = [np.bincount(person, column) for column in told.T]
    most = np.max(sums, axis=1)
    if design.devices is not None:
        most = design.devices.largest(most)
    sharpest = 1.0 / np.sqrt(1.0 + most)
    return [1 + int(np.ceil(2 * REACH / (SPACING * sd))) for sd in sharpest]


@compiled(0)
def _told(model: Model, start: Array, data: Data, none: Array, cell: Array, above: Array) -> Array:
    """Return what each response tells of each local effect of its person."""
    cells = cell_parameters(model, start, data, none)
    information = jax.vmap(model.response.information)
    return information(cells.location[cell] + above, cells.aux[cell])[:, None] * (
        cells.loading[cell] ** 2
    )
