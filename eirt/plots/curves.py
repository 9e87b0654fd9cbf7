"""Item characteristic curves, with the proportions that they should follow."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt._config import double_precision
from eirt.errors import listing, nearest
from eirt.plots.base import COLOURS, GREY, Picture, drawing, shorten, unit
from eirt.responses import Bernoulli
from eirt.results import Fit
from eirt.tables import LEVEL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 30
RELIABLE = 0.7


def icc(fit: Fit, items: Sequence[str] | None = None, points: bool = True) -> Picture:
    """Draw item characteristic curves, a panel an item, from the easiest to the hardest.

        P(y = 1 | theta) = F(slope theta + easiness)

    Bands are 95% pointwise: the predictor's interval by the delta method, through F. Points are
    proportions in about ten equal groups of persons by estimated ability (EAP). On a short test
    that estimate is shrunken and depends on the item itself: points stray even from a true curve.

    Args:
        fit: a fit of binary responses with items and one ability dimension.
        items: names of the items to draw, in this order; by default all, or 30 spread evenly over
            the order of difficulty.
        points: whether to draw the proportions.

    Returns:
        The picture. Its data: item, theta, probability, lower, upper; the frame's
        `attrs["points"]` holds item, theta, proportion and n of each point.

    Raises:
        ValueError: if responses are not binary, or an item is unknown.

    Source: Lord (1980); Hambleton, Swaminathan & Rogers (1991), chapter 4, for the points.
    """
    import pandas as pd

    if not isinstance(fit.model.response, Bernoulli):
        kind = type(fit.model.response).__name__
        raise ValueError(f"Item characteristic curves need binary responses; these are {kind}.")
    chosen, note = _choose(fit, items)
    reach = 4 * max(fit.difficulty().attrs["ability_sd"], 0.25)
    persons = fit.persons()
    ability = persons["ability"].to_numpy()
    theta = np.linspace(min(-reach, ability.min()), max(reach, ability.max()), 121)
    probability, lower, upper = _curves(fit, chosen, theta)
    data = pd.DataFrame(
        {
            "item": np.repeat(fit.design.items[chosen], len(theta)),
            "theta": np.tile(theta, len(chosen)),
            "probability": probability.ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
        }
    )
    found = None
    if points:
        found = _points(fit, chosen, ability)
        data.attrs["points"] = found.to_dict("list")
        note = _about_points(persons.attrs["reliability"]) + note
    labels = f"Ability ({unit(fit)})", f"P({fit.design.response} = {fit.design.labels[1]})"
    return Picture(_panels(data, found, labels, "Bands: 95% pointwise. " + note), data)


def _choose(fit: Fit, items: Sequence[str] | None) -> tuple[np.ndarray, str]:
    """Return the numbers of the items to draw, and what to say of those left out."""
    found = fit.item_parameters
    names = [str(name) for name in fit.design.items]
    if items:
        asked = dict.fromkeys(map(str, [items] if isinstance(items, str) else items))
        for item in asked:
            if item not in names:
                known = listing(names)
                raise ValueError(f"No item {item!r}; there are {known}.{nearest(item, names)}")
        return np.array([names.index(item) for item in asked]), ""
    order = np.argsort(-found.easiness / found.slope, kind="stable")
    if len(order) <= MAX_PANELS:
        return order, ""
    picked = order[np.round(np.linspace(0, len(order) - 1, MAX_PANELS)).astype(int)]
    return (
        picked,
        f"{MAX_PANELS} of {len(order)} items, spread evenly over the order of difficulty.",
    )


@double_precision
def _curves(fit: Fit, chosen: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return probability, lower and upper limit, items x abilities."""
    from scipy.stats import norm

    found = fit.item_parameters
    n = len(found.easiness)
    eta = found.easiness[chosen, None] + found.slope[chosen, None] * theta
    own = np.diagonal(found.covariance)
    shared = found.covariance[chosen, n + chosen]
    variance = own[chosen, None] + 2 * shared[:, None] * theta + own[n + chosen, None] * theta**2
    half = norm.ppf((1 + LEVEL) / 2) * np.sqrt(np.maximum(variance, 0.0))
    mean = jax.vmap(jax.vmap(lambda at: fit.model.response.mean(at, jnp.zeros(0))))
    return tuple(np.asarray(mean(jnp.asarray(at))) for at in (eta, eta - half, eta + half))


def _points(fit: Fit, chosen: np.ndarray, ability: np.ndarray) -> pd.DataFrame:
    """Return the proportion of y = 1 per item and group of persons; ties stay together."""
    import pandas as pd

    design = fit.design
    group = pd.qcut(ability, 10 if len(ability) >= 300 else 8, labels=False, duplicates="drop")
    observed = pd.DataFrame(
        {
            "item": design.items[design.cell_item[design.obs_cell]],
            "group": group[design.obs_person],
            "theta": ability[design.obs_person],
            "y": design.y,
        }
    )
    observed = observed[observed["item"].isin(list(design.items[chosen]))]
    grouped = observed.groupby(["item", "group"])
    found = grouped.agg(theta=("theta", "mean"), proportion=("y", "mean"), n=("y", "size"))
    return found.reset_index().drop(columns="group")


def _about_points(reliability: float) -> str:
    """Return the footnote on points, with a caution where ability is poorly known."""
    said = "Points: proportions in groups of similar estimated ability, area by size. "
    if reliability < RELIABLE:
        said += f"Reliability {reliability:.2f}: points stray even from a true curve. "
    return said


def _panels(
    data: pd.DataFrame, points: pd.DataFrame | None, labels: tuple[str, str], note: str
) -> Figure:
    """Draw a panel an item, labels of both axes, and a footnote."""
    names = data["item"].unique()
    n = len(names)
    columns = min(n, 3 if n <= 6 else 4 if n <= 12 else 6)
    rows = -(-n // columns)
    panel = (2.8, 2.4) if n <= 2 else (1.8, 1.7) if columns <= 4 else (1.2, 1.25)
    width = 0.6 + columns * panel[0]
    lines = textwrap.wrap(note, int(20 * width))
    foot = 0.08 + 0.12 * len(lines)  # inches
    height = foot + 0.4 + rows * panel[1]
    below = (foot + 0.18) / height
    with drawing(width, height, rect=(0, below, 1, 1 - below)) as figure:
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes in grid[n:]:
            axes.remove()
        for k, (axes, name) in enumerate(zip(grid, names, strict=False)):
            here = None if points is None else points.loc[points["item"] == name]
            _draw_curve(axes, data.loc[data["item"] == name], here)
            axes.set_title(shorten(str(name), 24 if columns <= 4 else 18))
            axes.tick_params(labelbottom=k + columns >= n)
        figure.supxlabel(labels[0], y=(foot + 0.02) / height, fontsize=8)
        figure.supylabel(labels[1], fontsize=8)
        figure.text(0.01, 0.05 / height, "\n".join(lines), fontsize=6.5, color=GREY)
    return figure


def _draw_curve(axes: Axes, data: pd.DataFrame, points: pd.DataFrame | None) -> None:
    axes.fill_between(
        data["theta"], data["lower"], data["upper"], color=COLOURS[0], alpha=0.2, linewidth=0
    )
    axes.plot(data["theta"], data["probability"], color=COLOURS[0], linewidth=1.1)
    if points is not None:
        area = 10 * points["n"] / points["n"].mean()
        axes.scatter(points["theta"], points["proportion"], area, "black", linewidths=0, zorder=3)
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.margins(x=0)
    axes.locator_params("x", nbins=4, integer=True)
