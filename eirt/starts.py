"""Where a fit starts, and how its random effects are eliminated by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from eirt._compiled import compiled
from eirt.design import Design
from eirt.extras import answers, categories, holds_level
from eirt.likelihood import (
    AdaptiveQuadrature,
    Laplace,
    Likelihood,
    Nested,
    Objective,
    Quadrature,
    Reduced,
)
from eirt.likelihood.cells import Data, cell_parameters
from eirt.likelihood.incidence import nearly_complete
from eirt.likelihood.polynomials import TOLD
from eirt.likelihood.table import tabulated
from eirt.likelihood.testlets import split
from eirt.model import Model, global_offsets, parameter_names
from eirt.parts import Part
from eirt.responses import Response
from eirt.restrictions import restrict
from eirt.terms import Term

if TYPE_CHECKING:
    from jaxtyping import Array, Float

REACH = 6.5
MOST_NODES = 401  # beyond, nodes at each person's own mode are cheaper
OTHER_SD = 0.5  # where standard deviations of slopes of items, raters, ... start
START_SD = (0.3, 3.0)
MOST_PRODUCTS = 3e9  # persons x nodes x pairs of responses
MOST_PAIRS = 5e7  # of responses within testlets x nodes
SPACING = 1.1  # of shared nodes, in posterior standard deviations


def start_values(model: Model, design: Design) -> np.ndarray:
    """Return a starting vector: weighted least squares on smoothed marginal links.

    Covariates of persons are regressed on persons, all others on cells. The marginal effects are
    inflated to the conditional scale (Zeger, Liang & Albert, 1988).
    """
    eta, n = _marginal(model, design, design.obs_cell, len(design.x))
    aux = _start_aux(model, design)
    if not model.response.has_intercept:
        # the extra parameters hold the level, of all cells or of each item
        own = design.cell_item if model.aux_by_item else np.zeros(len(n), int)
        eta = eta - (np.bincount(own, n * eta) / np.bincount(own, n))[own]
        gain, aux = _recentred(model, design, aux)
        eta = eta + gain[own]
    beta = _least_squares(design.x, eta, n)
    if len(design.person_columns):
        eta, n = _marginal(model, design, design.obs_person, len(design.persons))
        centre = design.person_x.mean(axis=0)
        gamma = _least_squares(design.person_x - centre, eta - np.average(eta, weights=n), n)
        beta[design.person_columns] = gamma
        beta[np.array(design.x_names) == "(Intercept)"] -= centre @ gamma
    inflation = np.sqrt(1.0 + 0.35 * model.dimension)
    fitted = (design.x @ beta)[design.obs_cell]
    fitted += (design.person_x @ beta[design.person_columns])[design.obs_person]
    thetas = [
        effect.covariance.start(_start_sd(model, design, term, fitted, inflation))
        for effect, term in zip(model.effects, design.terms, strict=True)
    ]
    return model.pack(inflation * beta, thetas, start_parts(model, design), aux)


def _start_aux(model: Model, design: Design) -> Float[np.ndarray, "sets n_aux"]:
    """Return where the unconstrained extra parameters start, of each item where it has its own."""
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
    model: Model, design: Design, term: Term, fitted: np.ndarray, inflation: float
) -> float:
    """Return about the sd of the effects of a term: that of its levels' means, less their noise.

    Source: as the moment estimator of DerSimonian & Laird (1986).
    """
    if term.effects != ("(Intercept)",):
        return 1.0 if term.local else OTHER_SD
    level = design.obs_person if term.index is None else term.index[design.obs_cell]
    eta, n = _marginal(model, design, level, len(term.levels))
    residual = eta - np.bincount(level, fitted) / n
    centred = residual - np.average(residual, weights=n)
    variance = np.average(centred**2, weights=n) - len(n) / (TOLD * n.sum())
    return float(np.clip(inflation * np.sqrt(max(variance, 0.0)), *START_SD))


def start_parts(model: Model, design: Design) -> list[np.ndarray]:
    """Return starting values of what else is explained: slopes of one, no effects."""
    slopes = {t: effect.slope for effect in model.effects if effect.local for t in effect.targets}
    return [
        slopes[part.target].start(part.x) if part.target in slopes else np.zeros(part.x.shape[1])
        for part in design.parts
    ]


def _marginal(
    model: Model, design: Design, group: np.ndarray, n_groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictor that fits each group's mean response, smoothed, and its size."""
    eta, size = np.zeros(n_groups), np.zeros(n_groups)
    member = model.response.member_of(*design.given[design.obs_cell].T)
    for k, family in enumerate(model.response.members):
        rows = member == k if len(model.response.members) > 1 else slice(None)
        own, y = group[rows], design.y[rows]
        n = np.bincount(own, minlength=n_groups).astype(float)
        sums = np.bincount(own, y, minlength=n_groups)
        eta += n * np.asarray(_start_eta(family, (sums + y.mean()) / (n + 1.0)))
        size += n
    return eta / np.maximum(size, 1.0), size


@compiled(0)
def _start_eta(response: Response, mean: Array) -> Array:
    return response.start_eta(mean)


