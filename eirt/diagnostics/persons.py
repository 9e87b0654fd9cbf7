"""Whose responses the model does not describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt._config import double_precision
from eirt.diagnostics.residuals import ALPHA, Ability, Residuals, adjusted, mean_squares, residuals
from eirt.results import Fit
from eirt.scores.answers import counts_of
from eirt.scores.persons import about

if TYPE_CHECKING:
    import pandas as pd

BEYOND = "responses contradict the model"


@double_precision
def person_fit(fit: Fit, method: Ability | None = None) -> pd.DataFrame:
    """Return how well the model describes each person's responses.

        lz  = sum (l_j - E l_j) / sqrt(sum Var l_j),   l_j = log p(y_j | theta^)
        lz* = sum (l_j - E l_j - c s_j) / sqrt(sum Var(l_j - c s_j)),   c = Cov(l, s) / Var(s)

    where s_j = d l_j / d theta. lz has less than unit variance, as theta is estimated from the
    same responses; lz* corrects mean and variance for that. Both are negative where responses are
    less likely than expected (guessing, carelessness), and need some 20 responses to be normal.

    Args:
        fit: a fit to binary or ordered responses.
        method: ability estimate: "WLE" (by default, of one ability), "EAP" (of several) or "MAP".
            lz* is exact to first order for WLE and MAP.

    Returns:
        The person column, n, score, infit, infit_z, outfit, outfit_z, lz, lz_star, p (one-sided,
        of lz_star), p_adjusted (false discovery rate) and reading: empty, or that the
        responses contradict the model, at 5%.

    Raises:
        ValueError: for an unknown method.
        DataError: if responses are not binary or ordered.

    Source: Wright & Masters (1982); Drasgow, Levine & Williams (1985) for lz; Snijders (2001),
    Sinharay (2016) for lz* with several categories; Benjamini & Hochberg (1995).

    >>> import eirt
    >>> table = eirt.rasch(eirt.load("verbagg"), response="r2").person_fit()
    >>> table[["id", "infit", "outfit", "lz", "lz_star"]].round(2).head(2)
      id  infit  outfit    lz  lz_star
    0  1   1.44    1.82 -2.56    -2.76
    1  2   0.85    1.19  0.01    -1.06
    """
    from scipy.special import ndtr

    found = residuals(fit, method)
    people = np.broadcast_to(np.arange(len(found.present))[:, None], found.present.shape)
    _, squares = mean_squares(found, people, len(people))
    lz, corrected = _log_likelihoods(found)
    table = about(fit, counts_of(fit))
    table = table.iloc[:: fit.model.dimension].drop(columns="dimension", errors="ignore")
    table = table.reset_index(drop=True)
    for name in ("infit", "infit_z", "outfit", "outfit_z"):
        table[name] = getattr(squares, name)
    table["lz"], table["lz_star"] = lz, corrected
    table["p"] = ndtr(corrected)
    table["p_adjusted"] = adjusted(table["p"].to_numpy())
    return table.assign(reading=np.where(table["p_adjusted"] < ALPHA, BEYOND, ""))


def _log_likelihoods(found: Residuals) -> tuple[np.ndarray, np.ndarray]:
    """Return lz and lz* of each person.

    An estimate solves r + sum s = 0, r the derivative of what it adds to the log-likelihood: that
    c r is the mean of the numerator of lz follows from the scores alone.
    """
    expected, loading = found.expected, np.asarray(found.answers.cells.loading)
    deviation = (expected.log_p - expected.log_mean) * found.present
    information = np.einsum("nj,njd,nje->nde", expected.information, loading, loading)
    shared = np.einsum("nj,njd->nd", expected.shared, loading)
    c = np.einsum("nde,ne->nd", np.linalg.pinv(information, hermitian=True), shared)
    tilt = np.einsum("njd,nd->nj", loading, c)
    total = np.sum(expected.log_variance, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        lz = deviation.sum(axis=1) / np.sqrt(total)
        left = total - np.sum(c * shared, axis=1)
        corrected = (deviation - tilt * expected.score).sum(axis=1) / np.sqrt(np.maximum(left, 0.0))
    return lz, np.where(np.isfinite(corrected), corrected, np.nan)
