"""Person abilities given the calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from eirt._config import double_precision
from eirt.likelihood.joint import person_modes
from eirt.results import Fit
from eirt.tables import local_factor, standings

if TYPE_CHECKING:
    import pandas as pd


@double_precision
def persons(fit: Fit, method: Literal["EAP", "MAP"] = "EAP") -> pd.DataFrame:
    """Return each person's ability and its standard error.

        EAP: E(theta | y),   MAP: argmax p(theta | y),   at the estimated parameters

    Ability includes what covariates of persons predict: theta_p = z_p'gamma + b_p.

    Args:
        fit: a fit with a local group.
        method: "EAP" (posterior mean and standard deviation) or "MAP" (posterior mode and inverse
            curvature).

    Returns:
        The person column, then n (responses), score (sum of response codes), ability, se; with
        several dimensions a row per person and dimension. `attrs["reliability"]` is the
        empirical reliability, var(ability) / (var(ability) + mean(se^2)) of the residuals b_p.

    Raises:
        ValueError: if the method is unknown or there are no person effects.

    Source: Bock & Mislevy (1982) for EAP; Samejima (1969) for MAP.

    >>> import eirt
    >>> table = eirt.rasch(eirt.load("lsat7"), wide=True).persons()
    >>> table[["score", "ability"]].drop_duplicates().round(2).head(2)
        score  ability
    0     0.0    -1.93
    12    1.0    -1.43
    """
    import pandas as pd

    if method not in ("EAP", "MAP"):
        raise ValueError(f"No method {method!r}; there are 'EAP' and 'MAP'.")
    if fit.model.dimension == 0:
        raise ValueError("The model has no person effects to score.")
    design = fit.design
    if method == "EAP":
        mean, covariance = fit.moments.mean, fit.moments.covariance
    else:
        mean, covariance = person_modes(fit.objective, fit.psi, fit.moments.others)
    carry = local_factor(fit)
    residual = mean @ carry.T
    se = np.sqrt(np.einsum("ij,njk,ik->ni", carry, covariance, carry))
    ability = residual + np.asarray(standings(fit).mean)
    n = np.bincount(design.obs_person, minlength=len(design.persons))
    score = np.bincount(design.obs_person, design.y, minlength=len(design.persons))
    names = [name for term in design.terms if term.local for name in term.effects]
    q = len(names)
    table = pd.DataFrame(
        {
            design.person or "person": np.repeat(design.persons, q),
            "n": np.repeat(n, q),
            "score": np.repeat(score, q),
            **({"dimension": np.tile(np.asarray(names, object), len(n))} if q > 1 else {}),
            "ability": ability.ravel(),
            "se": se.ravel(),
        }
    )
    spread = residual.var(axis=0, ddof=1)
    reliability = spread / (spread + (se**2).mean(axis=0))
    table.attrs["reliability"] = float(reliability[0]) if q == 1 else reliability.tolist()
    return table
