"""Items in order, each with an estimate and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eirt.plots.base import COLOURS, GREY, MARKERS, Picture, drawing, shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST_ROWS = 40  # items below each other; more stand in further columns
MOST_ITEMS = 240
ROW = 0.15  # inches


class Band(NamedTuple):
    """A shaded range of estimates, and what it is called."""

    lower: float
    upper: float
    label: str


def draw_intervals(
    data: pd.DataFrame,
    *,
    label: str,
    marked: str = "",
    bands: Sequence[Band] = (),
    lines: Sequence[tuple[float, str]] = ((0.0, ""),),
    ordered: bool = True,
) -> Picture:
    """Draw estimates of items with intervals, every item labelled.

    Args:
        data: item, estimate, lower, upper, and `marked` (bool), a row per item.
        label: of the axis.
        marked: what it is called that marked items are; empty where none are.
        bands: shaded ranges.
        lines: where lines stand, and what they are called; the first is solid.
        ordered: whether they stand from the largest down, otherwise as in `data`.

    Returns:
        The picture. Its data: those columns, as drawn; of more than 240 items those farthest from
        the first line.
    """
    keep = ["item", "estimate", "lower", "upper", *(["marked"] if marked else [])]
    far = (data["estimate"] - lines[0][0]).abs().sort_values(kind="stable").index[-MOST_ITEMS:]
    drawn = data.loc[far.sort_values(), keep]
    if ordered:
        drawn = drawn.sort_values("estimate", ascending=False, kind="stable")
    drawn = drawn.reset_index(drop=True)
    columns = -(-len(drawn) // MOST_ROWS)
    rows = -(-len(drawn) // columns)
    names = [shorten(str(name), 22) for name in drawn["item"]]
    margin = 0.2 + 0.07 * max(map(len, names))
    note = f" ({len(drawn)} of {len(data)} items)" if len(drawn) < len(data) else ""
    height = 1.0 + ROW * max(rows, 4)
    with drawing(columns * (margin + (3.4 if columns == 1 else 1.6)), height) as figure:
        panels = figure.subplots(1, columns, sharex=True, squeeze=False)[0]
        limits = _limits(drawn, [*(band[:2] for band in bands), *(line[:1] for line in lines)])
        for k, axes in enumerate(panels):
            here = slice(k * rows, (k + 1) * rows)
            for band, shade in zip(bands, ("0.93", "0.87"), strict=False):
                axes.axvspan(band.lower, band.upper, color=shade, label=band.label, zorder=0)
            for line, style in zip(lines, ("-", ":"), strict=False):
                axes.axvline(line[0], color=GREY, linewidth=0.7, linestyle=style,
                             label=line[1] or None, zorder=1)  # fmt: skip
            _draw(axes, drawn.iloc[here], marked)
            axes.set_yticks(range(len(names[here])), names[here])
            axes.set_ylim(rows - 0.4, -0.6)
            axes.set_xlim(*limits)
        figure.supxlabel(label + note, fontsize=8)
        shown = dict(zip(*reversed(_legend(panels)), strict=True))
        if shown:
            figure.legend(shown.values(), shown.keys(), loc="outside upper left", ncols=len(shown))
    return Picture(figure, drawn)


def _legend(panels: Sequence[Axes]) -> tuple[list, list[str]]:
    """Return what the legend shows: handles and labels, of all panels."""
    handles, labels = [], []
    for axes in panels:
        more = axes.get_legend_handles_labels()
        handles += more[0]
        labels += more[1]
    return handles, labels


def _limits(data: pd.DataFrame, held: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return limits that hold every estimate and some more.

    Intervals far wider than most run off the edge.
    """
    reach = 3 * float(np.median(data["upper"] - data["lower"]) / 2)
    inside = data[["lower", "upper"]].clip(
        data["estimate"].min() - reach, data["estimate"].max() + reach
    )
    ends = [end for some in held for end in some]
    low, high = min(inside.min().min(), *ends), max(inside.max().max(), *ends)
    return low - 0.03 * (high - low), high + 0.03 * (high - low)


def _draw(axes: Axes, data: pd.DataFrame, marked: str) -> None:
    """Draw the items of one panel; marked ones have another colour and marker."""
    flags = data["marked"].to_numpy() if marked else np.zeros(len(data), bool)
    places = np.arange(len(data))
    for flag, name in ((False, f"not {marked}" if marked else None), (True, marked)):
        here = flags == flag
        if not here.any():
            continue
        shade, marker = COLOURS[int(flag)], MARKERS[int(flag)]
        axes.hlines(places[here], data["lower"][here], data["upper"][here], color=shade,
                    linewidth=0.9, zorder=2)  # fmt: skip
        axes.scatter(data["estimate"][here], places[here], s=14, color=shade, marker=marker,
                     linewidths=0, label=name, zorder=3)  # fmt: skip
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="0.94", linewidth=0.4, zorder=0)
