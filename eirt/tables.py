"""From estimates and their covariance to tables: Wald tests, variances, effects, items."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._compiled import compiled
from eirt._config import double_precision
from eirt.components import thetas
from eirt.design import Design
from eirt.effects import EASINESS, Linear
from eirt.errors import DataError
from eirt.factors import constant_within
from eirt.likelihood.incidence import person_data
from eirt.likelihood.local import localised
from eirt.model import Cell, Model, Standing, cell_data
from eirt.separable import Separable
from eirt.terms import Term

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

    from eirt.results import Fit

LEVEL = 0.95
QUANTILE = 1.959963984540054  # of the normal distribution at (1 + LEVEL) / 2
FARTHEST = 1e5  # threshold of a category that there is


class ItemParameters(NamedTuple):
    """Easiness, slope and extra parameters of every item, with their joint covariance.

    Attributes:
        easiness: the predictor of a person of average ability (all covariates of persons zero).
        slope: discrimination with respect to the first dimension of ability.
        aux: extra parameters of the response, as its density reads them.
        thresholds: what the predictor must outweigh to reach each higher category; beyond FARTHEST
            where the item does not have it.
        blocks: covariance of easiness, slope and extra parameters of each item.
        covariance: of all easinesses, then all slopes, then the extra parameters of each item; None
            where items are too many for a table.
        derivative: of all in the free parameters; None there, too.
    """

    easiness: Float[np.ndarray, " I"]
    slope: Float[np.ndarray, " I"]
    aux: Float[np.ndarray, "I n_aux"]
    thresholds: Float[np.ndarray, "I K"]
    blocks: Float[np.ndarray, "I q q"]
    covariance: Float[np.ndarray, "n n"] | None
    derivative: Float[np.ndarray, "n F"] | None

    @property
    def values(self) -> Float[np.ndarray, "I q"]:
        """Easiness, slope and extra parameters of each item, as `blocks` has them."""
        return np.concatenate([self.easiness[:, None], self.slope[:, None], self.aux], axis=1)


def quantile(level: float) -> float:
    """Return where the normal distribution reaches (1 + level) / 2.

    >>> round(quantile(0.95), 4)
    1.96
    """
    if level == LEVEL:
        return QUANTILE
    from statistics import NormalDist

    return NormalDist().inv_cdf((1 + level) / 2)


def wald(estimate: np.ndarray, se: np.ndarray, level: float = LEVEL) -> pd.DataFrame:
    """Return estimate, se, z, p (two-sided) and limits, 95% by default.

    >>> wald(np.array([1.96]), np.array([1.0])).round(3)["p"][0]
    np.float64(0.05)
    """
    import pandas as pd

    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(se == 0, np.nan, estimate / se)  # fixed at a value: nothing to test
    half = quantile(level) * se
    return pd.DataFrame(
        {
            "estimate": estimate,
            "se": se,
            "z": z,
            "p": [math.erfc(abs(each) / math.sqrt(2)) for each in z],
            "lower": estimate - half,
            "upper": estimate + half,
        }
    )


def explained_places(fit: Fit) -> list[np.ndarray]:
    """Return where the coefficients stand of what formulas explain besides easiness.

    Slopes of single items, or one for all, are parameters of items instead.
    """
    place = sum(fit.model.sizes[: 1 + len(fit.model.effects)])
    slopes = {t: e.slope for e in fit.model.effects if e.local for t in e.targets}
    prefix = f"{fit.design.item}["
    found = []
    for part in fit.design.parts:
        each = [column == "(Intercept)" or column.startswith(prefix) for column in part.columns]
        if not (isinstance(slopes.get(part.target), Linear) and all(each)):
            found.append(np.arange(place, place + len(part.names)))
        place += len(part.names)
    return found


def effect_factors(fit: Fit) -> list[np.ndarray]:
    """Return Lambda of each effect at the estimates."""
    return [
        np.asarray(effect.covariance.factor(jnp.asarray(fit.full[places])))
        for effect, places in zip(fit.model.effects, thetas(fit), strict=True)
    ]


@double_precision
def local_factor(fit: Fit) -> Float[np.ndarray, "D D"]:
    """Return Lambda of all effects of persons, the local group."""
    return np.asarray(fit.model.local_factor(fit.model.unpack(jnp.asarray(fit.full))))


def require_abilities(fit: Fit, lacking: str) -> None:
    """Refuse fits that are conditional on scores, which know nothing of how abilities vary.

    Args:
        fit: the fit.
        lacking: what abilities do not have, and what it is for.

    Raises:
        DataError: if the likelihood is conditional.
    """
    if fit.likelihood.conditional:
        raise DataError(
            f"{fit.name} is conditional on scores: abilities have no {lacking}; refit without "
            "likelihood=eirt.Conditional()."
        )


@double_precision
def standings(fit: Fit) -> Standing:
    """Return what covariates predict of each person's abilities, stacked."""
    params = fit.model.unpack(jnp.asarray(fit.full))
    gamma = params.beta[fit.design.person_columns]
    people = person_data(fit.design)
    return jax.vmap(lambda person: fit.model.standing(params, gamma, person))(people)


