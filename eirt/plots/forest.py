"""Fixed effects and random effects, each with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt.errors import DataError, listing, nearest
from eirt.plots.base import COLOURS, GREY, Picture, drawing
from eirt.plots.intervals import MOST_ITEMS, draw_intervals
from eirt.results import Fit
from eirt.tables import QUANTILE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

TICKS = np.array([0.001, 0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100, 1000])
FINE = np.array([0.5, 0.7, 1, 1.5, 2])  # where effects are small
CROWDED = 5.5  # logits, beyond which ticks at 1, 2 and 5 have no room beside other panels


def effects(fit: Fit) -> Picture:
    """Draw the fixed effects with 95% intervals, in the order of the model, without intercepts.

    Effects on easiness are on the easiness side; in logit models an axis above reads them as odds
    ratios.

    Args:
        fit: a fit with fixed effects.

    Returns:
        The picture. Its data: the rows of `fit.fixed` that are drawn.

    Raises:
        DataError: if there is nothing besides intercepts.

    >>> import eirt
    >>> fit = eirt.lltm(eirt.load("verbagg"), "~ btype + mode", response="r2")
    >>> effects(fit).data["term"].tolist()
    ['btype[scold]', 'btype[shout]', 'mode[do]']
    """
    table = fit.fixed
    estimated = ~table["term"].str.contains("(Intercept)", regex=False) & (table["se"] > 0)
    drawn = table[estimated].reset_index(drop=True)
    if drawn.empty:
        raise DataError(f"{fit.name} has no effects besides intercepts; see fit.fixed.")
    rows = drawn.rename(columns={"term": "item"})
    odds = "odds_ratio" in drawn and drawn["odds_ratio"].notna().all()
    unit = " (logits)" if odds else ""
    picture = draw_intervals(rows, label=f"Effect{unit}, with 95% interval", ordered=False)
    if odds:
        panels = picture.figure.axes
        for axes in panels:
            _add_odds(axes, crowded=len(panels) > 1)
    return Picture(picture.figure, drawn)


def _add_odds(axes: Axes, crowded: bool) -> None:
    """Read the axis as odds ratios above: on narrow axes that reach far by powers of ten."""
    low, high = axes.get_xlim()
    ticks = FINE if high - low < 2 else TICKS
    if crowded and high - low > CROWDED:
        ticks = TICKS[np.isclose(np.log10(TICKS) % 1, 0)]
    ticks = ticks[(np.log(ticks) >= low) & (np.log(ticks) <= high)]
    above = axes.secondary_xaxis("top")
    above.set_xticks(np.log(ticks), [f"{tick:g}" for tick in ticks], fontsize=7)
    above.set_xlabel("Odds ratio", fontsize=8)


def caterpillar(fit: Fit, group: str | None = None, term: str | None = None) -> Picture:
    """Draw random effects with 95% intervals, from the largest down.

    Estimates are posterior means (or modes), and intervals reach 1.96 posterior standard deviations
    on either side. Beyond 240 levels names are left out.

    Args:
        fit: a fit with random effects.
        group: a grouping factor; by default the items where they have effects, otherwise the first.
        term: which of its effects, by default the first.

    Returns:
        The picture. Its data: level, term, estimate, sd, lower, upper, sorted.

    Raises:
        ValueError: if there are no such effects.

    Source: Goldstein & Healy (1995).

    >>> import eirt
    >>> fit = eirt.lltm(eirt.load("verbagg"), "~ btype + situ + mode + (1 | item)", response="r2")
    >>> caterpillar(fit, "item").data[["level", "estimate"]].round(1).head(2)
            level  estimate
    0   S4DoCurse       0.6
    1  S4DoScold       0.6
    """
    known = [other.group for other in fit.design.terms]
    if not known:
        raise ValueError(f"{fit.name} has no random effects; see fit.plot('effects').")
    if group is None:
        group = fit.design.item if fit.design.item in known else known[0]
    table = fit.effects(group)
    terms = list(dict.fromkeys(table["term"]))
    term = terms[0] if term is None else term
    if term not in terms:
        raise ValueError(
            f"No effect {term!r} of {group}; there are {listing(terms)}.{nearest(term, terms)}"
        )
    data = table[table["term"] == term].sort_values("estimate", ascending=False, kind="stable")
    half = QUANTILE * data["sd"]
    data = data.assign(lower=data["estimate"] - half, upper=data["estimate"] + half)
    data = data.reset_index(drop=True)
    what = group if term == "(Intercept)" else f"{group}, {term}"
    label = f"Random effect of {what}, with 95% interval"
    if len(data) > MOST_ITEMS:
        return _without_names(data, group, label)
    rows = data.rename(columns={"level": "item"})
    return Picture(draw_intervals(rows, label=label).figure, data)


def _without_names(data: pd.DataFrame, group: str, label: str) -> Picture:
    """Draw many effects as one dense line of points."""
    with drawing(4.2, 5.0) as figure:
        axes = figure.subplots()
        places = np.arange(len(data))
        axes.axvline(0, color=GREY, linewidth=0.7)
        axes.hlines(places, data["lower"], data["upper"], color="0.78", linewidth=0.4)
        axes.scatter(data["estimate"], places, s=3, color=COLOURS[0], linewidths=0, zorder=3)
        axes.set_ylim(len(data) - 0.4, -0.6)
        axes.set_yticks([])
        axes.set_xlabel(label)
        axes.set_ylabel(f"{len(data)} levels of {group}, sorted")
    return Picture(figure, data)
