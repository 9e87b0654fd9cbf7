"""What features say of items that nobody has answered: easiness and discrimination, jointly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._config import double_precision
from eirt.design import Design
from eirt.effects import EASINESS, STEEP, Slope, Target, Unit
from eirt.errors import DataError
from eirt.factors import constant_within, level_codes
from eirt.formula import require_variables, variables
from eirt.matrices import clean_name, model_columns
from eirt.model import Cell, Model, global_offsets
from eirt.results import Fit
from eirt.tables import of_items, propagate
from eirt.terms import Term

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Array, Bool, Float, Int


class Forecast(NamedTuple):
    """Easiness, and the predictor of discrimination, of new items: jointly normal.

    Attributes:
        mean: both, of an item whose residuals are zero.
        estimation: their covariance as estimates.
        residual: the covariance of what features leave unexplained.
        slope: discrimination as a function of its predictor.
        levels: how many items, or groups, tell the residual variance; see `freedom`.
        free: its degrees of freedom.
    """

    mean: Float[np.ndarray, "n 2"]
    estimation: Float[np.ndarray, "n 2 2"]
    residual: Float[np.ndarray, "n 2 2"]
    slope: Slope
    levels: Int[np.ndarray, " n"]
    free: Int[np.ndarray, " n"]

    @property
    def total(self) -> Float[np.ndarray, "n 2 2"]:
        """The covariance of a new item around its prediction."""
        return self.estimation + self.residual


@double_precision
def forecast(fit: Fit, frame: pd.DataFrame) -> Forecast:
    """Return the distribution of easiness and the predictor of discrimination of new items.

    A group of items counts by its estimated effect where the frame names a known level, by its
    variance otherwise; the item itself is always new. Covariates of persons are zero.

    Args:
        fit: a fit whose items are described by features.
        frame: one row an item, with the columns of the item formulas.

    Raises:
        DataError: as `refuse_free`.
        FormulaError: if the frame lacks a column.
    """
    refuse_free(fit)
    cells, known = _cells(fit, _completed(fit, frame))
    target, slope = _carrier(fit)
    n, others, places = len(frame), fit.moments.others, np.asarray(cells.places)
    own = np.where(known, others[places], 0.0) if others.size else np.zeros(known.shape)
    mean, by_full, by_own = map(
        np.asarray, _pairs(fit.model, target, jnp.asarray(fit.full), cells, jnp.asarray(own))
    )
    by_others = np.zeros((n, 2, others.size))
    at = np.arange(n)[:, None, None], np.arange(2)[:, None], places[:, None]
    np.add.at(by_others, at, by_own * known[:, None])
    _, covariance = propagate(fit, by_full.reshape(2 * n, -1), by_others.reshape(2 * n, -1))
    by_new = by_own * ~known[:, None]
    return Forecast(
        mean,
        np.einsum("iaib->iab", covariance.reshape(n, 2, n, 2)),
        by_new @ by_new.transpose(0, 2, 1),
        slope,
        *freedom(fit.design, item_columns(fit), known),
    )


@compiled(0, 1)
def _pairs(
    model: Model, target: Target, full: Array, cells: Cell, own: Array
) -> tuple[Float[Array, "n 2"], Float[Array, "n 2 P"], Float[Array, "n 2 q"]]:
    """Return easiness and the predictor of discrimination, and how both change.

    Derivatives are in the full parameter vector, and in each item's own global effects.
    """

    def pair(full: Array, cell: Cell, own: Array) -> Array:
        found = model.predictors(model.unpack(full), cell, own)
        return jnp.stack([found[EASINESS], found[target]])

    kinds = (pair, jax.jacfwd(pair, 0), jax.jacfwd(pair, 2))
    first, second, third = (jax.vmap(kind, (None, 0, 0))(full, cells, own) for kind in kinds)
    return first, second, third


def refuse_free(fit: Fit) -> None:
    """Refuse a fit from which nothing can be predicted of new items.

    Raises:
        DataError: saying what to write instead.
    """
    fit.require_items(first=False)
    design = fit.design
    for part in design.asked:
        label = part.label or "easiness"
        if part.parameter in ("easiness", STEEP) and design.item in variables(part.formula.fixed):
            raise DataError(
                f"{fit.name} gives every item its own {label} ('{part.formula.fixed}'), which says "
                "nothing of new items; refit with features of items: "
                f"'~ features + (1 | {design.item})'."
            )


def freedom(
    design: Design, x: Float[np.ndarray, "cells k"], known: Bool[np.ndarray, "n q"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return the levels and degrees of freedom behind the residual variance of each new item.

    They are those of items or, where fewer, of a group that is new: its levels, less the
    coefficients that describe groups (columns constant within each).

    Args:
        design: the data.
        x: the columns that predict, one row a cell.
        known: which global effects of each new item have a known level.
    """
    levels = np.full(len(known), len(design.items))
    free = levels - x.shape[1]
    place = 0
    for term in design.terms:
        if term.index is None:
            continue
        new = ~known[:, place]
        place += len(term.effects)
        if of_items(design, term).any():
            left = len(term.levels) - sum(constant_within(column, term.index) for column in x.T)
            fewer = new & (left < free)
            levels[fewer], free[fewer] = len(term.levels), left
    return levels, free