@double_precision
def random_effects(fit: Fit, group: str) -> list[pd.DataFrame]:
    """Return a table of random effects for each term of a group."""
    start = 0
    tables = []
    for term, factor in zip(fit.design.terms, effect_factors(fit), strict=True):
        q = len(term.effects)
        if term.local:
            mean = fit.moments.mean[:, start : start + q]
            covariance = fit.moments.covariance[:, start : start + q, start : start + q]
            start += q
        else:
            offset = fit.global_place(term)
            places = offset + np.arange(len(term.levels) * q).reshape(-1, q)
            mean = fit.moments.others[places]
            covariance = fit.moments.others_covariance[places[:, :, None], places[:, None, :]]
        if term.group == group:
            tables.append(_effect_table(term, mean, covariance, factor))
    return tables


def _effect_table(
    term: Term, mean: np.ndarray, covariance: np.ndarray, factor: np.ndarray
) -> pd.DataFrame:
    import pandas as pd

    sd = np.sqrt(np.einsum("ij,njk,ik->ni", factor, covariance, factor))
    return pd.DataFrame(
        {
            "level": np.repeat(term.levels, len(term.effects)),
            "term": np.tile(np.asarray(term.effects, object), len(term.levels)),
            "estimate": (mean @ factor.T).ravel(),
            "sd": sd.ravel(),
        }
    )


@double_precision
def item_parameters(fit: Fit) -> ItemParameters:
    """Return easiness, slope and extra parameters of every item with their joint covariance.

    Random residuals of items are at their modes.
    """
    own = _of_single_items(fit) if isinstance(fit.information, Separable) else None
    values, blocks, derivative, covariance = own or _of_all_items(fit)
    thresholds = np.asarray(jax.vmap(fit.model.response.thresholds)(jnp.asarray(values[:, 2:])))
    parts = values[:, 0], values[:, 1], values[:, 2:], thresholds
    return ItemParameters(*parts, blocks, covariance, derivative)


def _of_all_items(fit: Fit) -> tuple[np.ndarray, ...]:
    """Return easiness, slope and extra parameters by item, and how they vary, all together."""
    items, others = _item_cells(fit), fit.moments.others if fit.model.n_global else np.zeros(0)
    found = _described(fit.model, jnp.asarray(fit.full), jnp.asarray(others), items)
    values, by_full, by_others = (np.asarray(part) for part in found)
    n, q = values.shape
    # all easinesses, all slopes, then the rest item by item
    places = np.arange(n * q).reshape(n, q)
    order = np.concatenate([places[:, 0], places[:, 1], places[:, 2:].ravel()])
    by_full, by_others = (part.reshape(n * q, -1)[order] for part in (by_full, by_others))
    derivative, covariance = propagate(fit, by_full, by_others)
    back = np.argsort(order)[places]
    return values, covariance[back[:, :, None], back[:, None, :]], derivative, covariance


def _of_single_items(fit: Fit) -> tuple:
    """Return the same where each item has parameters of its own: nothing is known of pairs."""
    local = localised(fit.model, fit.design)
    assert local is not None
    order = np.argsort(fit.design.cell_item)  # a cell per item, in the order of the data
    places, cells = local.places[order], jax.tree.map(lambda leaf: leaf[order], local.cells)
    found = _each_described(local.model, jnp.asarray(fit.full[places]), cells)
    values, moving = (np.asarray(part) for part in found)
    return values, moving @ fit.covariance_of(places) @ moving.swapaxes(1, 2), None, None


