"""The data among responses simulated from the fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from eirt.diagnostics import predictive_check
from eirt.plots.base import COLOURS, GREY, Picture, drawing, shorten
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LABELS = {
    "scores": "Persons",
    "items": "Share, or mean and sd",
    "item_total": "Correlation with the other items",
    "pairs": "Log odds ratio, or correlation",
    "totals": "Of sum scores",
}
MOST_NAMES = 60


def predictive(
    fit: Fit,
    statistic: Literal["scores", "items", "item_total", "pairs", "totals"] = "scores",
    n: int = 200,
    seed: int = 0,
) -> Picture:
    """Draw a statistic of the data among those of simulated data.

    Bars reach over 95% of the simulations, a dash marks their mean. Points are the data, orange
    diamonds those outside their bar. Sum scores lie along the horizontal axis, all else along the
    vertical.

    Args:
        fit: the fit.
        statistic: see `eirt.diagnostics.predictive_check`.
        n: simulated data sets.
        seed: of the random numbers.

    Returns:
        The picture. Its data: the table of `fit.predictive_check(statistic, n, seed)`.

    Source: Gelman, Meng & Stern (1996).

    >>> import eirt
    >>> picture = predictive(eirt.rasch(eirt.load("lsat7"), wide=True), n=20)
    >>> len(picture.data)
    6
    """
    data = predictive_check(fit, statistic, n, seed)
    upright = statistic == "scores"
    height = 3.0 if upright else float(np.clip(0.16 * len(data) + 0.8, 2.0, 9.0))
    with drawing(4.6, height) as figure:
        axes = figure.subplots()
        outside = _draw(axes, data, upright)
        names = [shorten(str(name), 28) for name in data["of"]]
        places = range(0, len(names), -(-len(names) // MOST_NAMES))
        shown = [names[place] for place in places]
        if upright:
            axes.set_xlabel("Sum score")
            axes.set_ylabel(LABELS[statistic])
            if not names[0].isdigit():
                axes.set_xticks(places, shown, rotation=90)
        else:
            axes.set_yticks(places, shown)
            axes.invert_yaxis()
            axes.set_xlabel(LABELS[statistic])
        axes.set_title(f"{outside} of {len(data)} outside 95% of {n} simulations")
    return Picture(figure, data)


def _draw(axes: Axes, data: pd.DataFrame, upright: bool) -> int:
    """Draw bars, means and points; return how many points are outside."""
    at = np.arange(len(data))
    lines, dash = (axes.vlines, "_") if upright else (axes.hlines, "|")
    lines(at, data["lower"], data["upper"], color=GREY, linewidth=3.0, alpha=0.35)

    def points(some: np.ndarray, name: str, marker: str, colour: str, size: float) -> None:
        xy = (at[some], data.loc[some, name])
        x, y = xy if upright else xy[::-1]
        axes.scatter(x, y, s=size, marker=marker, color=colour, linewidths=0.8, zorder=3)

    points(np.ones(len(data), bool), "mean", dash, GREY, 20.0)
    inside = data["observed"].between(data["lower"], data["upper"]).to_numpy()
    points(inside, "observed", "o", COLOURS[0], 9.0)
    points(~inside, "observed", "D", COLOURS[1], 12.0)
    return int((~inside).sum())
