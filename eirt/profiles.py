"""Profile-likelihood intervals: what values of a parameter the data do not reject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt._config import double_precision
from eirt.fit import fit as fit_model
from eirt.refits import anchors_of, free_names, grid_of, priors_of
from eirt.results import Fit
from eirt.tables import LEVEL

if TYPE_CHECKING:
    import pandas as pd

CLOSE = 1e-3  # of the signed root: one more secant step leaves its square
MOST = 25  # refits a limit
FARTHEST = 50.0  # standard errors: a limit beyond is infinite


@double_precision
def profile(
    fit: Fit, parameters: str | Sequence[str] | None = None, level: float = LEVEL
) -> pd.DataFrame:
    """Return profile-likelihood limits of parameters.

        { b : 2 (log L - max over the others of log L(b)) <= chi2_1(level) }

    They need no standard error and are not symmetric: better than Wald limits where a parameter is
    close to a bound (variances) or the sample small. Every limit takes a few refits. Standard
    deviations have no limit below zero.

    Args:
        fit: the fit.
        parameters: names, as in `fit.names`; by default all that are free.
        level: of the intervals.

    Returns:
        A row per parameter: parameter, estimate, lower, upper.

    Raises:
        ValueError: for a name that is no parameter, or one that is fixed.

    Source: Venzon & Moolgavkar (1988); Pawitan (2001), section 3.4.

    >>> import eirt
    >>> fit = eirt.eirm(eirt.load("verbagg"), "r2 ~ mode + (1 | id)")
    >>> profile(fit, "mode[do]")[["lower", "upper"]].round(3)
       lower  upper
    0 -0.663  -0.46
    """
    import pandas as pd
    from scipy.special import ndtri

    target, names = float(ndtri((1 + level) / 2)), free_names(fit, parameters)
    limits = [[_limit(fit, name, side, target) for side in (-1, 1)] for name in names]
    lower, upper = np.reshape(limits, (-1, 2)).T
    estimates = [float(fit.full[fit.names.index(name)]) for name in names]
    return pd.DataFrame({"parameter": names, "estimate": estimates, "lower": lower, "upper": upper})


def _limit(fit: Fit, name: str, side: int, target: float) -> float:
    """Return the value at which the signed root of the likelihood ratio reaches the target."""
    root, here = _signed_root(fit, name), fit.names.index(name)
    estimate, se = float(fit.full[here]), float(np.sqrt(fit.vcov.iloc[here, here]))
    floor = 0.0 if name.startswith("sd[") and "~" not in name and side < 0 else None
    if floor is not None and estimate - target * se <= floor and root(floor) < target:
        return floor
    distance = find_root(root, estimate, side * se, target, FARTHEST)
    return estimate + side * se * distance


def find_root(
    root: Callable[[float], float], origin: float, unit: float, target: float, farthest: float
) -> float:
    """Return how many units from the origin an increasing function, zero there, has a value.

    Secants, and halves where these leave what is known to be too near and too far.

    >>> round(find_root(lambda x: x**3, 0.0, 1.0, 8.0, 50.0), 3)
    2.0
    """
    before, near, far, at = (0.0, 0.0), 0.0, np.inf, target
    for _ in range(MOST):
        value = root(origin + unit * at)
        near, far = (at, far) if value < target else (near, at)
        rise = value - before[1]
        secant = at + (target - value) * (at - before[0]) / rise if rise else np.inf
        if abs(value - target) < CLOSE:
            return secant
        if near >= farthest:
            return np.inf
        before = at, value
        if np.isinf(far):
            at = min(max(secant, 1.05 * near), 3.0 * near, farthest)
        else:
            at = secant if near < secant < far else (near + far) / 2
    return at


def _signed_root(fit: Fit, name: str) -> Callable[[float], float]:
    """Return the square root of twice the log-likelihood lost by fixing a parameter at a value."""
    place = int(np.asarray(fit.restriction.source)[fit.names.index(name)])
    leader = fit.names[int(np.argmax(np.asarray(fit.restriction.source) == place))]
    anchors = anchors_of(fit, fit.names)
    best = fit.loglik + fit.objective.penalty(fit.psi)
    along = fit.select @ (fit.free_covariance[:, place] / fit.free_covariance[place, place])
    found: dict[str, Any] = {"value": float(fit.psi[place]), "full": fit.full}

    def root(value: float) -> float:
        start = found["full"] + (value - found["value"]) * along
        there = fit_model(
            fit.model,
            fit.design,
            grid_of(fit),
            name=f"{fit.name}, {name} = {value:.4g}",
            anchors=anchors | {leader: value},
            priors=priors_of(fit),
            start=start,
            progress=False,
            check=False,
        )
        found.update(value=value, full=there.full)
        lost = best - there.loglik - there.objective.penalty(there.psi)
        return float(np.sqrt(max(2 * lost, 0.0)))

    return root
