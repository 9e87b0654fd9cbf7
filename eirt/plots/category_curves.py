"""Category characteristic curves: how likely each response is at each ability."""

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
from eirt.results import Fit

if TYPE_CHECKING:
    from jaxtyping import Array
    from matplotlib.axes import Axes


def categories(fit: Fit, items: Sequence[str] | None = None) -> Picture:
    """Draw P(y = c | theta) of every category, a panel an item, from the easiest to the hardest.

    Args:
        fit: a fit of binary, ordered or nominal responses with items and one ability dimension.
        items: names of the items to draw, in this order; by default all, or 30 spread evenly over
            the order of difficulty.

    Returns:
        The picture. Its data: item, category, theta, probability; categories that an item does not
        have are left out.

    Raises:
        ValueError: if responses are not categories, or an item is unknown.

    Source: Samejima (1969); Bock (1972).

    >>> import eirt
    >>> data = categories(eirt.grm(eirt.load("verbagg")), items="S1DoCurse").data
    >>> data.groupby("theta")["probability"].sum().round(9).unique()
    array([1.])
    """
    import pandas as pd

    design, family = fit.design, type(fit.model.response).__name__
    if not design.labels:
        raise ValueError(f"Category curves need responses in categories; these are {family}.")
    chosen, note = choose(fit, items)
    theta = abilities(fit, fit.persons()["ability"].to_numpy())
    probability = _probabilities(fit, chosen, theta)
    frames = [
        pd.DataFrame({"item": item, "category": label, "theta": theta, "probability": values})
        for item, rows in zip(design.items[chosen], probability, strict=True)
        for label, values in zip(design.labels_of(item), rows, strict=False)
        if values.any()
    ]
    data = pd.concat(frames, ignore_index=True)
    names = [written(label) for label in design.labels]
    colours = dict(zip(names, _colours(len(names)), strict=True))

    def draw(axes: Axes, name: str) -> None:
        for label, rows in data[data["item"] == name].groupby("category", sort=False):
            axes.plot(rows["theta"], rows["probability"], color=colours[written(label)])
        axes.set_ylim(-0.03, 1.03)
        axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])

    labels = f"Ability ({unit(fit)})", f"P({design.response} = category)"
    return Picture(draw_panels(list(design.items[chosen]), draw, labels, note, colours), data)


@double_precision
def _probabilities(fit: Fit, chosen: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Return probabilities, items x categories x abilities."""
    found, log_prob = fit.item_parameters, fit.model.response.log_prob
    eta = found.easiness[chosen, None] + found.slope[chosen, None] * (theta - ability_origin(fit))
    codes = jnp.arange(float(len(fit.design.labels)))

    def one(eta: Array, aux: Array) -> Array:
        return jax.vmap(jax.vmap(log_prob, (None, 0, None)), (0, None, None))(codes, eta, aux)

    return np.exp(np.asarray(jax.vmap(one)(jnp.asarray(eta), jnp.asarray(found.aux[chosen]))))


def _colours(n: int) -> list[str]:
    """Return a colour for each category; beyond seven, shades in their order."""
    if n <= len(COLOURS):
        return list(COLOURS[:n])
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(shade) for shade in colormaps["viridis"](np.linspace(0, 0.95, n))]
