"""Predictions at the data or at new rows, and what each feature does on every scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from eirt._config import double_precision
from eirt._math import gauss_hermite_grid
from eirt.coding import given_values
from eirt.design import Design
from eirt.factors import level_codes
from eirt.formula import require_variables, variables
from eirt.frames import to_pandas
from eirt.indicators import Indicators
from eirt.likelihood.incidence import person_data
from eirt.matrices import model_columns
from eirt.model import Cell, CellParameters, Person, cell_data
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Array, Float, Int

    Expected = Callable[[Array, Array], Array]  # of the response, given eta and extra parameters

ELEMENTS = 2**26  # rows at a time x columns
SCALES = ("probability", "response", "categories", "logit", "link", "odds")


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
        scale: "probability" or "response" (the expected response), "categories" (the probability
            of each), "link" or "logit" (the linear predictor), "odds" (its exponential).
        effects: "conditional" on the estimated random effects, "average" over their distribution,
            "zero" for a person and item whose effects are zero.

    Returns:
        One value per row; of categories, one per row and category, in the order of
        `fit.design.labels`.

    Raises:
        ValueError: for an unknown scale or effects, or categories where there are none.
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
    frame = None if new is None else to_pandas(new)
    n = fit.design.n_obs if frame is None else len(frame)
    stored = frame is not None or not isinstance(fit.design.x, Indicators)
    size = max(ELEMENTS // max(len(fit.design.x_names), 1), 1) if stored else ELEMENTS
    some = [slice(begin, begin + size) for begin in range(0, max(n, 1), size)]
    return np.concatenate([_predicted(fit, frame, part, scale, effects) for part in some])


def _predicted(
    fit: Fit, frame: pd.DataFrame | None, some: slice, scale: str, effects: str
) -> np.ndarray:
    """Return predictions of some rows."""
    rows = rows_at(fit, frame, grouped=effects == "conditional", some=some)
    if scale in ("link", "logit", "odds"):
        eta = np.asarray(spread_at(fit, rows, effects == "conditional")[0].location)
        return np.exp(eta) if scale == "odds" else eta
    if scale == "categories":
        return np.asarray(mean_at(fit, rows, effects, _category_probabilities(fit)))
    return np.asarray(mean_at(fit, rows, effects, fit.model.response.mean))


def _category_probabilities(fit: Fit) -> Expected:
    """Return the function that gives the probability of each category."""
    response, labels = fit.model.response, fit.design.labels
    if not labels:
        raise ValueError(
            f"Responses of {type(response).__name__} are no categories; scale='response' predicts "
            "their mean."
        )

    def probabilities(eta: Array, aux: Array) -> Array:
        codes = jnp.arange(len(labels), dtype=eta.dtype)
        return jnp.exp(jax.vmap(response.log_prob, (0, None, None))(codes, eta, aux))

    return probabilities


class Rows(NamedTuple):
    """What a prediction reads of each row.

    Attributes:
        cell: its cell, with `places` at zero.
        person: covariates of its person.
        own: its global random effects, zero where the level is not known.
        effects: its person's spherical effects as deviations, zero where not known.
    """

    cell: Cell
    person: Person
    own: Float[Array, "n q"]
    effects: Float[Array, "n D"]


def rows_at(fit: Fit, new: Any, grouped: bool, some: slice = slice(None)) -> Rows:
    """Return the rows to predict, or some of them, at the data or at new rows.

    Grouping factors are asked for only where their estimated effects are used.
    """
    design = fit.design
    if new is None:
        cell, who = design.obs_cell[some], design.obs_person[some]
        cells = jax.tree.map(lambda leaf: leaf[cell], cell_data(design))
        person = jax.tree.map(lambda leaf: leaf[who], person_data(design))
        known = [level[some] for level in levels_at(fit, None)] if grouped else None
        return _with_effects(fit, cells, person, known or _unknown(design, len(cell)))
    frame = to_pandas(new).iloc[some]
    fixed = [name for part in design.asked for name in variables(part.formula.fixed)]
    effects = [name for term in design.terms for name in variables(term.asked.effects)]
    given = list(fit.model.response.given)
    require_variables(frame, [*fixed, *effects, *given])
    if grouped:
        require_variables(frame, design.columns)
    item = np.zeros(len(frame), int)
    if design.item is not None and design.item in frame.columns:
        item = np.maximum(level_codes(frame, [design.item], design.items), 0)
    x = model_columns(design.spec, frame, design.x_names)
    own = [model_columns(part.spec, frame, part.columns) for part in design.parts]
    none = np.zeros((len(frame), 0))
    of_persons = [part.of_persons for part in design.parts]
    person = Person(
        jnp.asarray(x[:, design.person_columns]),
        tuple(jnp.asarray(r if p else none) for r, p in zip(own, of_persons, strict=True)),
    )
    x[:, design.person_columns] = 0.0
    places = np.zeros((len(frame), fit.model.n_global), int)
    cells = Cell(
        jnp.asarray(x),
        tuple(jnp.asarray(none if p else r) for r, p in zip(own, of_persons, strict=True)),
        tuple(jnp.asarray(term.columns(frame)) for term in design.terms),
        jnp.asarray(item),
        jnp.asarray(places),
        jnp.asarray(given_values(frame, fit.model.response)),
    )
    known = levels_at(fit, frame) if grouped else _unknown(design, len(frame))
    return _with_effects(fit, cells, person, known)


def _unknown(design: Design, n: int) -> list[Int[np.ndarray, " n"]]:
    """Return no known level of any random term."""
    return [np.full(n, -1)] * len(design.terms)


def levels_at(fit: Fit, new: Any) -> list[Int[np.ndarray, " n"]]:
    """Return the level of each random term, at the data or at new rows; -1 where not known."""
    design = fit.design
    if new is None:
        every = (term.index for term in design.terms)
        return [design.obs_person if at is None else at[design.obs_cell] for at in every]
    frame = to_pandas(new)
    return [level_codes(frame, term.factors, term.levels) for term in design.terms]


def _with_effects(fit: Fit, cells: Cell, person: Person, levels: list[np.ndarray]) -> Rows:
    n = len(cells.item)
    own, effects, seen = [np.zeros((n, 0))], [np.zeros((n, 0))], 0
    for term, level in zip(fit.design.terms, levels, strict=True):
        q, known = len(term.effects), np.zeros((n, len(term.effects)))
        if np.any(level >= 0):
            if term.local:
                table = fit.moments.mean[:, seen : seen + q]
            else:
                offset = fit.global_place(term)
                table = fit.moments.others[offset : offset + len(term.levels) * q].reshape(-1, q)
            known = np.where(level[:, None] >= 0, table[level], 0.0)
        seen += q * term.local
        (effects if term.local else own).append(known)
    return Rows(
        cells,
        person,
        jnp.asarray(np.concatenate(own, axis=1)),
        jnp.asarray(np.concatenate(effects, axis=1)),
    )


def spread_at(fit: Fit, rows: Rows, conditional: bool) -> tuple[CellParameters, Array]:
    """Return the cell parameters of each row, eta at known effects in place of location.

    The second value is the variance of eta over the effects of persons.
    """
    model = fit.model
    params = model.unpack(jnp.asarray(fit.full))
    gamma = params.beta[fit.design.person_columns]
    factor = model.local_factor(params)

    def one(cell: Cell, person: Person, own: Array, effects: Array) -> tuple[CellParameters, Array]:
        standing = model.standing(params, gamma, person)
        found = model.on_ability(params, cell, own)
        scale = jnp.exp(standing.log_sd)
        eta = found.location + found.loading @ (standing.mean + factor @ effects)
        variance = jnp.sum(((found.loading * scale) @ factor) ** 2)
        return found._replace(location=eta), variance

    keep = 1.0 if conditional else 0.0
    return jax.vmap(one)(rows.cell, rows.person, keep * rows.own, keep * rows.effects)


def slopes_at(fit: Fit, rows: Rows) -> tuple[Float[Array, "n q"], Float[Array, "n D"]]:
    """Return the derivatives of eta at known effects in the row's global and local effects."""

    def total(own: Array, effects: Array) -> Array:
        there = rows._replace(own=own, effects=effects)
        return jnp.sum(spread_at(fit, there, True)[0].location)

    return jax.grad(total, (0, 1))(rows.own, rows.effects)


