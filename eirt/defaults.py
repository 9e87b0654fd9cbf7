"""How random effects are eliminated by default: chosen from the shape of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from eirt._compiled import compiled
from eirt._math import rounded_up
from eirt.design import Design
from eirt.likelihood import (
    AdaptiveQuadrature,
    Laplace,
    Likelihood,
    Nested,
    Quadrature,
    Reduced,
)
from eirt.likelihood.cells import Data, cell_parameters
from eirt.likelihood.incidence import nearly_complete
from eirt.likelihood.table import tabulated
from eirt.likelihood.testlets import split
from eirt.model import Model, global_offsets, parameter_names
from eirt.restrictions import restrict
from eirt.starts import MOST_PERSONS, marginal, mean_of

if TYPE_CHECKING:
    from jaxtyping import Array

REACH = 6.5
MOST_NODES = 401  # beyond, nodes at each person's own mode are cheaper
MOST_PRODUCTS = 3e9  # persons x nodes x pairs of responses
MOST_PAIRS = 5e7  # of responses within testlets x nodes
SPACING = 1.1  # of shared nodes, in posterior standard deviations


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
    level, n = marginal(model, design)
    above = level - mean_of(design, level, n)
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


@compiled(0, once=True)
def _told(model: Model, start: Array, data: Data, none: Array, cell: Array, above: Array) -> Array:
    """Return what each response tells of each local effect of its person."""
    cells = cell_parameters(model, start, data, none)
    information = jax.vmap(model.response.information)
    return information(cells.location[cell] + above, cells.aux[cell])[:, None] * (
        cells.loading[cell] ** 2
    )
