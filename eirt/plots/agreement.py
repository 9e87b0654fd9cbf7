"""Difficulties in one part of a sample against those in another: the graphical model check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt.plots.base import COLOURS, GREY, Picture, drawing, shorten

if TYPE_CHECKING:
    import pandas as pd

FEW = 30  # items that can all be named
FAR = 1.96  # standard errors of a difference beyond which an item is named


def agreement(table: pd.DataFrame, first: str, second: str) -> Picture:
    """Draw difficulties in one group against those in another, with 95% limits of both.

    Items that differ significantly are named.

    Args:
        table: columns item, threshold (if there are several), difficulty, se, lower, upper, group;
            the same difficulties in the same order for both groups.
        first: the group on the horizontal axis.
        second: the group on the vertical axis.

    Returns:
        The picture, with a row per difficulty as its data.

    Source: Rasch (1960), chapter 6.
    """
    ends = ["difficulty", "lower", "upper"]
    x, y = (table[table["group"] == name].reset_index(drop=True) for name in (first, second))
    wide = x[[name for name in ("item", "threshold") if name in x]].copy()
    for name, part in zip((first, second), (x, y), strict=True):
        wide = wide.join(part[ends].add_suffix(f", {name}"))
    with drawing(4.2, 4.0) as figure:
        axes = figure.subplots()
        low, high = table["lower"].min(), table["upper"].max()
        axes.plot([low, high], [low, high], color=GREY, linewidth=0.7, linestyle=(0, (4, 3)))
        errors = (x["upper"] - x["difficulty"], y["upper"] - y["difficulty"])
        axes.errorbar(x["difficulty"], y["difficulty"], errors[1], errors[0], fmt="none",
                      ecolor=COLOURS[0], elinewidth=0.6, alpha=0.5)  # fmt: skip
        axes.scatter(x["difficulty"], y["difficulty"], s=16, color=COLOURS[0], linewidths=0,
                     zorder=3)  # fmt: skip
        z = (x["difficulty"] - y["difficulty"]) / np.hypot(x["se"], y["se"])
        for place in np.flatnonzero(z.abs() > FAR)[:FEW]:
            at = x.loc[place, "difficulty"], y.loc[place, "difficulty"]
            axes.annotate(shorten(str(x.loc[place, "item"]), 18), at, (0, 5), ha="center",
                          fontsize=6.5, textcoords="offset points")  # fmt: skip
        axes.set_xlabel(f"Difficulty, {first}")
        axes.set_ylabel(f"Difficulty, {second}")
        axes.set_aspect("equal")
    return Picture(figure, wide)
