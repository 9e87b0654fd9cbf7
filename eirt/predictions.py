"""Predictions at the data or at new rows, and what each feature does on every scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from eirt._config import double_precision
from eirt._math import gauss_hermite_grid
from eirt.design import Term
from eirt.effects import Unit
from eirt.factors import factor_codes
from eirt.formula import model_columns, require_variables, variables
from eirt.frames import to_pandas
from eirt.results import Fit
from eirt.tables import effect_factors

if TYPE_CHECKING:
    import pandas as pd

SCALES = ("probability", "response", "logit", "link", "odds")


@double_precision
def predict(
    fit: Fit, new: Any = None, scale: str = "probability", effects: str = "conditional"
) -> np.ndarray:
    """Return predicted responses.

        conditional: F(x'beta + z'b^),   average: integral of F(x'beta + z'b) over b ~ N(0, Sigma)

    Args:
        fit: the fit.
        new: a frame with the columns of the formula (default: the data, in their order). Levels
            that the fit has not seen get an effect of zero.
        scale: "probability" or "response" (the expected response), "link" or "logit" (the linear
            predictor), "odds" (its exponential).
        effects: "conditional" on the estimated random effects, "average" over their distribution,
            "zero" for a person and item whose effects are zero.

    Returns:
        One value per row.

    Raises:
        ValueError: for an unknown scale or effects.
        FormulaError: if `new` lacks a column.

    Source: Zeger, Liang & Albert (1988) for population-averaged predictions.

    >>> import eirt
    >>> fit = eirt.eirm(eirt.load("verbagg"), "r2 ~ mode + (1 | id)")
    >>> import pandas as pd
    >>> fit.predict(pd.DataFrame({"mode": ["want", "do"]}), effects="average").round(2)
    array([0.53, 0.42])
    """
    if scale not in SCALES:
        raise ValueError(f"No scale {scale!r}; there are {', '.join(SCALES)}.")
    if effects not in ("conditional", "average", "zero"):
        raise ValueError(f"No effects {effects!r}; there are 'conditional', 'average', 'zero'.")
    rows = _rows(fit, new, grouped=effects == "conditional")
    x, about_persons = rows["x"], fit.design.person_columns
    predictor = x[:, about_persons] @ fit.full[about_persons]
    eta = x @ fit.full[: fit.model.n_fixed] - predictor
    variance = np.zeros(len(eta))
    tables = _effects_by_term(fit)
    for k, (term, factor) in enumerate(zip(fit.design.terms, effect_factors(fit), strict=True)):
        loading = rows["z"][k] * _slopes(fit, k, rows["item"], term)
        if term.local and "(Intercept)" in term.effects:
            eta = eta + loading[:, term.effects.index("(Intercept)")] * predictor
        if effects == "conditional":
            level = rows["level"][k]
            known = np.where(level[:, None] >= 0, tables[k][level], 0.0)
            eta = eta + np.sum(loading * known, axis=1)
        elif effects == "average":
            variance = variance + np.sum((loading @ factor) ** 2, axis=1)
    if scale in ("link", "logit"):
        return eta
    if scale == "odds":
        return np.exp(eta)
    return np.asarray(_mean(fit, eta, variance, rows["item"]))


def _mean(fit: Fit, eta: np.ndarray, variance: np.ndarray, item: np.ndarray) -> jax.Array:
    """Return E(y), averaged over a normal predictor with the given variance."""
    grid = gauss_hermite_grid(41 if variance.any() else 1)
    sets = fit.model.unpack(jnp.asarray(fit.full)).aux
    aux = jax.vmap(fit.model.response.constrain)(sets)
    aux = aux[item] if fit.model.aux_by_item else jnp.broadcast_to(aux[0], (len(eta), aux.shape[1]))
    at = eta[:, None] + np.sqrt(variance)[:, None] * grid.nodes[:, 0]
    means = jax.vmap(jax.vmap(fit.model.response.mean, (0, None)))(jnp.asarray(at), aux)
    return means @ jnp.exp(grid.log_weights)


def _rows(fit: Fit, new: Any, grouped: bool) -> dict[str, Any]:
    """Return design rows, levels of each term and item number, at the data or at new rows.

    Grouping factors are asked for only where their estimated effects are used.
    """
    design = fit.design
    if new is None:
        cell = design.obs_cell
        return {
            "x": design.x_of(np.arange(design.n_obs)),
            "z": [term.z[cell] for term in design.terms],
            "level": [
                design.obs_person if term.index is None else term.index[cell]
                for term in design.terms
            ],
            "item": design.cell_item[cell],
        }
    frame = to_pandas(new)
    needed = [name for term in design.terms for name in variables(term.source.effects)]
    require_variables(frame, [*variables(design.formula.fixed), *needed])
    if grouped:
        require_variables(frame, design.columns)
    item = np.zeros(len(frame), int)
    if design.item is not None and design.item in frame.columns:
        item = np.maximum(_codes(frame, [design.item], design.items), 0)
    return {
        "x": model_columns(design.spec, frame, design.x_names),
        "z": [model_columns(term.spec, frame, term.effects) for term in design.terms],
        "level": [
            _codes(frame, term.source.group, term.levels) if grouped else np.zeros(0, int)
            for term in design.terms
        ],
        "item": item,
    }


def _codes(frame: pd.DataFrame, columns: Any, levels: np.ndarray) -> np.ndarray:
    """Return the place of each row's level among known ones, -1 for a new one."""
    import pandas as pd

    codes, labels = factor_codes(frame, list(columns))
    places = pd.Index([str(level) for level in levels]).get_indexer([str(x) for x in labels])
    return places[codes]


