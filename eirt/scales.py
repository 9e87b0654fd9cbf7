"""About how well parameters are known, before anything is fitted: the scale of first steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt.design import Design
from eirt.likelihood import Objective
from eirt.likelihood.polynomials import TOLD
from eirt.parts import Part

if TYPE_CHECKING:
    from jaxtyping import Float

OTHER_SD = 0.5  # where standard deviations of slopes of items, raters, ... start


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
    of_cells, of_persons = np.asarray(design.x), np.zeros((n_persons, design.x.shape[1]))
    of_persons[:, design.person_columns] = design.person_x
    n_cell, n_person = np.bincount(cell, minlength=n_cells), np.bincount(person)
    cross = of_persons.T @ _sums(design, person, of_cells, cell, n_persons)
    gram = cross + cross.T
    gram += (of_cells.T * n_cell) @ of_cells + (of_persons.T * n_person) @ of_persons
    by_cell = n_cell[:, None] * of_cells + _sums(design, cell, of_persons, person, n_cells)
    sums = []
    for term in design.terms:
        if term.index is None:
            both = (term.z[:, :, None] * of_cells[:, None, :]).reshape(n_cells, -1)
            own = (
                _sums(design, person, term.z, cell, n_persons)[:, :, None] * of_persons[:, None, :]
            )
            total = _sums(design, person, both, cell, n_persons) + own.reshape(n_persons, -1)
        else:
            both = term.z[:, :, None] * by_cell[:, None, :]
            total = np.zeros((len(term.levels), *both.shape[1:]))
            np.add.at(total, term.index, both)
        sums.append(total.reshape(-1, of_cells.shape[1]))
    return gram, sums


def _sums(
    design: Design,
    group: np.ndarray,
    values: Float[np.ndarray, "n q"],
    place: np.ndarray,
    n_groups: int,
) -> Float[np.ndarray, "g q"]:
    """Return the sums over each group's observations of the values at their places."""
    if design.complete:
        return np.tile(values.sum(axis=0), (n_groups, 1))
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
    x = np.asarray(part.x)
    squares = n @ x**2
    variance = 1.0 / (TOLD * squares)
    for term in design.terms:
        if part.target in term.targets and term.index is not None:
            sums = np.zeros((len(term.levels), x.shape[1]))
            np.add.at(sums, term.index, n[:, None] * x)
            variance += OTHER_SD**2 * (sums**2).sum(axis=0) / squares**2
    return variance
