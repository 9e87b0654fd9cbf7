"""A panel an item: which items are drawn, over which abilities, and how panels stand together."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from eirt.errors import listing, nearest
from eirt.plots.base import GREY, drawing, shorten
from eirt.results import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 30


def choose(fit: Fit, items: Sequence[str] | None) -> tuple[np.ndarray, str]:
    """Return the numbers of the items to draw, and what to say of those left out.

    Args:
        fit: a fit with items.
        items: names of items, in this order; None for all by their (mean) difficulty, or 30 spread
            evenly over that order.

    Raises:
        ValueError: if an item is unknown.
    """
    names = [str(name) for name in fit.design.items]
    if items:
        asked = dict.fromkeys(map(str, [items] if isinstance(items, str) else items))
        for item in asked:
            if item not in names:
                known = listing(names)
                raise ValueError(f"No item {item!r}; there are {known}.{nearest(item, names)}")
        return np.array([names.index(item) for item in asked]), ""
    by_item = fit.difficulty().groupby("item", sort=False, observed=True)["difficulty"]
    order = np.argsort(by_item.mean().reindex(fit.design.items).to_numpy(), kind="stable")
    if len(order) <= MAX_PANELS:
        return order, ""
    picked = order[np.round(np.linspace(0, len(order) - 1, MAX_PANELS)).astype(int)]
    said = f"{MAX_PANELS} of {len(order)} items, spread evenly over the order of difficulty."
    return picked, said


def abilities(fit: Fit, persons: np.ndarray) -> np.ndarray:
    """Return the abilities to draw at: four sd on either side, or as far as persons go."""
    sd = persons.std() if fit.likelihood.conditional else fit.difficulty().attrs["ability_sd"]
    reach = 4 * max(sd, 0.25)
    return np.linspace(min(-reach, persons.min()), max(reach, persons.max()), 121)


def draw_panels(
    names: Sequence[str],
    draw: Callable[[Axes, str], None],
    labels: tuple[str, str],
    note: str = "",
    legend: Mapping[str, str] | None = None,
) -> Figure:
    """Draw a panel an item.

    Args:
        names: the items.
        draw: draws one item.
        labels: of the axes.
        note: a footnote.
        legend: what colours mean, from label to colour.
    """
    n = len(names)
    columns = min(n, 3 if n <= 6 else 4 if n <= 12 else 6)
    rows = -(-n // columns)
    panel = (2.8, 2.4) if n <= 2 else (1.8, 1.7) if columns <= 4 else (1.2, 1.25)
    width = 0.6 + columns * panel[0]
    lines = textwrap.wrap(note, int(20 * width))
    foot = 0.08 + 0.12 * len(lines)  # inches
    height = foot + 0.4 + rows * panel[1] + (0.25 if legend else 0.0)
    below = (foot + 0.18) / height
    with drawing(width, height, rect=(0, below, 1, 1 - below)) as figure:
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes in grid[n:]:
            axes.remove()
        for k, (axes, name) in enumerate(zip(grid, names, strict=False)):
            draw(axes, name)
            axes.margins(x=0)
            axes.locator_params("x", nbins=4, integer=True)
            axes.set_title(shorten(str(name), 24 if columns <= 4 else 18))
            axes.tick_params(labelbottom=k + columns >= n)
        if legend:
            _add_legend(figure, legend)
        figure.supxlabel(labels[0], y=(foot + 0.02) / height, fontsize=8)
        figure.supylabel(labels[1], fontsize=8)
        figure.text(0.01, 0.05 / height, "\n".join(lines), fontsize=6.5, color=GREY)
    return figure


def _add_legend(figure: Figure, legend: Mapping[str, str]) -> None:
    """Say above the panels what colours mean."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, linewidth=1.3) for colour in legend.values()]
    figure.legend(handles, list(legend), loc="outside upper center", ncols=len(legend))
