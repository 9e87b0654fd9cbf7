"""What is known of items: one row each."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from eirt._config import double_precision
from eirt.results import Fit
from eirt.tables import difference, local_factor, standings

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

    from eirt.design import Design


def items(fit: Fit) -> pd.DataFrame:
    """Return responses, mean response, easiness with se, and slope with se if free, by item.

    Raises:
        ValueError: if the fit does not know which column holds the items.

    >>> import eirt
    >>> fit = eirt.eirm(eirt.load("verbagg"), "r2 ~ btype + (1 | id) + (1 | item)")
    >>> items(fit)[["item", "easiness", "se"]].round(1).head(2)
              item  easiness   se
    0  S1WantCurse       1.2  0.2
    1  S1WantScold       0.5  0.2
    """
    import pandas as pd

    design, n = fit.design, len(fit.design.items)
    fit.require_items()
    if design.items_first:
        easiness, se = easiness_of_local(fit)
    else:
        found = fit.item_parameters
        easiness, se = found.easiness, np.sqrt(np.einsum("iqq->qi", found.blocks)).ravel()
    counts = _lengths(design)
    table = {
        "item": design.items,
        "n": counts.astype(int),
        "mean": design.item_totals / counts,
        "easiness": easiness,
        "se": se[:n],
    }
    if fit.has_slopes and not design.items_first:
        table |= {"discrimination": found.slope, "discrimination_se": se[n : 2 * n]}
    return pd.DataFrame(table)


def _lengths(design: Design) -> Float[np.ndarray, " I"]:
    """Return how many responses each item got."""
    if design.items_first:
        return design.observations.lengths
    return np.bincount(design.row_item, design.observations.counts, len(design.items))


@double_precision
def easiness_of_local(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return easiness and its standard error where items are the local group.

    Covariates of persons are zero, effects of persons at their modes.
    """
    design = fit.design
    constant = np.ptp(design.x, axis=0) == 0
    local = [term for term in design.terms if term.local]
    z = np.concatenate([term.z[0] * (np.ptp(term.z, axis=0) == 0) for term in local])

    def easiness(psi: np.ndarray) -> np.ndarray:
        there = dataclasses.replace(fit, psi=psi)
        beta = there.full[: len(constant)]
        mean = fit.objective.moments(psi).mean @ local_factor(there).T
        return (mean + np.asarray(standings(there).mean)) @ z + design.x[0] @ (beta * constant)

    carried = local_factor(fit).T @ z
    spread = np.einsum("i,nij,j->n", carried, fit.moments.covariance, carried)
    derivative = difference(easiness, fit.psi)
    variance = np.einsum("ni,ij,nj->n", derivative, fit.free_covariance, derivative) + spread
    return easiness(fit.psi), np.sqrt(variance)
