"""The Wright map: persons and items on one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eirt.difficulty import ability_origin
from eirt.errors import listing, nearest
from eirt.plots.base import COLOURS, GREY, MARKERS, Picture, drawing, shorten, unit, written
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAR = 6.0  # sd of ability; estimates farther out do not stretch the axis
CROWDED = 60  # items; beyond, intervals step back
FEW_SCORES = 50


def wright(fit: Fit, colour: str | None = None, identification: str | None = None) -> Picture:
    """Draw the Wright map: persons' abilities and items' difficulties on one scale.

    Abilities (EAP, or WLE under conditional likelihood) are a histogram on the left; difficulties,
    sorted, stand on the right with 95% intervals. Every item is labelled where there is room,
    otherwise every second, third...
    Items with ordered categories have a point for each threshold, labelled item.category.

    Args:
        fit: a fit with items and one ability dimension.
        colour: an item feature, a column of the data, to colour the items by; thresholds are
            coloured by category when None.
        identification: the origin of the scale, as for `eirt.difficulty.difficulty`.

    Returns:
        The picture. Its data: item, threshold (ordered categories), difficulty, se, lower, upper
        and the feature; the frame's `attrs["persons"]` holds lower, upper and count of each bar of
        the histogram.

    Raises:
        ValueError: if `colour` is not a feature of the items.

    Source: Wright & Masters (1982); Wilson (2005), chapter 5.
    """
    import pandas as pd

    table = fit.difficulty(identification)
    several = "threshold" in table.columns
    names = ["item", *(["threshold"] if several else [])]
    data = pd.DataFrame(table, columns=[*names, "difficulty", "se", "lower", "upper"])
    if colour is not None:
        own = pd.Index(fit.design.items).get_indexer(data["item"])
        data[colour] = _item_feature(fit, colour).iloc[own].reset_index(drop=True)
    elif several and len(fit.design.labels) - 1 <= len(COLOURS):
        colour = "threshold"
        data[colour] = pd.Categorical(data[colour], fit.design.labels[1:])
    moved = table.attrs["ability_mean"] - ability_origin(fit)
    ability = fit.persons()["ability"].to_numpy() + moved
    counts, edges = _histogram(ability)
    data.attrs = table.attrs | {
        "persons": {"lower": edges[:-1].tolist(), "upper": edges[1:].tolist(),
                    "count": counts.tolist()}
    }  # fmt: skip
    figure = _two_panels(data, ability, counts, edges, colour, unit(fit))
    return Picture(figure, data)


def _two_panels(
    data: pd.DataFrame,
    ability: np.ndarray,
    counts: np.ndarray,
    edges: np.ndarray,
    colour: str | None,
    scale: str,
) -> Figure:
    """Draw persons on the left and items on the right of one ability axis."""
    width = float(np.clip(0.2 * len(data), 2.4, 6.4))
    with drawing(width + 2.4, 4.6, wspace=0, w_pad=0.02) as figure:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, width))
        left.barh(edges[:-1], counts, np.diff(edges), align="edge", color="#B8C4CF",
                  edgecolor="white", linewidth=0.5, zorder=2)  # fmt: skip
        left.invert_xaxis()
        left.set_xlabel(f"Persons (n = {len(ability)})")
        left.set_ylabel(f"Ability and difficulty ({scale})")
        drawn = data.sort_values("difficulty", kind="stable", ignore_index=True)
        off = _set_limits(left, drawn, ability, FAR * max(_sd(data, ability), 0.5))
        _draw_items(right, drawn, colour)
        _label_items(right, drawn, width)
        points = "Thresholds" if "threshold" in data.columns else "Items"
        right.set_xlabel(f"{points} by difficulty, with 95% intervals{off}")
        figure.align_xlabels()
        mean = ability.mean()
        for axes, depth in ((left, 4), (right, 1)):
            axes.grid(axis="y", color="0.92", linewidth=0.5, zorder=0)
            axes.axhline(mean, color=GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=depth)
        right.annotate("mean\nability", (1, mean), (3, 0), color=GREY, fontsize=7, va="center",
                       xycoords=("axes fraction", "data"), textcoords="offset points",
                       annotation_clip=False)  # fmt: skip
    return figure


def _sd(data: pd.DataFrame, ability: np.ndarray) -> float:
    """Return the standard deviation of ability, of its estimates where the model has none."""
    sd = data.attrs["ability_sd"]
    return sd if np.isfinite(sd) else float(ability.std())


def _histogram(ability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts and edges: bars by Freedman & Diaconis (1981), fewer for few scores.

    On a short test estimates take few values: bars are widened until none inside is empty.
    """
    bars = int(np.clip(len(np.histogram_bin_edges(ability, "fd")) - 1, 5, 30))
    few = len(np.unique(np.round(ability, 6))) <= FEW_SCORES
    while few and bars > 5 and not np.histogram(ability, bars)[0].all():
        bars -= 1
    return np.histogram(ability, bars)