def mean_at(fit: Fit, rows: Rows, effects: str, of: Expected) -> Array:
    """Return expected values by row, given effects or averaged over their distribution."""
    cells, variance = spread_at(fit, rows, effects == "conditional")
    if effects != "average":
        return jax.vmap(of)(cells.location, cells.aux)
    line = gauss_hermite_grid(41)
    q = rows.own.shape[1]
    own = gauss_hermite_grid(1 if fit.model.moved == 1 else {1: 15, 2: 9, 3: 7}.get(q, 3), q)
    if fit.model.moved == 1:
        variance = variance + _own_variance(fit, rows)
    total: Array | float = 0.0
    for node, log_weight in zip(own.nodes, own.log_weights, strict=True):
        there = rows._replace(own=jnp.broadcast_to(jnp.asarray(node), rows.own.shape))
        cells, by_persons = spread_at(fit, there._replace(effects=0 * rows.effects), True)
        sd = jnp.sqrt(variance if fit.model.moved == 1 else by_persons)
        at = cells.location[:, None] + sd[:, None] * line.nodes[:, 0]
        means = jax.vmap(jax.vmap(of, (0, None)))(at, cells.aux)
        weights = jnp.exp(log_weight + line.log_weights)
        total = total + jnp.tensordot(means, weights, axes=(1, 0))
    return jnp.asarray(total)


