"""Testing what features of items do where items are few."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eirt._config import double_precision
from eirt.effects import EASINESS
from eirt.errors import DataError
from eirt.factors import constant_within
from eirt.forecasts import item_columns, require_freedom
from eirt.results import Fit
from eirt.tables import LEVEL, of_items

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float, Int


class ItemFreedom(NamedTuple):
    """What limits the precision of the coefficients that describe items.

    Attributes:
        places: the coefficients, among the fixed effects.
        levels: how many items, or groups of them, tell each one's error.
        df: the degrees of freedom left; infinite where nothing limits a coefficient.
    """

    places: Int[np.ndarray, " k"]
    levels: Float[np.ndarray, " k"]
    df: Float[np.ndarray, " k"]

    @property
    def inflation(self) -> Float[np.ndarray, " k"]:
        """By how much variances grow from maximum likelihood to regression, I / d."""
        return np.where(np.isfinite(self.df), self.levels / self.df, 1.0)


def item_terms(fit: Fit) -> list[np.ndarray]:
    """Return the level of every cell in each random term of items, or of groups of items."""
    return [
        term.index
        for term in fit.design.terms
        if term.index is not None and EASINESS in term.targets and of_items(fit.design, term).any()
    ]


def item_freedom(fit: Fit) -> ItemFreedom:
    """Return how many items and degrees of freedom are behind each coefficient of items.

    Raises:
        DataError: if the fit has no random residuals of items, or no degrees of freedom.
    """
    fit.require_items(first=False)
    design, x, groups = fit.design, item_columns(fit), item_terms(fit)
    if not groups:
        raise DataError(
            f"{fit.name} has no random residuals of items: it takes these items for all there "
            f"are; refit with '+ (1 | {design.item})'."
        )
    constant = np.array([[constant_within(column, group) for column in x.T] for group in groups])
    levels = np.array([group.max() + 1 for group in groups], float)
    free = levels - constant.sum(axis=1)
    require_freedom(int(levels[free.argmin()]), int(free.min()))
    places = np.flatnonzero([role == "item" for role in design.roles])
    columns = np.arange(x.shape[1] - len(places), x.shape[1])
    apart = np.where(constant[:, columns], free[:, None], np.inf)
    return ItemFreedom(places, levels[apart.argmin(axis=0)], apart.min(axis=0))


@double_precision
def feature_tests(fit: Fit) -> pd.DataFrame:
    """Test the effects of features as effects on a sample of items, of which there are few.

        t = estimate / SE,    SE = SE_ML sqrt(I / d),    d = I - k

    Maximum likelihood divides the variation that k features leave between I items by I, where
    regression divides by d: its z tests reject too often and its intervals are too short. A
    feature of groups of items (templates with a random effect) has groups in the place of items,
    and the features of groups in that of all.

    Args:
        fit: a fit with features and random residuals of items, or of groups of them.

    Returns:
        A row per coefficient of easiness that describes items: term, estimate, se, df, t, p
        (two-sided), lower, upper (95%). A feature that varies within every random group has no
        such limit to its precision: df is infinite, as in `fit.fixed`.

    Raises:
        DataError: if the fit has no random residuals of items, or no degrees of freedom.

    Source: Schluchter & Elashoff (1990) for d; Clark (1973) for the problem.

    >>> import eirt
    >>> fit = eirt.lltm(eirt.load("verbagg"), "~ btype + situ + mode + (1 | item)", response="r2")
    >>> feature_tests(fit)[["term", "estimate", "se", "df", "t"]].round(2).tail(2)
             term  estimate    se    df     t
    3  situ[self]     -1.06  0.17  19.0 -6.12
    4    mode[do]     -0.71  0.17  19.0 -4.11
    """
    from scipy.special import stdtr, stdtrit

    freedom = item_freedom(fit)
    df = freedom.df
    table = fit.fixed.iloc[freedom.places][["term", "estimate", "se"]].reset_index(drop=True)
    table["se"] *= np.sqrt(freedom.inflation)
    table["df"], table["t"] = df, table["estimate"] / table["se"]
    table["p"] = 2 * stdtr(df, -table["t"].abs())
    half = stdtrit(df, (1 + LEVEL) / 2) * table["se"]
    return table.assign(lower=table["estimate"] - half, upper=table["estimate"] + half)