def _set_limits(axes: Axes, data: pd.DataFrame, ability: np.ndarray, far: float) -> str:
    """Set the ability axis to hold all but estimates far out; return a note on those."""
    centre = ability.mean()
    ends = data[["difficulty", "lower", "upper"]].clip(centre - far, centre + far).to_numpy()
    low, high = min(ends.min(), ability.min()), max(ends.max(), ability.max())
    axes.set_ylim(low - 0.04 * (high - low), high + 0.04 * (high - low))
    off = int(np.sum(np.abs(data["difficulty"] - centre) > far))
    return f" ({off} off the scale)" if off else ""


def _item_feature(fit: Fit, name: str) -> pd.Series:
    """Return an item feature, in the order of the items."""
    design = fit.design
    groups = design.cells.groupby(design.cell_item)
    features = [
        str(column)
        for column in design.cells.columns
        if column not in (design.item, design.person, design.response)
        and len(design.cells[column].dropna().unique()) > 1
        and np.all(groups[column].nunique(dropna=False) == 1)
    ]
    if name not in features:
        known = f"there are {listing(features)}" if features else "there are none"
        raise ValueError(f"No item feature {name!r}; {known}.{nearest(name, features)}")
    first = np.unique(design.cell_item, return_index=True)[1]
    return design.cells[name].iloc[first].reset_index(drop=True)


def _draw_items(axes: Axes, data: pd.DataFrame, colour: str | None) -> None:
    """Draw difficulties and intervals, one column an item."""
    crowded = len(data) > CROWDED
    axes.vlines(data.index, data["lower"], data["upper"], color="0.75" if crowded else GREY,
                linewidth=0.5 if crowded else 0.8, zorder=2)  # fmt: skip
    axes.set_xlim(-0.8, len(data) - 0.2)
    axes.set_xticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    style: dict[str, Any] = {"s": 6.0 if crowded else 18.0, "linewidths": 0, "zorder": 3}
    if colour is None:
        axes.scatter(data.index, data["difficulty"], color=COLOURS[0], **style)
    else:
        _draw_feature(axes, data, colour, style)


def _draw_feature(axes: Axes, data: pd.DataFrame, colour: str, style: dict[str, Any]) -> None:
    """Draw difficulties coloured by a feature, with its legend, or a scale for many numbers."""
    import pandas as pd

    feature = data[colour]
    levels = pd.Categorical(feature).categories
    if len(levels) > len(COLOURS) and pd.api.types.is_numeric_dtype(feature):
        drawn = axes.scatter(data.index, data["difficulty"], c=feature, cmap="viridis", **style)
        axes.figure.colorbar(drawn, ax=axes, label=colour, location="top", aspect=40, shrink=0.6)
        return
    if len(levels) > len(COLOURS):
        raise ValueError(
            f"{colour!r} has {len(levels)} levels; colours tell {len(COLOURS)} apart at most."
        )
    shades = [((feature == level).to_numpy(), written(level)) for level in levels]
    looks = list(zip(COLOURS, MARKERS, strict=True))[: len(levels)]
    missing = feature.isna().to_numpy()
    if missing.any():
        shades.append((missing, "missing"))
        looks.append(("0.6", "x"))
    for (here, label), (shade, marker) in zip(shades, looks, strict=True):
        look: dict[str, Any] = style | {"linewidths": 1.0 if marker == "x" else 0}
        x, y = data.index[here], data["difficulty"][here]
        axes.scatter(x, y, color=shade, marker=marker, label=label, **look)
    axes.legend(title=colour, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(shades),
                handletextpad=0.2, columnspacing=1.2, alignment="left")  # fmt: skip


def _label_items(axes: Axes, data: pd.DataFrame, width: float) -> None:
    """Write names in the items' columns, on the side of the interval with more room.

    Names stand upright, unless the columns are wide enough for them to lie.
    """
    n = len(data)
    size = 7.0 if n <= 30 else 6.0
    column = 72 * width / n  # points
    names = data["item"].astype(str)
    if "threshold" in data.columns:
        names = names + "." + data["threshold"].astype(object).map(written)
    names = [shorten(name, 22) for name in names]
    lying = max(map(len, names)) * 0.7 * size < column
    step = 1 if lying else int(np.ceil(1.25 * size / column))
    low, high = axes.get_ylim()
    for place in range(step // 2, n, step):
        columns = slice(max(place - step // 2, 0), place + step // 2 + 1)
        bottom = max(data["lower"].iloc[columns].min(), low)
        top = min(data["upper"].iloc[columns].max(), high)
        above = high - top > bottom - low
        if max(high - top, bottom - low) <= 0:  # its interval leaves the axis at both ends
            continue
        axes.annotate(
            names[place],
            (place, top if above else bottom),
            (0, 3 if above else -3),
            textcoords="offset points",
            rotation=0 if lying else 90,
            ha="center",
            va="bottom" if above else "top",
            fontsize=size,
            gid="item",
        )