@compiled(0, once=True)
def _described(model: Model, full: jax.Array, u: jax.Array, items: Cell) -> tuple[jax.Array, ...]:
    """Return what is told of items, and its derivatives in parameters and global effects."""

    def described(full: jax.Array, u: jax.Array) -> jax.Array:
        own = u[items.places] if u.size else jnp.zeros(items.places.shape)
        return jax.vmap(functools.partial(_of_item, model, full))(items, own)

    return described(full, u), *jax.jacfwd(described, (0, 1))(full, u)


@compiled(0)
def _each_described(model: Model, values: jax.Array, items: Cell) -> tuple[jax.Array, jax.Array]:
    """Return the same of items that have parameters of their own, and derivatives in these."""

    def described(values: jax.Array, item: Cell) -> jax.Array:
        return _of_item(model, values, item, jnp.zeros(item.places.shape))

    return jax.vmap(described)(values, items), jax.vmap(jax.jacfwd(described))(values, items)


def _of_item(model: Model, full: jax.Array, cell: Cell, own: jax.Array) -> jax.Array:
    """Return easiness, slope and extra parameters of ONE item."""
    params = model.unpack(full)
    found = model.predictors(params, cell, own)
    steep = model.slopes(found)
    both = jnp.stack([found[EASINESS], steep[0] if steep.size else jnp.ones(())])
    return jnp.concatenate([both, model.cell_parameters(params, cell, own).aux])


@double_precision
def propagate(
    fit: Fit, jacobian: Float[np.ndarray, "n P"], by_others: Float[np.ndarray, "n U"]
) -> tuple[Float[np.ndarray, "n F"], Float[np.ndarray, "n n"]]:
    """Return what follows for functions of the parameters and of the global random effects.

    Modes of random effects move with the parameters: the covariance adds that derivative (by
    differences) and the effects' own posterior covariance.

    Args:
        fit: the fit.
        jacobian: derivatives of the functions in the full parameter vector.
        by_others: derivatives in the global effects.

    Returns:
        Derivatives in the free parameters, and the covariance.

    Source: van der Vaart (1998), chapter 3; Kass & Steffey (1989) for the effects.
    """
    derivative = jacobian @ fit.select
    extra = 0.0
    if np.any(by_others):
        moving = difference(lambda psi: fit.objective.moments(psi).others, fit.psi)
        derivative = derivative + by_others @ moving
        extra = by_others @ fit.moments.others_covariance @ by_others.T
    return derivative, derivative @ fit.free_covariance @ derivative.T + extra


def _item_cells(fit: Fit) -> Cell:
    """Return a cell per item that keeps only what describes items."""
    design = fit.design
    member = fit.model.response.member_of(*design.given.T)
    if len(fit.model.response.members) > 1 and not constant_within(member, design.cell_item):
        raise ValueError(
            "Items have responses of several families, and no one easiness; see fit.fixed and "
            "fit.effects(item)."
        )
    first = np.unique(design.cell_item, return_index=True)[1]
    cells = jax.tree.map(lambda leaf: leaf[first], cell_data(design))
    about_items = np.array([role == "item" for role in design.roles], bool)
    x = cells.x if about_items.all() else np.asarray(cells.x) * about_items
    z = tuple(z * of_items(design, term) for z, term in zip(cells.z, design.terms, strict=True))
    return cells._replace(x=x, z=z)


def of_items(design: Design, term: Term) -> np.ndarray:
    """Return one for each effect of a term that describes items, zero for the others."""
    same = [constant_within(column, design.cell_item) for column in term.z.T]
    if term.index is not None and not constant_within(term.index, design.cell_item):
        return np.zeros(len(same))
    return np.array(same, float)


def difference(
    function: Callable[[np.ndarray], np.ndarray],
    psi: np.ndarray,
    step: float | Float[np.ndarray, " F"] = 1e-5,
) -> np.ndarray:
    """Return the Jacobian of a function by central differences."""
    shifts = np.diag(np.broadcast_to(step, psi.shape))
    columns = [(function(psi + h) - function(psi - h)) / (2 * h.max()) for h in shifts]
    return np.stack(columns, axis=1)
