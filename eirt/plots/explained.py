"""What features predict of items against how easy the items are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt.errors import DataError
from eirt.plots.base import COLOURS, GREY, Picture, drawing, name_points, predictor_unit, shorten
from eirt.refits import item_level
from eirt.results import Fit
from eirt.tables import QUANTILE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FEW = 8  # items named, those farthest from their prediction
CROWDED = 60


def features(fit: Fit, free: Fit | None = None) -> Picture:
    """Draw the easiness of each item against what its features predict, with residuals as bars.

    On the diagonal features explain an item perfectly. Of a model with residuals the easinesses
    are its own, shrunken towards the prediction; of one without, those of a fit with free items.

    Args:
        fit: a fit whose items are described by features.
        free: a fit of the same items with a free easiness each, on the same scale; needed where
            `fit` has no residuals of items. `eirt.rasch` gives it for an LLTM.

    Returns:
        The picture. Its data: item, predicted, easiness, se, residual, lower and upper (95% limits
        of easiness).

    Raises:
        DataError: if items have no features, or neither residuals nor `free` tell their easiness,
            or `free` lacks an item.

    Source: De Boeck & Wilson (2004), chapter 2.

    >>> import eirt
    >>> fit = eirt.lltm(eirt.load("verbagg"), "~ btype + situ + mode + (1 | item)", response="r2")
    >>> features(fit).data[["item", "predicted", "easiness", "residual"]].round(1).head(2)
              item  predicted  easiness  residual
    0  S1WantCurse        1.8       1.3      -0.5
    1  S1WantScold        0.7       0.6      -0.1
    """
    data = predicted(fit).merge(known(fit, free), on="item", how="left", validate="1:1")
    if data["easiness"].isna().any():
        missing = data.loc[data["easiness"].isna(), "item"].iloc[0]
        raise DataError(f"free= has no item {missing!r}; fit it to the same items.")
    half = QUANTILE * data["se"]
    data["residual"] = data["easiness"] - data["predicted"]
    data["lower"], data["upper"] = data["easiness"] - half, data["easiness"] + half
    with drawing(4.4, 4.2) as figure:
        axes = figure.subplots()
        _draw(axes, data)
        unit, rms = predictor_unit(fit), np.sqrt(np.mean(data["residual"] ** 2))
        axes.set_xlabel(f"Easiness predicted from features ({unit})")
        axes.set_ylabel(f"Easiness ({unit}), with 95% interval")
        axes.set_title(f"{len(data)} items, root mean squared residual {rms:.2f}")
        far = data.loc[data["residual"].abs().nlargest(FEW).index]
        names = [shorten(str(item), 18) for item in far["item"]]
        name_points(figure, far[["predicted", "easiness"]].to_numpy(), names)
    return Picture(figure, data)


def predicted(fit: Fit) -> pd.DataFrame:
    """Return what features predict of the items of the fit."""
    design = fit.design
    fit.require_items(first=False)
    first = np.unique(design.cell_item, return_index=True)[1]
    frame = design.cells.iloc[first].reset_index(drop=True)
    table = fit.predict_items(frame, interval="normal")
    return table[["item", "easiness"]].rename(columns={"easiness": "predicted"})


def known(fit: Fit, free: Fit | None) -> pd.DataFrame:
    """Return how easy items are: of the free fit, or of the fit's own residuals."""
    if free is not None:
        return free.items[["item", "easiness", "se"]]
    if not any(item_level(fit.design, term) for term in fit.design.terms):
        raise DataError(
            f"{fit.name} has no residuals of items: add '+ (1 | {fit.design.item})' to the "
            "features, or give a fit with free items, free=eirt.rasch(...)."
        )
    return fit.items[["item", "easiness", "se"]]


def _draw(axes: Axes, data: pd.DataFrame) -> None:
    """Draw residuals from the diagonal, and intervals."""
    axes.axline((0, 0), slope=1, color=GREY, linewidth=0.7, linestyle=(0, (4, 3)))
    crowded = len(data) > CROWDED
    axes.vlines(data["predicted"], data["lower"], data["upper"], color="0.8",
                linewidth=0.5 if crowded else 1.0)  # fmt: skip
    axes.vlines(data["predicted"], data["predicted"], data["easiness"], color=COLOURS[1],
                linewidth=0.7 if crowded else 1.2, zorder=2)  # fmt: skip
    axes.scatter(data["predicted"], data["easiness"], s=7 if crowded else 16, color=COLOURS[0],
                 linewidths=0, zorder=3)  # fmt: skip
