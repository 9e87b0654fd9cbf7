"""Pairs of items whose residuals go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt.diagnostics import q3 as residual_correlations
from eirt.plots.base import Picture, drawing, shorten
from eirt.results import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 12  # items whose cells have room for a number
MOST_NAMES = 50
LEAST = 0.3  # reach of the colours, so that noise stays pale


def q3(fit: Fit) -> Picture:
    """Draw adjusted Q3 of every pair of items as a heat map, items in the order of the fit.

    Blue pairs are more alike than ability explains, red ones less. Pairs beyond 0.2 have a dot;
    with at most 12 items the number stands there instead.

    Args:
        fit: a fit to binary or ordered responses.

    Returns:
        The picture. Its data: the table of `fit.q3()`.

    Raises:
        DataError: if responses are not binary or ordered, or items are not known.

    Source: Yen (1984); Christensen, Makransky & Horton (2017).

    >>> import eirt
    >>> len(q3(eirt.rasch(eirt.load("lsat7"), wide=True)).data)
    10
    """
    import pandas as pd

    data, items = residual_correlations(fit), pd.Index(fit.design.items)
    first, second = items.get_indexer(data["item_1"]), items.get_indexer(data["item_2"])
    table = np.full((len(items), len(items)), np.nan)
    table[second, first] = data["q3_adjusted"]
    reach = max(LEAST, float(np.nanmax(np.abs(table))))
    side = float(np.clip(0.16 * len(items) + 1.2, 3.2, 6.4))
    with drawing(side + 0.9, side) as figure:
        axes = figure.subplots()
        drawn = axes.imshow(table, cmap="RdBu", vmin=-reach, vmax=reach, interpolation="nearest")
        if len(items) <= FEW:
            _write_numbers(axes, table, reach)
        else:
            flagged = (data["reading"] != "").to_numpy()
            axes.scatter(first[flagged], second[flagged], s=min(4.0, 800 / len(items) ** 1.5),
                         color="black", linewidths=0)  # fmt: skip
        _name_items(axes, [shorten(str(item), 20) for item in items])
        axes.spines[:].set_visible(False)
        axes.set_title(f"{int((data['reading'] != '').sum())} of {len(data)} pairs beyond 0.2")
        figure.colorbar(drawn, ax=axes, label="Adjusted Q3", shrink=0.6, aspect=25)
    return Picture(figure, data)


def _write_numbers(axes: Axes, table: np.ndarray, reach: float) -> None:
    for row, column in zip(*np.nonzero(np.isfinite(table)), strict=True):
        value = table[row, column]
        shade = "white" if abs(value) > 0.7 * reach else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color=shade)


def _name_items(axes: Axes, names: list[str]) -> None:
    """Name every item, or every second, third... of many."""
    places = range(0, len(names), -(-len(names) // MOST_NAMES))
    size = 7 if len(names) <= 20 else 5.5
    some = [names[place] for place in places]
    axes.set_xticks(places, some, rotation=90, fontsize=size)
    axes.set_yticks(places, some, fontsize=size)
    axes.tick_params(length=0)
