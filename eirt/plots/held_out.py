"""Predicted against calibrated difficulty of items that were held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt.plots.base import COLOURS, GREY, Picture, drawing, shorten

if TYPE_CHECKING:
    import pandas as pd

FEW = 30  # items that can all be named


def held_out(table: pd.DataFrame, unit: str) -> Picture:
    """Draw predicted against calibrated difficulty, a point an item.

    Bars are the prediction intervals. On the diagonal predictions are right; orange diamonds are
    items whose interval misses even when widened by the error of calibration.

    Args:
        table: columns item, predicted, lower, upper, calibrated, covered.
        unit: the unit of difficulty.

    Returns:
        The picture, with the table as its data.

    Source: Piñeiro, Perelman, Guerschman & Paruelo (2008) for what stands on which axis.
    """
    names, covered = table.iloc[:, 0].astype(str), table["covered"].to_numpy()
    with drawing(4.2, 4.0) as figure:
        axes = figure.subplots()
        ends = table[["lower", "upper", "calibrated"]].to_numpy()
        low, high = float(np.min(ends)), float(np.max(ends))
        axes.plot([low, high], [low, high], color=GREY, linewidth=0.7, linestyle=(0, (4, 3)))
        for inside, colour, marker in zip((True, False), COLOURS, "oD", strict=False):
            some = table[covered == inside]
            axes.hlines(some["calibrated"], some["lower"], some["upper"], color=colour,
                        linewidth=0.8, alpha=0.5)  # fmt: skip
            axes.scatter(some["predicted"], some["calibrated"], s=16, color=colour, marker=marker,
                         linewidths=0, zorder=3)  # fmt: skip
        for place in np.flatnonzero(~covered)[:FEW]:
            row = table.iloc[place]
            axes.annotate(shorten(names[place], 18), (row["predicted"], row["calibrated"]), (0, 5),
                          textcoords="offset points", ha="center", fontsize=6.5)  # fmt: skip
        axes.set_xlabel(f"Difficulty predicted from features ({unit})")
        axes.set_ylabel(f"Difficulty calibrated on all responses ({unit})")
        axes.set_title(f"Held-out items: {covered.sum()} of {len(table)} inside their interval")
    return Picture(figure, table)
