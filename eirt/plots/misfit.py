"""What a model leaves over: of items, of random effects, of single responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt._config import double_precision
from eirt.diagnostics.residuals import residuals_at
from eirt.errors import DataError
from eirt.plots.base import COLOURS, GREY, MARKERS, Picture, drawing, predictor_unit
from eirt.plots.explained import known, predicted
from eirt.refits import item_level, with_free_items
from eirt.results import Fit
from eirt.scores.answers import answers_of
from eirt.scores.plausible import posterior_draws
from eirt.tables import QUANTILE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LEAST = 0.05  # of its variance that an effect has moved: less says nothing of its shape
BINS = 30
CROWDED = 60


def residuals(fit: Fit, free: Fit | None = None, seed: int = 0) -> Picture:
    """Draw what the model leaves over, in up to three panels.

    Items: easiness minus its prediction from features, against the prediction; a slope or curve
    says that a feature or its shape is missing. Effects: normal quantiles of the random effects,
    each divided by its own standard deviation over samples, sqrt(variance - sd^2); off the line
    they are not normal. Responses: the mean residual of responses in bins of what was expected of
    them, with limits of +-1.96 standard errors; off the line at one end says that the response
    function is wrong there (guessing, another link, other slopes). Expected is at abilities drawn
    from each person's posterior: about estimates, which shrink or overfit, even a true model's
    residuals would bend.

    Args:
        fit: a fit, crossed or not; panels that it has nothing for are left out.
        free: a fit of the same items with a free easiness each, for the first panel where `fit`
            has features and no residuals of items; refitted where it is None.
        seed: of the abilities that are drawn.

    Returns:
        The picture. Its data: panel ("items", "effects", "responses"), group (of effects), level,
        expected (prediction, normal quantile, mean expected response), residual (for effects: the
        standardised effect), lower, upper, n.

    Raises:
        DataError: if there is nothing to draw, or `free` lacks an item.

    Source: De Boeck & Wilson (2004), chapter 2, for items; Langford & Lewis (1998) and Snijders &
    Bosker (2012), chapter 10, for effects; Gelman & Hill (2007), section 5.6, for bins; Gelman et
    al. (2000) for residuals at draws.

    >>> import eirt
    >>> fit = eirt.lltm(eirt.load("verbagg"), "~ btype + situ + mode + (1 | item)", response="r2")
    >>> residuals(fit).data.groupby("panel").size().to_dict()
    {'effects': 340, 'items': 24, 'responses': 30}
    """
    import pandas as pd

    found = {
        "items": _of_items(fit, free),
        "effects": _of_effects(fit),
        "responses": _of_responses(fit, seed),
    }
    tables = {name: table for name, table in found.items() if table is not None}
    if not tables:
        raise DataError(
            f"{fit.name} has neither features of items, nor random effects, nor responses in "
            "ordered categories: there are no residuals to draw; see fit.predict()."
        )
    draw = {"items": _draw_items, "effects": _draw_effects, "responses": _draw_responses}
    with drawing(0.4 + 2.7 * len(tables), 2.9) as figure:
        every = figure.subplots(1, len(tables), squeeze=False).ravel()
        for axes, (name, table) in zip(every, tables.items(), strict=True):
            draw[name](axes, table, predictor_unit(fit))
    order = ["panel", "group", "level", "expected", "residual", "lower", "upper", "n"]
    parts = [table.assign(panel=name).reindex(columns=order) for name, table in tables.items()]
    whole = {name: [value for part in parts for value in part[name]] for name in order}
    return Picture(figure, pd.DataFrame(whole))


def _of_items(fit: Fit, free: Fit | None) -> pd.DataFrame | None:
    """Return residual easiness, with 95% limits; None without features of items."""
    design = fit.design
    if design.item is None or design.items_first or not _described(fit):
        return None
    if free is None and not any(item_level(design, term) for term in design.terms):
        free = with_free_items(fit)
    table = predicted(fit).merge(known(fit, free), on="item", how="left", validate="1:1")
    if table["easiness"].isna().any():
        missing = table.loc[table["easiness"].isna(), "item"].iloc[0]
        raise DataError(f"free= has no item {missing!r}; fit it to the same items.")
    residual, half = table["easiness"] - table["predicted"], QUANTILE * table["se"]
    return table[["item", "predicted"]].set_axis(["level", "expected"], axis=1).assign(
        group=design.item, residual=residual, lower=residual - half, upper=residual + half
    )  # fmt: skip


def _described(fit: Fit) -> bool:
    """Return whether features, not an easiness each, say how easy items are."""
    x = fit.design.x[:, [role == "item" for role in fit.design.roles]]
    first = np.unique(fit.design.cell_item, return_index=True)[1]
    rank = np.linalg.matrix_rank(np.column_stack([np.ones(len(first)), x[first]]))
    return 1 < rank < len(first)


def _of_effects(fit: Fit) -> pd.DataFrame | None:
    """Return the standardised random effects and normal quantiles; None where there are none."""
    import pandas as pd
    from scipy.special import ndtri

    if fit.likelihood.conditional or not fit.design.terms:
        return None
    tables = []
    for group in dict.fromkeys(term.group for term in fit.design.terms):
        for name, table in fit.effects(group).groupby("term", sort=False, observed=True):
            same = (fit.random["group"] == group) & (fit.random["term"] == name)
            variance = fit.random.loc[same, "variance"].iloc[0] if same.any() else np.nan
            moved = variance - table["sd"] ** 2
            z = (table["estimate"] / np.sqrt(moved.where(moved > LEAST * variance))).dropna()
            if z.empty:
                continue
            rank = z.rank(method="first").to_numpy()
            label = group if name == "(Intercept)" else f"{group}, {name}"
            tables.append(
                pd.DataFrame(
                    {
                        "group": label,
                        "level": table.loc[z.index, "level"],
                        "expected": ndtri((rank - 0.5) / len(z)),
                        "residual": z,
                    }
                ).sort_values("expected")
            )
    return pd.concat(tables, ignore_index=True) if tables else None


@double_precision
def _of_responses(fit: Fit, seed: int) -> pd.DataFrame | None:
    """Return mean residuals by what was expected; None unless responses are ordered."""
    import pandas as pd

    ordered = fit.model.response.kind in ("binary", "ordered") and fit.design.labels
    if not ordered or fit.design.item is None or fit.design.items_first or not fit.model.dimension:
        return None
    answers = answers_of(fit)
    found = residuals_at(fit, answers, next(posterior_draws(fit, answers, 1, seed)))
    here = found.present > 0
    expected = np.asarray(found.expected.mean)[here]
    bins = pd.qcut(expected, BINS, labels=False, duplicates="drop")
    table = pd.DataFrame(
        {
            "expected": expected,
            "residual": found.residual[here],
            "variance": np.asarray(found.expected.variance)[here],
        }
    ).groupby(bins)
    mean, n = table[["expected", "residual"]].mean(), table.size()
    half = QUANTILE * np.sqrt(table["variance"].mean() / n)
    return mean.assign(lower=-half, upper=half, n=n).reset_index(drop=True)


def _draw_items(axes: Axes, data: pd.DataFrame, unit: str) -> None:
    crowded = len(data) > CROWDED
    axes.axhline(0, color=GREY, linewidth=0.7, linestyle=(0, (4, 3)))
    axes.vlines(data["expected"], data["lower"], data["upper"], color="0.8",
                linewidth=0.5 if crowded else 1.0)  # fmt: skip
    axes.scatter(data["expected"], data["residual"], s=6 if crowded else 14, color=COLOURS[0],
                 linewidths=0, zorder=3)  # fmt: skip
    axes.set_xlabel(f"Easiness predicted from features ({unit})")
    axes.set_ylabel(f"Residual easiness ({unit}), 95% intervals")
    axes.set_title(f"{len(data)} items")


def _draw_effects(axes: Axes, data: pd.DataFrame, unit: str) -> None:
    axes.axline((0, 0), slope=1, color=GREY, linewidth=0.7, linestyle=(0, (4, 3)))
    for k, (group, own) in enumerate(data.groupby("group", sort=False)):
        axes.scatter(own["expected"], own["residual"], s=9, color=COLOURS[k % len(COLOURS)],
                     marker=MARKERS[k % len(MARKERS)], linewidths=0, alpha=0.8,
                     label=str(group))  # fmt: skip
    axes.legend(loc="upper left", handletextpad=0.1)
    axes.set_xlabel("Normal quantile")
    axes.set_ylabel("Standardised random effect")
    axes.set_title("Random effects")


def _draw_responses(axes: Axes, data: pd.DataFrame, unit: str) -> None:
    axes.axhline(0, color=GREY, linewidth=0.7, linestyle=(0, (4, 3)))
    axes.fill_between(data["expected"], data["lower"], data["upper"], color="0.9", linewidth=0)
    outside = data["residual"].abs() > data["upper"]
    for some, colour, marker in ((~outside, COLOURS[0], "o"), (outside, COLOURS[1], "D")):
        axes.scatter(data.loc[some, "expected"], data.loc[some, "residual"], s=14, color=colour,
                     marker=marker, linewidths=0, zorder=3)  # fmt: skip
    axes.set_xlabel("Expected response")
    axes.set_ylabel("Mean residual, with limits of ±1.96 se")
    axes.set_title(f"{int(outside.sum())} of {len(data)} bins outside")
