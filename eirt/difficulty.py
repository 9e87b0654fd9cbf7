"""Signs, scales and identification: from easiness and slope to difficulty and discrimination.

Inside, eta = slope . theta + easiness. Here that becomes a (theta - b), b = -easiness / slope,
and the origin and unit of theta are chosen by name. Estimates and covariance go together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._config import double_precision
from eirt._math import spread
from eirt.errors import DataError, listing, nearest
from eirt.model import Model
from eirt.responses import Response
from eirt.results import Fit
from eirt.tables import FARTHEST, wald

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Array, Float, Int

ORIGINS = ("ability", "items")
SCALES = ("model", "rasch", "standard")


class Calibration(NamedTuple):
    """Items on an ability scale with a stated origin and unit.

    Attributes:
        discrimination: a of each item.
        difficulty: b of each item.
        mean: mean of ability on this scale.
        sd: standard deviation of ability on this scale.
    """

    discrimination: Float[Array, " I"]
    difficulty: Float[Array, " I"]
    mean: Float[Array, ""]
    sd: Float[Array, ""]


def from_easiness(
    easiness: Float[Array, " I"], slope: Float[Array, " I"], sd: Float[Array, ""]
) -> Calibration:
    """Return a = slope, b = -easiness / slope, on the scale where ability has mean 0.

    >>> float(from_easiness(jnp.asarray([1.0]), jnp.asarray([2.0]), 1.0).difficulty[0])
    -0.5
    """
    return Calibration(slope, -easiness / slope, jnp.zeros(()), jnp.asarray(sd))


def to_easiness(items: Calibration) -> tuple[Float[Array, " I"], Float[Array, " I"]]:
    """Return easiness and slope on the scale where ability has mean 0; undoes `from_easiness`.

    >>> easiness, _ = to_easiness(from_easiness(jnp.asarray([1.0]), jnp.asarray([2.0]), 1.0))
    >>> float(easiness[0])
    1.0
    """
    return items.discrimination * (items.mean - items.difficulty), items.discrimination


def rescale(items: Calibration, unit: Float[Array, ""]) -> Calibration:
    """Return the same items on the scale theta / unit: a times unit, b divided by it."""
    return Calibration(
        items.discrimination * unit, items.difficulty / unit, items.mean / unit, items.sd / unit
    )


def shift(items: Calibration, origin: Float[Array, ""]) -> Calibration:
    """Return the same items on the scale theta - origin."""
    return items._replace(difficulty=items.difficulty - origin, mean=items.mean - origin)


def on_scale(items: Calibration, scale: str) -> Calibration:
    """Choose the unit: "model" as fitted, "standard" sd(theta) = 1, "rasch" mean slope 1."""
    if scale == "standard":
        return rescale(items, items.sd)
    if scale == "rasch":
        return rescale(items, 1.0 / jnp.mean(items.discrimination))
    return items


def identified(items: Calibration, origin: str, own: Int[Array, " own"]) -> Calibration:
    """Choose the origin: "ability" mean theta 0, "items" mean b 0, "item" mean b of `own` 0."""
    if origin == "ability":
        return shift(items, items.mean)
    if origin == "items":
        return shift(items, jnp.mean(items.difficulty))
    return shift(items, jnp.mean(items.difficulty[own]))


@double_precision
def difficulty(fit: Fit, identification: str | None = None, scale: str = "model") -> pd.DataFrame:
    """Return each item's difficulty and discrimination with delta-method standard errors.

        b = -easiness / slope,   a = slope;   b_c = (threshold_c - easiness) / slope

    Items with ordered categories have a row for each threshold: where P(y >= c) is one half
    (cumulative; sequential: of those who came so far), or where c and c - 1 are equally likely
    (adjacent).

    Args:
        fit: a fit with items.
        identification: the origin: "ability" (mean ability 0; of persons whose covariates are
            zero, where the model has covariates of persons), "items" (mean difficulty 0), or the
            name of an item (its difficulty 0). By default "ability", or "items" where the
            likelihood is conditional and knows no mean of ability.
        scale: the unit: "model" (as fitted: Rasch slopes 1, 1PL and 2PL sd(ability) 1),
            "standard" (sd of ability 1: a Rasch fit reads as 1PL), "rasch" (mean slope 1: a 1PL
            fit reads as Rasch).

    Returns:
        Columns item, threshold (the category reached, if there are several), discrimination,
        discrimination_se, difficulty, se, z, p, lower, upper; the frame's `attrs` hold the mean
        and sd of ability on that scale.

    Raises:
        ValueError: for an unknown identification or scale, slopes of several dimensions, or a
            scale of ability where the likelihood is conditional.

    Source: Embretson & Reise (2000), chapter 6; delta method: van der Vaart (1998), chapter 3.

    >>> import eirt
    >>> rasch = eirt.rasch(eirt.load("lsat7"), wide=True)
    >>> rasch.difficulty("items")["difficulty"].round(2).tolist()
    [-0.54, 0.54, -0.13, 0.81, -0.67]
    >>> round(rasch.difficulty(scale="standard")["discrimination"][0], 2)
    np.float64(1.01)
    """
    names = fit.design.items
    if identification is None:
        identification = "items" if fit.likelihood.conditional else "ability"
    if fit.likelihood.conditional and (identification == "ability" or scale == "standard"):
        raise ValueError(
            f"{fit.name} is conditional on scores: it knows neither mean nor sd of ability; choose "
            "identification='items' and scale='model', or likelihood=eirt.Quadrature()."
        )
    known = [*ORIGINS, *map(str, names)]
    if scale not in SCALES:
        raise ValueError(
            f"No scale {scale!r}; there are {', '.join(SCALES)}.{nearest(scale, SCALES)}"
        )
    if identification not in known:
        raise ValueError(
            f"No identification {identification!r}; there are {listing(known, 4)}."
            + nearest(identification, known)
        )
    if fit.model.dimension != 1:
        raise ValueError("Difficulties b = -easiness / slope need one ability dimension.")
    found = fit.item_parameters
    n = len(names)
    several = found.thresholds.shape[1] > 0
    item, step = np.nonzero(found.thresholds < FARTHEST) if several else (np.arange(n), None)
    if found.covariance is None:
        if (identification, scale) != ("ability", "model"):
            raise DataError(
                f"{fit.name} has too many items for a table of their covariance: difficulties have "
                "standard errors on the scale of the model alone, identification='ability' and "
                "scale='model'."
            )
        values, se = _of_single_items(fit, item, step)
    else:
        own = np.flatnonzero([str(name) == identification for name in names[item]])
        origin = identification if identification in ORIGINS else "item"
        values, se = _of_all_items(fit, origin, scale, item, step, own)
    rows = len(item)
    table = wald(values[:rows], se[:rows]).rename(columns={"estimate": "difficulty"})
    table.insert(0, "item", names[item])
    if step is not None:
        table.insert(1, "threshold", _reached(fit, item, step))
    table.insert(table.columns.get_loc("difficulty"), "discrimination", values[rows:-2])
    table.insert(table.columns.get_loc("difficulty"), "discrimination_se", se[rows:-2])
    table.attrs = {"ability_mean": float(values[-2]), "ability_sd": float(values[-1]),
                   "ability_sd_se": float(se[-1])}  # fmt: skip
    return table


def _of_all_items(
    fit: Fit, origin: str, scale: str, item: np.ndarray, step: np.ndarray | None, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `_mapped` does, and its standard errors."""
    found, (sd, sd_derivative) = fit.item_parameters, _ability_sd(fit)
    assert found.covariance is not None and found.derivative is not None
    # sd and items covary through the parameters: append the sd as one more quantity
    size = len(found.covariance)
    joint = np.zeros((size + 1, size + 1))
    joint[:-1, :-1] = found.covariance
    joint[-1, -1] = sd_derivative @ fit.free_covariance @ sd_derivative
    joint[-1, :-1] = joint[:-1, -1] = found.derivative @ fit.free_covariance @ sd_derivative
    parts = [found.easiness, found.slope, found.aux.ravel(), np.array([sd])]
    flat = jnp.asarray(np.concatenate(parts))
    mapped = _mapped(fit.model.response, origin, scale, flat, item, step, own)
    values, jacobian = (np.asarray(part) for part in mapped)
    return values, np.sqrt(np.maximum(spread(jacobian, joint), 0.0))