def _own_variance(fit: Fit, rows: Rows) -> Array:
    """Return the variance of eta over global effects that move easiness alone."""
    params = fit.model.unpack(jnp.asarray(fit.full))

    def location(own: Array, cell: Cell) -> Array:
        return fit.model.cell_parameters(params, cell, own).location

    slopes = jax.vmap(jax.grad(location))(jnp.zeros_like(rows.own), rows.cell)
    return jnp.sum(slopes**2, axis=1)


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
    rows = rows_at(fit, None, grouped=False)
    changes = []
    for j, name in enumerate(design.x_names):
        if name == "(Intercept)":
            continue
        about_persons = list(design.person_columns).index(j) if j in design.person_columns else None
        x = rows.cell.x[:, j] if about_persons is None else rows.person.covariates[:, about_persons]
        indicator = set(np.unique(np.asarray(x))) <= {0.0, 1.0}
        low, high = (0.0 * x, 0.0 * x + 1.0) if indicator else (x, x + 1.0)
        means = [
            mean_at(fit, _set(rows, j, about_persons, at), "average", fit.model.response.mean)
            for at in (low, high)
        ]
        changes.append((name, float(jnp.mean(means[1] - means[0]))))
    change = pd.DataFrame(changes, columns=["term", "probability"])
    table = fit.fixed.merge(change, on="term").rename(columns={"estimate": "logit"})
    table["odds_ratio"] = np.exp(table["logit"])
    table["odds_ratio_lower"] = np.exp(table["lower"])
    table["odds_ratio_upper"] = np.exp(table["upper"])
    odds = ["odds_ratio", "odds_ratio_lower", "odds_ratio_upper"]
    return table[["term", "logit", "lower", "upper", *odds, "probability"]]


def _set(rows: Rows, j: int, about_persons: int | None, values: Array) -> Rows:
    """Return rows with one column of the fixed part at given values."""
    if about_persons is None:
        return rows._replace(
            cell=rows.cell._replace(x=jnp.asarray(rows.cell.x).at[:, j].set(values))
        )
    moved = jnp.asarray(rows.person.covariates).at[:, about_persons].set(values)
    return rows._replace(person=rows.person._replace(covariates=moved))
