"""Effects of models with different random parts, on one scale (Bauer, 2009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt.clustering import residual_variance, variances
from eirt.errors import DataError
from eirt.inference import require_same_data
from eirt.results import Fit
from eirt.tables import LEVEL, quantile

if TYPE_CHECKING:
    import pandas as pd


def rescaled(*fits: Fit, level: float = LEVEL) -> pd.DataFrame:
    """Return effects of several models of the same responses on the scale of the first.

        factor_m = sqrt(V_1 / V_m),   V = var(x'beta) + sum of variances of random effects + v_e

    Logits are in units of what a model leaves unexplained: with every random effect or predictor
    that is added the same effect grows, though nothing about it has changed. The total variance of
    the latent response is of one thing in all models; held constant, effects compare.

    Args:
        *fits: two fits or more to the same responses, of one family and link.
        level: of the limits.

    Returns:
        A row per fit and coefficient or standard deviation ("sd[group|term]"): fit (its number),
        model, term, estimate, se, factor, rescaled, rescaled_se, lower, upper. The factor is taken
        as known, so that tests are those of `fit.fixed`.

    Raises:
        ValueError: with fewer than two fits.
        DataError: if they differ in responses or family, or have no latent residual variance.

    Source: Bauer (2009); Fielding (2004).

    >>> import eirt
    >>> va = eirt.load("verbagg")
    >>> persons = eirt.eirm(va, "r2 ~ mode + (1 | id)")
    >>> both = eirt.eirm(va, "r2 ~ mode + (1 | id) + (1 | item)")
    >>> table = rescaled(persons, both)
    >>> table.loc[table["term"] == "mode[do]", ["estimate", "factor", "rescaled"]].round(2)
       estimate  factor  rescaled
    1     -0.56    1.00     -0.56
    4     -0.71    0.84     -0.60
    """
    import pandas as pd

    if len(fits) < 2:
        raise ValueError("Rescaling takes two fits or more.")
    for fit in fits[1:]:
        require_same_data(fits[0], fit)
        if fit.model.response != fits[0].model.response:
            raise DataError(
                f"{fit.name} and {fits[0].name} are of different families or links: their latent "
                "responses are not the same; refit with one family."
            )
    totals = [_total_variance(fit) for fit in fits]
    tables = []
    for number, (fit, total) in enumerate(zip(fits, totals, strict=True), 1):
        table = pd.concat([fit.fixed[["term", "estimate", "se"]], _spreads(fit)], ignore_index=True)
        factor = np.sqrt(totals[0] / total)
        table["factor"] = factor
        table["rescaled"], table["rescaled_se"] = factor * table["estimate"], factor * table["se"]
        half = quantile(level) * table["rescaled_se"]
        table["lower"], table["upper"] = table["rescaled"] - half, table["rescaled"] + half
        table.insert(0, "fit", number)
        table.insert(1, "model", fit.name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _total_variance(fit: Fit) -> float:
    """Return the variance of the latent response over the data."""
    found = variances(fit)[0]
    return float(found.fixed + found.random.sum() + residual_variance(fit)[0])


def _spreads(fit: Fit) -> pd.DataFrame:
    """Return the standard deviations of random effects, named as parameters."""
    table = fit.random.dropna(subset="sd")
    terms = "sd[" + table["group"] + "|" + table["term"] + "]"
    return table[["sd", "se"]].rename(columns={"sd": "estimate"}).assign(term=terms)