def require_freedom(levels: int, free: int) -> None:
    """Refuse to tell a variance by no degrees of freedom.

    Raises:
        DataError: naming what there is.
    """
    if free < 1:
        raise DataError(
            f"{levels} items (or groups of them) and {levels - free} coefficients that describe "
            "them leave nothing to tell their variance by; use fewer features."
        )


def item_columns(fit: Fit) -> Float[np.ndarray, "cells k"]:
    """Return the columns that predict easiness of items, thresholds as a constant."""
    x = fit.design.x[:, [role == "item" for role in fit.design.roles]]
    if fit.model.response.has_intercept:
        return x
    return np.column_stack([np.ones(len(x)), x])


def _carrier(fit: Fit) -> tuple[Target, Slope]:
    """Return what carries the first dimension of ability, and how."""
    for effect in fit.model.effects:
        if effect.local:
            return effect.targets[0], effect.slope
    return Target(STEEP), Unit()


def _completed(fit: Fit, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with any value for variables that no column of items uses.

    Raises:
        FormulaError: if a variable that is used is missing.
    """
    cells = fit.design.cells
    needed, every = set(), set()
    for spec, names, wanted in _matrices(fit):
        columns = [clean_name(str(column)) for column in spec.column_names]
        used = {columns.index(name) for name, want in zip(names, wanted, strict=True) if want}
        for variable, places in spec.variable_indices.items():
            every.add(str(variable))
            if used & set(places):
                needed.add(str(variable))
    require_variables(frame, [name for name in cells.columns if name in needed])
    rest = every.intersection(cells.columns).difference(frame.columns)
    return frame.assign(**{name: cells[name].iloc[0] for name in rest})


def _matrices(fit: Fit) -> Iterator[tuple[Any, Sequence[str], Sequence[bool]]]:
    """Yield every specification of the item side, its columns, and which describe items."""
    design = fit.design
    yield design.spec, design.x_names, [role == "item" for role in design.roles]
    for part in design.parts:
        if part.target.parameter == STEEP:
            yield part.spec, part.columns, [True] * len(part.columns)
    for term in design.terms:
        if not term.local:
            about, seen = of_items(design, term), 0
            for source in term.sources:
                size = len(source.names) * source.copies
                own = about[seen : seen + size].reshape(source.copies, -1)
                yield source.spec, source.names, [bool(column.any()) for column in own.T]
                seen += size


def _cells(fit: Fit, frame: pd.DataFrame) -> tuple[Cell, np.ndarray]:
    """Return a cell per new item, and which of its global effects the fit knows."""
    design, n = fit.design, len(frame)
    about_items = np.array([role == "item" for role in design.roles], bool)
    x = model_columns(design.spec, frame, design.x_names) * about_items
    parts = [
        model_columns(part.spec, frame, part.columns)
        if part.target.parameter == STEEP
        else np.zeros((n, 0 if part.of_persons else len(part.columns)))
        for part in design.parts
    ]
    z, places, known = [], [np.zeros((n, 0), int)], [np.zeros((n, 0), bool)]
    for term, offset in zip(design.terms, global_offsets(design), strict=False):
        if term.local:
            z.append(np.zeros((n, len(term.effects))))
            continue
        about = of_items(design, term)
        z.append(term.columns(frame) * about)
        levels = _levels(term, design.item, frame)
        places.append(offset + np.maximum(levels, 0)[:, None] * len(about) + np.arange(len(about)))
        known.append(np.repeat(levels[:, None] >= 0, len(about), axis=1))
    cells = Cell(
        jnp.asarray(x),
        tuple(map(jnp.asarray, parts)),
        tuple(map(jnp.asarray, z)),
        jnp.zeros(n, int),
        jnp.asarray(np.concatenate(places, axis=1)),
        jnp.zeros((n, design.given.shape[1])),  # predictors of items do not read it
    )
    return cells, np.concatenate(known, axis=1)


def _levels(term: Term, item: str | None, frame: pd.DataFrame) -> np.ndarray:
    """Return which known level of a group each new item belongs to, -1 for none."""
    if item in term.factors or not set(term.factors) <= set(frame.columns):
        return np.full(len(frame), -1)
    named = frame[list(term.factors)].notna().all(axis=1).to_numpy()
    codes = np.full(len(frame), -1)
    if named.any():
        codes[named] = level_codes(frame[named], term.factors, term.levels)
    return codes
