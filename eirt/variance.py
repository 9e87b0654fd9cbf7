"""How much of the variance between items their features explain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eirt._config import double_precision
from eirt.effects import EASINESS, STEEP, Target
from eirt.errors import DataError
from eirt.forecasts import freedom, item_columns, refuse_free, require_freedom
from eirt.likelihood.prior import PenalisedObjective
from eirt.refits import item_level, without_features
from eirt.results import Fit
from eirt.tables import effect_factors, of_items

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float


@double_precision
def explained_variance(full: Fit, null: Fit | None = None, level: float = 0.95) -> pd.DataFrame:
    """Return the share of the variance between items that their features explain.

        R^2 = var(x'beta) / {var(x'beta) + tau^2}

    The variance of x'beta is over the items of the fit, their features taken as given; tau^2 is
    that of all random terms of items. With unit slopes easiness is difficulty, sign reversed.
    Estimates are corrected for chance: without any effect var(x'beta^) is still positive, and
    maximum likelihood takes tau^2 too small. With p features, I items, d = I - p - 1, and s^2 for
    the noise of responses in one item's easiness,

        var(x'beta) = var(x'beta^) - tr(C X V X') / (I - 1),   V = cov(beta^) I / d
        tau^2 = tau^2_ML + (tau^2_ML + s^2) (p + 1) / d

    so that R^2 is the adjusted R^2 of regression where responses are many. (With terms of groups of
    items, the group with fewest degrees of freedom takes the place of items in I / d.) The interval
    inverts the noncentral F distribution of the Wald statistic of all features, as in regression
    with given features; the ratio of tau^2 to s^2 is taken as known.

    Args:
        full: a fit with features and random residuals of items, `~ features + (1 | item)`.
        null: the same model without features, for `reduction`; refitted where it is None.
        level: of the intervals.

    Returns:
        A row for easiness, and one for discrimination where features and residuals explain it:
        items, features (p), by_features and residual (the corrected variances), r2, lower, upper;
        null (variance without features, uncorrected) and reduction, 1 - tau^2_ML / null, which
        grows with every feature as the unadjusted R^2 does.

    Raises:
        ValueError: if `full` has priors and `null` is None.
        DataError: if nothing is explained, or without residuals, or with too few items.

    Source: Nakagawa & Schielzeth (2013); Snijders & Bosker (2012), chapter 7, for the reduction;
    De Boeck et al. (2011) for items; interval, Smithson (2001); adjustment, Ezekiel (1930).

    >>> import eirt
    >>> fit = eirt.lltm(eirt.load("verbagg"), "~ btype + situ + mode + (1 | item)", response="r2")
    >>> eirt.explained_variance(fit)[["r2", "lower", "upper", "reduction"]].round(2)
         r2  lower  upper  reduction
    0  0.88   0.75   0.93       0.91
    """
    import pandas as pd

    refuse_free(full)
    parts = list(_explained(full))
    if not parts:
        raise DataError(
            f"{full.name} explains nothing of items; fit '~ features + (1 | {full.design.item})'."
        )
    if null is None:
        if isinstance(full.objective, PenalisedObjective):
            raise ValueError(f"{full.name} has priors; fit the null model too and give it as null.")
        null = without_features(full)
    rows = [_row(part, full, null, level) for part in parts]
    columns = ["parameter", "items", "features", "by_features", "residual", "r2", "lower", "upper"]
    return pd.DataFrame(rows, columns=[*columns, "null", "reduction"])


class _Part(NamedTuple):
    """What features explain of one parameter of items.

    Attributes:
        target: the parameter.
        label: its name in tables.
        x: features, cells x columns, with what stands for the constant.
        places: where coefficients of the last columns are in the parameter vector.
    """

    target: Target
    label: str
    x: Float[np.ndarray, "cells k"]
    places: np.ndarray


def _explained(fit: Fit) -> Iterator[_Part]:
    """Yield what features explain, constants alone left out."""
    x = item_columns(fit)
    if np.ptp(x, axis=0).any():
        places = np.flatnonzero([role == "item" for role in fit.design.roles])
        yield _Part(EASINESS, "easiness", x, places)
    place = sum(fit.model.sizes[: 1 + len(fit.model.effects)])
    for part in fit.design.parts:
        size = part.x.shape[1]
        if part.target.parameter == STEEP and np.ptp(part.x, axis=0).any():
            label = part.names[0].partition("[")[0]
            yield _Part(part.target, label, np.asarray(part.x), np.arange(place, place + size))
        place += size


def _row(part: _Part, full: Fit, null: Fit, level: float) -> tuple:
    """Return the row of one parameter."""
    residual, before = _residual(full, part.target), _residual(null, part.target)
    if residual is None or before is None:
        raise DataError(
            f"{(full if residual is None else null).name} has no random residual of items on "
            f"{part.label}: it claims that features explain all; add '(1 | {full.design.item})'."
        )
    new = np.zeros((1, full.model.n_global), bool)
    levels, free = (int(count[0]) for count in freedom(full.design, part.x, new))
    require_freedom(levels, free)
    shifts, covariance, n = _shifts(part, full)
    p, scale = len(shifts), levels / free
    noise = np.trace(covariance) / p  # tau^2 + s^2, as maximum likelihood has it
    found = float(shifts @ shifts)
    wald = float(shifts @ np.linalg.solve(covariance, shifts))
    by_features = max(found - noise * p * scale, 0.0) / (n - 1)
    corrected = residual + noise * scale * (p + 1) / n
    limits = (
        _noncentrality(wald / (p * scale), p, free, tail) * found / wald * scale / (n - 1)
        for tail in ((1 + level) / 2, (1 - level) / 2)
    )
    shares = (variance / (variance + corrected) for variance in (by_features, *limits))
    return (part.label, n, p, by_features, corrected, *shares, before, 1 - residual / before)


def _shifts(part: _Part, fit: Fit) -> tuple[np.ndarray, np.ndarray, int]:
    """Return what features do, in an orthonormal basis of what distinguishes items.

    Coding does not matter then: neither that of factors nor where the constant is.

    Returns:
        Coordinates of x'beta over the items, their covariance, and the number of items.
    """
    first = np.unique(fit.design.cell_item, return_index=True)[1]
    x = part.x[first]
    left, sizes, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    shape = left[:, sizes > 1e-9 * sizes[0]].T @ x[:, x.shape[1] - len(part.places) :]
    vcov = fit.vcov.to_numpy()[np.ix_(part.places, part.places)]
    return shape @ fit.full[part.places], shape @ vcov @ shape.T, len(x)


def _residual(fit: Fit, target: Target) -> float | None:
    """Return the variance of all random terms of items, on average over items; None without."""
    design = fit.design
    first = np.unique(design.cell_item, return_index=True)[1]
    total = None
    for term, factor in zip(design.terms, effect_factors(fit), strict=True):
        moved = np.array([of == target for of in term.targets]) * of_items(design, term)
        if item_level(design, term) and moved.any():
            loads = (term.z[first] * moved) @ factor
            total = (total or 0.0) + float(np.mean(np.sum(loads**2, axis=1)))
    return total


def _noncentrality(f: float, p: int, free: int, probability: float) -> float:
    """Return the noncentrality at which F stays below `f` with this probability, at least zero."""
    from scipy.optimize import brentq
    from scipy.special import ncfdtr

    def excess(noncentrality: float) -> float:
        return float(ncfdtr(p, free, noncentrality, f)) - probability

    if excess(0.0) <= 0:
        return 0.0
    upper = 1.0
    while excess(upper) > 0:
        upper *= 2
    return float(brentq(excess, 0.0, upper))