def _of_single_items(
    fit: Fit, item: np.ndarray, step: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same on the model's own scale, where items need not know of each other."""
    found = fit.item_parameters
    each = _each(fit.model.response, jnp.asarray(found.values[item]), step)
    value, slope = (np.asarray(part) for part in each)
    blocks = found.blocks[item]
    variance = np.einsum("ri,rij,rj->r", slope, blocks, slope)
    sd, derivative = _scale(fit.model, jnp.asarray(fit.full))
    places = np.flatnonzero(np.asarray(derivative))
    moved = np.asarray(derivative)[places]
    of_sd = moved @ fit.covariance_of(places[None])[0] @ moved
    values = np.concatenate([value, found.slope[item], [0.0, float(sd)]])
    return values, np.sqrt(np.concatenate([variance, blocks[:, 1, 1], [0.0, of_sd]]))


@compiled(0)
def _each(
    response: Response, rows: Float[Array, "rows q"], step: Int[Array, " rows"] | None
) -> tuple[Array, Array]:
    """Return the difficulty of each row, an item and a threshold, and its derivatives."""

    def one(own: Array, step: Array | None) -> Array:
        easiness = own[0] if step is None else own[0] - response.thresholds(own[2:])[step]
        return from_easiness(easiness, own[1], jnp.ones(())).difficulty

    return jax.vmap(jax.value_and_grad(one), (0, None if step is None else 0))(rows, step)


def ability_origin(fit: Fit) -> float:
    """Return what abilities exceed those of the predictor by.

    Zero, but where the likelihood is conditional: predictors have any origin there, and abilities
    that of `difficulty`, at the mean difficulty.
    """
    if not fit.likelihood.conditional or fit.design.item is None:
        return 0.0
    return float(difficulty(fit).attrs["ability_mean"])


@compiled(0, 1, 2, once=True)
def _mapped(
    response: Response,
    origin: str,
    scale: str,
    flat: Float[Array, " n"],
    item: Int[Array, " rows"],
    step: Int[Array, " rows"] | None,
    own: Int[Array, " own"],
) -> tuple[Array, Array]:
    """Return difficulties, discriminations, mean and sd of ability, and their derivatives.

    Args:
        response: the family.
        origin: which origin, of ORIGINS or "item".
        scale: which unit.
        flat: easinesses, slopes and extra parameters of items, and the sd of ability.
        item: item of each row.
        step: threshold of each row, if there are several.
        own: the rows whose mean difficulty is zero, where an item is the origin.
    """
    n = (flat.size - 1) // (2 + response.n_aux + len(response.given))

    def mapped(flat: Array) -> Array:
        easiness, slope, aux = flat[:n][item], flat[n : 2 * n][item], flat[2 * n : -1]
        if step is not None:
            thresholds = jax.vmap(response.thresholds)(aux.reshape(n, -1))
            easiness = easiness - thresholds[item, step]
        items = from_easiness(easiness, slope, flat[-1])
        items = identified(on_scale(items, scale), origin, own)
        return jnp.concatenate([items.difficulty, items.discrimination, items.mean[None],
                                items.sd[None]])  # fmt: skip

    return mapped(flat), jax.jacfwd(mapped)(flat)


def _reached(fit: Fit, item: np.ndarray, step: np.ndarray) -> list[object]:
    """Return what each threshold leads to: a category, or its number where families differ."""
    if not fit.design.labels:
        return list(step + 1)
    labels = [fit.design.labels_of(name) for name in fit.design.items]
    return [labels[i][k + 1] for i, k in zip(item, step, strict=True)]


def _ability_sd(fit: Fit) -> tuple[float, np.ndarray]:
    """Return sd(theta) as fitted and its derivative in the free parameters."""
    sd, derivative = _scale(fit.model, jnp.asarray(fit.full))
    return float(sd), np.asarray(derivative) @ fit.select


@compiled(0, once=True)
def _scale(model: Model, full: Array) -> tuple[Array, Array]:
    """Return the sd of the first dimension of ability and its derivative."""
    return jax.value_and_grad(lambda at: model.local_factor(model.unpack(at))[0, 0])(full)
