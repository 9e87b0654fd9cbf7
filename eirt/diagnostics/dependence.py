"""Pairs of items that share more than ability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt._config import double_precision
from eirt.diagnostics.residuals import (
    ALPHA,
    Ability,
    adjusted,
    require_independent,
    require_ordered,
    residuals,
)
from eirt.results import Fit
from eirt.scores.answers import answers_of
from eirt.scores.sums import one_test

if TYPE_CHECKING:
    import pandas as pd

LARGE = 0.2  # adjusted Q3
MORE, LESS = "more alike than ability explains", "less alike than ability explains"


@double_precision
def q3(fit: Fit, method: Ability | None = None) -> pd.DataFrame:
    """Return correlations of residuals between items.

        Q3_ij = cor(y_i - E(y_i | theta^), y_j - E(y_j | theta^)),   adjusted: minus the mean of all

    As theta^ is estimated from the same responses, Q3 is about -1 / (I - 1) where items are
    independent given ability; the adjusted one about 0.

    Args:
        fit: a fit to binary or ordered responses.
        method: ability estimate: "WLE" (by default, of one ability), "EAP" (of several) or "MAP".

    Returns:
        A row per pair of items: item_1, item_2, n (persons who answered both), q3, q3_adjusted
        and reading: empty, or which way the pair departs where the adjusted one is beyond 0.2. The
        largest come first.

    Raises:
        ValueError: for an unknown method.
        DataError: if responses are not binary or ordered, or items are not known.

    Source: Yen (1984); Marais (2013), Christensen, Makransky & Horton (2017) for the adjustment
    and 0.2.

    >>> import eirt
    >>> table = eirt.rasch(eirt.load("verbagg"), response="r2").q3()
    >>> table[["item_1", "item_2", "q3", "q3_adjusted"]].round(2).head(1)
            item_1       item_2    q3  q3_adjusted
    0  S1WantScold  S2WantScold  0.38         0.43
    """
    import pandas as pd

    found, items = residuals(fit, method), fit.design.items
    n, size = len(found.present), len(items)
    table, count = np.zeros((n, size)), np.zeros((n, size))
    place = np.arange(n)[:, None], np.asarray(found.answers.item)
    np.add.at(table, place, found.residual)
    np.add.at(count, place, found.present)
    first, second = np.triu_indices(size, 1)
    both, correlation = _pairwise(table, count > 0)
    values = correlation[first, second]
    result = pd.DataFrame(
        {
            "item_1": items[first],
            "item_2": items[second],
            "n": both[first, second].astype(int),
            "q3": values,
            "q3_adjusted": values - np.nanmean(values),
        }
    )
    beyond = result["q3_adjusted"]
    result["reading"] = np.select([beyond > LARGE, beyond < -LARGE], [MORE, LESS], "")
    return result.sort_values("q3", ascending=False, ignore_index=True)


def _pairwise(table: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many persons answered each pair of items, and correlations among these."""
    mask = present.astype(float)
    x = np.where(present, table, 0.0)
    n = mask.T @ mask
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = x.T @ mask / n
        variance = (x**2).T @ mask / n - mean**2
        return n, (x.T @ x / n - mean * mean.T) / np.sqrt(variance * variance.T)


@double_precision
def local_dependence(fit: Fit) -> pd.DataFrame:
    """Test every pair of items for independence given ability.

        X2_ij = sum over c, d of (O_cd - E_cd)^2 / E_cd,   E_cd = N integral of P_ic P_jd phi

    Args:
        fit: a fit to one test that everybody answered, binary or ordered.

    Returns:
        A row per pair of items: item_1, item_2, x2, df, p, p_adjusted (false discovery rate),
        cramer_v (with the sign of the departure) and reading: empty, or which way the pair departs
        where it does at 5% after adjustment. The largest |cramer_v| come first.

    Raises:
        DataError: if persons did not all answer the same test, binary or ordered, or the model has
            random effects across persons.

    Source: Chen & Thissen (1997).

    >>> import eirt
    >>> table = eirt.rasch(eirt.load("verbagg"), response="r2").local_dependence()
    >>> table[["item_1", "item_2", "x2", "df", "cramer_v"]].round(2).head(1)
            item_1       item_2     x2  df  cramer_v
    0  S1WantScold  S2WantScold  32.13   1      0.32
    """
    import pandas as pd
    from scipy.special import chdtrc

    require_ordered(fit)
    require_independent(fit)
    answers = answers_of(fit)
    test, y = one_test(fit, answers), np.asarray(answers.y).astype(int)
    n, items, size = len(y), fit.design.items, len(fit.design.labels)
    codes = np.arange(size)
    own = (y[:, :, None] == codes).astype(float)
    observed = np.einsum("nic,njd->ijcd", own, own, optimize=True)
    p = test.probabilities
    expected = n * np.einsum("ick,jdk,k->ijcd", p, p, test.weights, optimize=True)
    first, second = np.triu_indices(len(items), 1)
    o, e = observed[first, second], expected[first, second]
    x2 = np.divide((o - e) ** 2, e, out=np.zeros_like(e), where=e > 0).sum(axis=(1, 2))
    free = y.max(axis=0)
    df = free[first] * free[second]
    sign = np.sign(_correlation(o) - _correlation(e))
    p_value = chdtrc(df, x2)
    item = fit.design.cell_item
    table = pd.DataFrame(
        {
            "item_1": items[item[first]],
            "item_2": items[item[second]],
            "x2": x2,
            "df": df,
            "p": p_value,
            "p_adjusted": adjusted(p_value),
            "cramer_v": sign * np.sqrt(x2 / (n * np.minimum(free[first], free[second]))),
        }
    )
    wrong = table["p_adjusted"] < ALPHA
    table["reading"] = np.select([wrong & (sign > 0), wrong & (sign < 0)], [MORE, LESS], "")
    order = table["cramer_v"].abs().sort_values(ascending=False).index
    return table.loc[order].reset_index(drop=True)


def _correlation(table: np.ndarray) -> np.ndarray:
    """Return the correlation of response codes in each table, pairs x categories x categories."""
    codes = np.arange(float(table.shape[1]))
    share = table / table.sum(axis=(1, 2), keepdims=True)
    first, second = share.sum(axis=2), share.sum(axis=1)
    means, squares = (first @ codes, second @ codes), (first @ codes**2, second @ codes**2)
    variance = (squares[0] - means[0] ** 2) * (squares[1] - means[1] ** 2)
    return (np.einsum("pcd,c,d->p", share, codes, codes) - means[0] * means[1]) / np.sqrt(variance)
