"""Item characteristic curves, with the averages that they should follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from eirt._config import double_precision
from eirt.difficulty import ability_origin
from eirt.plots.base import COLOURS, Picture, unit, written
from eirt.plots.panels import abilities, choose, draw_panels
from eirt.responses.base import ABSENT
from eirt.results import Fit
from eirt.tables import LEVEL

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Array, Float
    from matplotlib.axes import Axes

RELIABLE = 0.7
TINY = 1e-12  # from 0 and 1, where a logit still has digits


def icc(fit: Fit, items: Sequence[str] | None = None, points: bool = True) -> Picture:
    """Draw item characteristic curves, a panel an item, from the easiest to the hardest.

        E(y | theta) = sum_c c P(y = c | theta);   binary: P(y = 1) = F(slope theta + easiness)

    Bands are 95% pointwise, by the delta method on the logit of E(y | theta) as a share of the
    highest score. Points are averages in about ten equal groups of persons by estimated ability
    (EAP). On a short test that estimate is shrunken and depends on the item itself: points stray
    even from a true curve.

    Args:
        fit: a fit of binary, ordered or nominal responses with items and one ability dimension.
        items: names of the items to draw, in this order; by default all, or 30 spread evenly over
            the order of difficulty.
        points: whether to draw the averages.

    Returns:
        The picture. Its data: item, theta, probability (several categories: score), lower, upper;
        the frame's `attrs["points"]` holds item, theta, proportion (or mean) and n of each point.

    Raises:
        ValueError: if responses are not categories, or an item is unknown.

    Source: Lord (1980); Hambleton, Swaminathan & Rogers (1991), chapter 4, for the points;
    Muraki (1993) for expected scores.
    """
    import pandas as pd

    response, design = fit.model.response, fit.design
    if not design.labels:
        raise ValueError(
            "Item characteristic curves need responses in categories; these are "
            f"{type(response).__name__}."
        )
    chosen, note = choose(fit, items)
    persons = fit.persons()
    ability = persons["ability"].to_numpy()
    theta = abilities(fit, ability)
    binary = response.kind == "binary"
    expected, lower, upper = _curves(fit, chosen, theta)
    data = pd.DataFrame(
        {
            "item": np.repeat(design.items[chosen], len(theta)),
            "theta": np.tile(theta, len(chosen)),
            "probability" if binary else "score": expected.ravel(),
            "lower": lower.ravel(),
            "upper": upper.ravel(),
        }
    )
    found = None
    if points:
        found = _points(fit, chosen, ability, "proportion" if binary else "mean")
        data.attrs["points"] = found.to_dict("list")
        note = _about_points(persons.attrs["reliability"], binary) + note
    highest = len(design.labels) - 1

    def draw(axes: Axes, name: str) -> None:
        here = None if found is None else found.loc[found["item"] == name]
        _draw_curve(axes, data.loc[data["item"] == name], here, highest)

    labels = f"Ability ({unit(fit)})", _expectation(design.response, design.labels)
    names = list(design.items[chosen])
    return Picture(draw_panels(names, draw, labels, "Bands: 95% pointwise. " + note), data)


def _expectation(response: str, labels: Sequence[object]) -> str:
    """Name what curves show: the probability of a 1, or the mean of codes from 0."""
    if len(labels) == 2:
        return f"P({response} = {written(labels[1])})"
    codes = range(len(labels))
    if list(labels) == list(codes):
        return f"Expected {response}"
    return f"Expected {response} ({written(labels[0])} = 0 ... {written(labels[-1])} = {codes[-1]})"


@double_precision
def _curves(fit: Fit, chosen: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the expected score, lower and upper limit, items x abilities."""
    from scipy.special import expit, ndtri

    found, response, theta = fit.item_parameters, fit.model.response, theta - ability_origin(fit)
    values = found.values[chosen]
    codes = jnp.arange(float(len(fit.design.labels)))
    likely = jax.vmap(jax.vmap(response.log_prob, (0, None, None)), (None, None, 0))
    there = np.asarray(likely(codes, jnp.zeros(()), jnp.asarray(found.aux[chosen]))) > ABSENT / 2
    highest = (there * np.asarray(codes)).max(axis=1)

    def position(own: Float[Array, " k"], top: Array, at: Array) -> Array:
        share = jnp.clip(response.mean(own[0] + own[1] * at, own[2:]) / top, TINY, 1 - TINY)
        return jnp.log(share) - jnp.log1p(-share)

    both = jax.vmap(jax.vmap(jax.value_and_grad(position), (None, None, 0)), (0, 0, None))
    centre, slope = map(np.asarray, both(*map(jnp.asarray, (values, highest, theta))))
    variance = np.einsum("itk,ikl,itl->it", slope, found.blocks[chosen], slope)
    half = ndtri((1 + LEVEL) / 2) * np.sqrt(np.maximum(variance, 0.0))
    return tuple(highest[:, None] * expit(at) for at in (centre, centre - half, centre + half))


def _points(fit: Fit, chosen: np.ndarray, ability: np.ndarray, name: str) -> pd.DataFrame:
    """Return the average response per item and group of persons; ties stay together."""
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
    found = observed.groupby(["item", "group"]).agg(
        theta=("theta", "mean"), **{name: ("y", "mean")}, n=("y", "size")
    )
    return found.reset_index().drop(columns="group")


def _about_points(reliability: float, binary: bool) -> str:
    """Return the footnote on points, with a caution where ability is poorly known."""
    what = "proportions" if binary else "averages"
    said = f"Points: {what} in groups of similar estimated ability, area by size. "
    if reliability < RELIABLE:
        said += f"Reliability {reliability:.2f}: points stray even from a true curve. "
    return said


def _draw_curve(axes: Axes, data: pd.DataFrame, points: pd.DataFrame | None, highest: int) -> None:
    expected = data.iloc[:, 2]
    axes.fill_between(
        data["theta"], data["lower"], data["upper"], color=COLOURS[0], alpha=0.2, linewidth=0
    )
    axes.plot(data["theta"], expected, color=COLOURS[0], linewidth=1.1)
    if points is not None:
        area = 10 * points["n"] / points["n"].mean()
        axes.scatter(points["theta"], points.iloc[:, 2], area, "black", linewidths=0, zorder=3)
    axes.set_ylim(-0.03 * highest, 1.03 * highest)
    if highest == 1:
        axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    else:
        axes.set_yticks(range(0, highest + 1, 1 + highest // 6))
