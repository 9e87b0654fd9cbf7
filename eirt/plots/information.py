"""Where a test measures well: its information and the standard error that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt.diagnostics import information_function
from eirt.plots.base import COLOURS, Picture, drawing, shorten, unit
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MANY = 4.0  # standard errors above this multiple of the smallest run off the picture


def information(fit: Fit, theta: np.ndarray | None = None, items: bool = False) -> Picture:
    """Draw the information of the test and the standard error of ability, 1 / sqrt(information).

    Args:
        fit: a fit with items and one ability dimension.
        theta: abilities, as for `fit.information_function`.
        items: whether a second panel shows each item; of more than seven those are named that
            tell most in one seventh of the range.

    Returns:
        The picture. Its data: theta, information, se; with `items`, the frame's `attrs["items"]`
        holds item, theta and information.

    Raises:
        DataError: if there are several abilities, or the family has no expected information.

    Source: Birnbaum (1968).

    >>> import eirt
    >>> picture = information(eirt.rasch(eirt.load("lsat7"), wide=True), [-1.0, 0.0, 1.0])
    >>> picture.data.round(2)
       theta  information    se
    0   -1.0         1.13  0.94
    1    0.0         0.82  1.10
    2    1.0         0.44  1.51
    """
    data = information_function(fit, theta)
    each = information_function(fit, theta, items=True) if items else None
    with drawing(7.2 if items else 4.2, 3.0) as figure:
        panels = figure.subplots(1, 2 if items else 1, squeeze=False)[0]
        _draw_test(panels[0], data)
        if each is not None:
            data.attrs["items"] = each.to_dict("list")
            _draw_items(panels[1], each)
        for axes in panels:
            axes.set_xlabel(f"Ability ({unit(fit)})")
            axes.margins(x=0)
    return Picture(figure, data)


def _draw_test(axes: Axes, data: pd.DataFrame) -> None:
    """Draw information, and the standard error on an axis of its own."""
    axes.plot(data["theta"], data["information"], color=COLOURS[0], linewidth=1.3)
    axes.set_ylabel("Information of the test", color=COLOURS[0])
    axes.set_ylim(0, 1.05 * data["information"].max())
    right = axes.twinx()
    right.plot(data["theta"], data["se"], color=COLOURS[1], linewidth=1.3, linestyle=(0, (4, 2)))
    right.set_ylabel("Standard error (dashed)", color=COLOURS[1])
    least = data["se"].min()
    right.set_ylim(0, 1.05 * min(data["se"].max(), MANY * least))
    right.spines["right"].set_visible(True)
    right.margins(x=0)


def _draw_items(axes: Axes, data: pd.DataFrame) -> None:
    """Draw the information of each item; some are coloured and named."""
    table = data.pivot(index="theta", columns="item", values="information")
    named = _most_informative(table)
    others = table.drop(columns=named)
    axes.plot(others.index, others, color="0.8", linewidth=0.6)
    for item, colour in zip(named, COLOURS, strict=False):
        axes.plot(table.index, table[item], color=colour, linewidth=1.1, zorder=3,
                  label=shorten(str(item), 18))  # fmt: skip
    axes.set_ylabel("Information of each item")
    axes.set_ylim(bottom=0)
    title = "Most informative, by ability" if len(others.columns) else "Items"
    axes.legend(title=title, loc="upper left", bbox_to_anchor=(1, 1), alignment="left")


def _most_informative(table: pd.DataFrame) -> list[str]:
    """Return all of few items, or the best one in each part of the range of ability."""
    if len(table.columns) <= len(COLOURS):
        return list(table.columns)
    parts = np.array_split(np.arange(len(table)), min(len(COLOURS), len(table)))
    return list(dict.fromkeys(table.iloc[part].sum().idxmax() for part in parts))
