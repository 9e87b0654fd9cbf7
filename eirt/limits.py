"""Confidence limits of parameters: Wald, profile likelihood, bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eirt.profiles import profile
from eirt.refits import free_names
from eirt.resampling import bootstrap
from eirt.results import Fit
from eirt.robust import covariance
from eirt.tables import LEVEL, wald

if TYPE_CHECKING:
    import pandas as pd


def confint(
    fit: Fit,
    parameters: str | Sequence[str] | None = None,
    level: float = LEVEL,
    method: Literal["wald", "profile", "bootstrap", "bootstrap-t"] = "wald",
    **options: Any,
) -> pd.DataFrame:
    """Return confidence limits of parameters.

    Args:
        fit: the fit.
        parameters: names, as in `fit.names`; by default all that are free.
        level: of the intervals.
        method: "wald" (estimate and standard error), "profile" (likelihood ratios: a few refits a
            limit), "bootstrap" (percentiles over refits to resampled data), "bootstrap-t" (the same
            refits, studentised: better for skewed estimates, with some thousand replicates).
        **options: of `eirt.robust.covariance` (Wald: `kind="sandwich"`), or of
            `eirt.resampling.bootstrap` (`n`, `kind`, `seed`, `cluster`, `data`).

    Returns:
        A row per parameter: parameter, estimate, lower, upper (and se, but for profiles).

    Raises:
        ValueError: for an unknown method, or a name that is no free parameter.

    >>> import eirt
    >>> fit = eirt.eirm(eirt.load("verbagg"), "r2 ~ mode + (1 | id)")
    >>> confint(fit, "mode[do]")[["lower", "upper"]].round(3)
       lower  upper
    0 -0.663  -0.46
    """
    if method == "profile":
        return profile(fit, parameters, level)
    if method == "bootstrap":
        return bootstrap(fit, **options).confint(parameters, level)
    if method == "bootstrap-t":
        return bootstrap(fit, **options).confint(parameters, level, "t")
    if method != "wald":
        there = "there are 'wald', 'profile', 'bootstrap' and 'bootstrap-t'"
        raise ValueError(f"No method {method!r}; {there}.")
    names = free_names(fit, parameters)
    places = [fit.names.index(name) for name in names]
    se = np.sqrt(np.diagonal(covariance(fit, **options).to_numpy())[places])
    table = wald(fit.full[places], se, level)[["estimate", "se", "lower", "upper"]]
    table.insert(0, "parameter", names)
    return table