def _least_squares(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    weighted = x.T * weight
    gram = weighted @ x
    # columns that hold nothing here (covariates of persons) get zero
    ridge = (1e-10 * np.trace(gram) or 1.0) / max(len(gram), 1)
    return np.linalg.solve(gram + ridge * np.eye(len(gram)), weighted @ y)


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
    slots = design.n_obs / len(design.persons)
    return len(design.persons) * nodes * slots**2 > MOST_PRODUCTS


def _enough_nodes(model: Model, design: Design, start: np.ndarray) -> list[int]:
    """Return how many shared nodes each local effect needs.

    They are no further apart than SPACING times the smallest posterior standard deviation of a
    person's spherical effect, guessed at the start.
    """
    if model.dimension == 0:
        return [1]
    data = Data.of(design, restrict(parameter_names(model, design)))
    none = np.zeros(global_offsets(design)[-1])
    level, n = _marginal(model, design, design.obs_person, len(design.persons))
    above = level - np.average(level, weights=n)
    person, cell = design.obs_person, design.obs_cell
    if design.complete:  # what is told of a person depends on the level alone
        kept = np.isin(person, np.unique(above, return_index=True)[1])
        person, cell = person[kept], cell[kept]
    told = np.asarray(_told(model, start, data, none, cell, above[person]))
    sums = [np.bincount(person, column) for column in told.T]
    sharpest = 1.0 / np.sqrt(1.0 + np.max(sums, axis=1))
    return [1 + int(np.ceil(2 * REACH / (SPACING * sd))) for sd in sharpest]


@compiled(0)
def _told(model: Model, start: Array, data: Data, none: Array, cell: Array, above: Array) -> Array:
    """Return what each response tells of each local effect of its person."""
    cells = cell_parameters(model, start, data, none)
    information = jax.vmap(model.response.information)
    return information(cells.location[cell] + above, cells.aux[cell])[:, None] * (
        cells.loading[cell] ** 2
    )


def rough_covariance(objective: Objective) -> np.ndarray:
    """Return about the covariance of the free parameters, without fitting anything.

        (X'X)^-1 {X'X / w + sum over terms of sd^2 X'ZZ'X} (X'X)^-1

    That is how least squares would vary if responses told w of their predictors and random
    effects had their starting sd: effects of items are known as well as there are items, those
    of persons as there are persons. It gives a quasi-Newton method the scale of its first steps.
    """
    model, design = objective.model, objective.design
    p = model.n_fixed
    gram, sums = _sums_of_products(design)
    middle = gram / TOLD
    for term, total in zip(design.terms, sums, strict=True):
        middle += (1.0 if term.local else OTHER_SD) ** 2 * total.T @ total
    inverse = np.linalg.pinv(gram, hermitian=True)
    covariance = np.eye(sum(model.sizes)) / (TOLD * design.n_obs / model.n_items)
    covariance[:p, :p] = inverse @ middle @ inverse + 1e-12 * np.trace(inverse) * np.eye(p)
    known = [
        np.full(effect.covariance.n_theta, 1.0 / len(term.levels))
        for effect, term in zip(model.effects, design.terms, strict=True)
    ]
    known += [_rough_variance(design, part) for part in design.parts]
    rows = np.arange(p, p + sum(map(len, known)))
    covariance[rows, rows] = np.concatenate([np.zeros(0), *known])
    select = objective.data.restriction.select
    covariance = select.T @ covariance @ select
    return (covariance + covariance.T) / 2


def _sums_of_products(design: Design) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return X'X and, for each term, Z'X with a row for each effect of each level."""
    n_persons, n_cells = len(design.persons), len(design.x)
    person, cell = design.obs_person, design.obs_cell
    of_cells, of_persons = design.x, np.zeros((n_persons, design.x.shape[1]))
    of_persons[:, design.person_columns] = design.person_x
    n_cell, n_person = np.bincount(cell, minlength=n_cells), np.bincount(person)
    cross = of_persons.T @ _sums(person, of_cells, cell, n_persons)
    gram = cross + cross.T
    gram += (of_cells.T * n_cell) @ of_cells + (of_persons.T * n_person) @ of_persons
    by_cell = n_cell[:, None] * of_cells + _sums(cell, of_persons, person, n_cells)
    sums = []
    for term in design.terms:
        if term.index is None:
            both = (term.z[:, :, None] * of_cells[:, None, :]).reshape(n_cells, -1)
            own = _sums(person, term.z, cell, n_persons)[:, :, None] * of_persons[:, None, :]
            total = _sums(person, both, cell, n_persons) + own.reshape(n_persons, -1)
        else:
            both = term.z[:, :, None] * by_cell[:, None, :]
            total = np.zeros((len(term.levels), *both.shape[1:]))
            np.add.at(total, term.index, both)
        sums.append(total.reshape(-1, of_cells.shape[1]))
    return gram, sums


def _sums(
    group: np.ndarray, values: Float[np.ndarray, "n q"], place: np.ndarray, n_groups: int
) -> Float[np.ndarray, "g q"]:
    """Return the sums over each group's observations of the values at their places."""
    found = np.zeros((n_groups, values.shape[1]))
    for column, total in zip(values.T, found.T, strict=True):
        if np.any(column):
            total[:] = np.bincount(group, column[place], minlength=n_groups)
    return found


def _rough_variance(design: Design, part: Part) -> np.ndarray:
    """Return about how well the coefficients of a part are known, effects of its items included."""
    n = np.bincount(
        design.obs_person if part.of_persons else design.obs_cell, minlength=len(part.x)
    )
    squares = n @ part.x**2
    variance = 1.0 / (TOLD * squares)
    for term in design.terms:
        if part.target in term.targets and term.index is not None:
            sums = np.zeros((len(term.levels), part.x.shape[1]))
            np.add.at(sums, term.index, n[:, None] * part.x)
            variance += OTHER_SD**2 * (sums**2).sum(axis=0) / squares**2
    return variance
