"""Person fit: whose responses contradict the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from eirt.diagnostics import person_fit
from eirt.errors import DataError, listing, nearest
from eirt.plots.base import COLOURS, GREY, Picture, drawing, name_points, shorten, unit, written
from eirt.results import Fit
from eirt.scores import persons as scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LABELS = {
    "lz_star": "lz* (negative: unlikely responses)",
    "lz": "lz (negative: unlikely responses)",
    "outfit": "Outfit (above 1: noisier than expected)",
    "infit": "Infit (above 1: noisier than expected)",
}
FEW = 20  # persons that can be named
CROWDED = 500
LOWEST = 0.2  # mean square that is drawn


def persons(
    fit: Fit, statistic: Literal["lz_star", "lz", "outfit", "infit"] = "lz_star"
) -> Picture:
    """Draw a statistic of person fit against ability, a point a person.

    Orange diamonds are persons whose responses contradict the model by lz*, at 5% after adjustment
    for how many persons there are. The most extreme 20 are named where there
    is room.

    Args:
        fit: a fit to binary or ordered responses with one ability.
        statistic: "lz_star", "lz", "outfit" or "infit"; see `eirt.diagnostics.person_fit`.

    Returns:
        The picture. Its data: the table of person fit with `ability` (WLE).

    Raises:
        ValueError: for an unknown statistic.
        DataError: if there are several abilities, or responses are not binary or ordered.

    Source: Snijders (2001); Meijer & Sijtsma (2001).

    >>> import eirt
    >>> data = persons(eirt.rasch(eirt.load("lsat7"), wide=True), "outfit").data
    >>> len(data), int((data["reading"] != "").sum())
    (1000, 0)
    """
    if statistic not in LABELS:
        raise ValueError(
            f"No statistic {statistic!r}; there are {listing(LABELS)}.{nearest(statistic, LABELS)}"
        )
    if fit.model.dimension != 1:
        raise DataError(
            f"This picture is about one ability; {fit.name} has {fit.model.dimension}: "
            "see fit.person_fit()."
        )
    data = person_fit(fit, "WLE").assign(ability=scores(fit, "WLE")["ability"].to_numpy())
    flagged = data["reading"] != ""
    with drawing(4.6, 3.6) as figure:
        axes = figure.subplots()
        usual = 1.0 if statistic.endswith("fit") else 0.0
        axes.axhline(usual, color=GREY, linewidth=0.7, linestyle=(0, (4, 3)))
        size = 5 if len(data) > CROWDED else 12
        for here, colour, marker, label in (
            (~flagged, COLOURS[0], "o", None),
            (flagged, COLOURS[1], "D", "contradict the model (lz*, 5% adjusted)"),
        ):
            some = data[here]
            axes.scatter(some["ability"], some[statistic], s=size, color=colour, marker=marker,
                         alpha=0.6 if marker == "o" else 1.0, linewidths=0, label=label,
                         zorder=3)  # fmt: skip
        if usual:
            _as_mean_squares(axes, data[statistic])
        axes.set_xlabel(f"Ability, WLE ({unit(fit)})")
        axes.set_ylabel(LABELS[statistic])
        axes.set_title(f"{int(flagged.sum())} of {len(data)} persons flagged")
        if flagged.any():
            axes.legend(loc="upper left", bbox_to_anchor=(0, -0.13), handletextpad=0.2)
            far = data[flagged].nsmallest(FEW, "lz_star")
            names = [shorten(written(name), 14) for name in far.iloc[:, 0]]
            name_points(figure, far[["ability", statistic]].to_numpy(), names)
    return Picture(figure, data)


def _as_mean_squares(axes: Axes, values: pd.Series) -> None:
    """Set an axis of ratios; all right and all wrong, close to zero, are off it."""
    axes.set_yscale("log", base=2)
    axes.set_ylim(max(0.9 * values.min(), LOWEST), 1.1 * values.max())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