def _slopes(fit: Fit, k: int, item: np.ndarray, term: Term) -> np.ndarray:
    effect = fit.model.effects[k]
    if isinstance(effect.slope, Unit):
        return np.ones((len(item), len(term.effects)))
    slopes = fit.model.unpack(jnp.asarray(fit.full)).slopes[k]
    at = jax.vmap(effect.slope.at, (None, 0, None))
    return np.asarray(at(slopes, jnp.asarray(item), len(term.effects)))


def _effects_by_term(fit: Fit) -> list[np.ndarray]:
    """Return the estimated effects b of each term, levels x effects."""
    start, found = 0, []
    for term, factor in zip(fit.design.terms, effect_factors(fit), strict=True):
        q = len(term.effects)
        if term.local:
            spherical = fit.moments.mean[:, start : start + q]
            start += q
        else:
            offset = fit.global_place(term)
            spherical = fit.moments.others[offset : offset + len(term.levels) * q].reshape(-1, q)
        found.append(spherical @ factor.T)
    return found


@double_precision
def feature_effects(fit: Fit) -> pd.DataFrame:
    """Return what one unit of each feature does, on every scale.

    The change in probability is the average over the data of the difference between the
    population-averaged predictions with the feature at 1 (or one unit higher) and at 0 (as is):
    an average marginal effect.

    Args:
        fit: a fit with predictors.

    Returns:
        Columns term, logit (the change in the predictor), lower, upper, odds_ratio,
        odds_ratio_lower, odds_ratio_upper, probability (average change in the expected response).

    Source: Agresti (2013), section 5.4, for marginal effects.

    >>> import eirt
    >>> fit = eirt.eirm(eirt.load("verbagg"), "r2 ~ mode + (1 | id)")
    >>> fit.feature_effects()[["term", "logit", "odds_ratio", "probability"]].round(2)
           term  logit  odds_ratio  probability
    0  mode[do]  -0.56        0.57        -0.11
    """
    import pandas as pd

    design = fit.design
    link = predict(fit, scale="link", effects="zero")
    variance, sharpness = np.zeros(design.n_obs), np.ones(design.n_obs)
    cell = design.obs_cell
    item = design.cell_item[cell]
    for k, (term, factor) in enumerate(zip(design.terms, effect_factors(fit), strict=True)):
        loading = term.z[cell] * _slopes(fit, k, item, term)
        variance = variance + np.sum((loading @ factor) ** 2, axis=1)
        if term.local and "(Intercept)" in term.effects:
            sharpness = loading[:, term.effects.index("(Intercept)")]
    x = design.x_of(np.arange(design.n_obs))
    rows = []
    for j, name in enumerate(design.x_names):
        if name == "(Intercept)":
            continue
        # covariates of persons move ability, which items carry with their own slope
        unit = fit.full[j] * (sharpness if j in design.person_columns else 1.0)
        indicator = set(np.unique(x[:, j])) <= {0.0, 1.0}
        base = link - x[:, j] * unit if indicator else link
        low, high = (np.asarray(_mean(fit, eta, variance, item)) for eta in (base, base + unit))
        rows.append((name, float(np.mean(high - low))))
    change = pd.DataFrame(rows, columns=["term", "probability"])
    table = fit.fixed.merge(change, on="term").rename(columns={"estimate": "logit"})
    table["odds_ratio"] = np.exp(table["logit"])
    table["odds_ratio_lower"] = np.exp(table["lower"])
    table["odds_ratio_upper"] = np.exp(table["upper"])
    odds = ["odds_ratio", "odds_ratio_lower", "odds_ratio_upper"]
    return table[["term", "logit", "lower", "upper", *odds, "probability"]]
