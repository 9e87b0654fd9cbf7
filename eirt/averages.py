"""Conditional against population-averaged: effects, and predictions with intervals."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from eirt._config import double_precision
from eirt._math import spread
from eirt.clustering import patterns
from eirt.errors import DataError
from eirt.links import Link
from eirt.predictions import Rows, levels_at, mean_at, rows_at, slopes_at, spread_at
from eirt.responses import Bernoulli
from eirt.results import Fit
from eirt.tables import LEVEL, difference, quantile, require_abilities

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

Effects = Literal["conditional", "average", "zero"]
SCALES = ("logit", "odds", "probability")
STEP = 1e-3  # of differences, in standard errors


@double_precision
def population_effects(fit: Fit, level: float = LEVEL) -> pd.DataFrame:
    """Return what features do on average over persons and items, beside what they do for one.

        p(x) = integral of F(x'beta + z'b) over b ~ N(0, Sigma)
        beta_average = (X'X)^-1 X' F^-1{p(X)}

    `fit.fixed` has effects for a given person and item (unit-specific, conditional); a comparison
    of groups of people sees their average over the random effects, which is nearer zero. It is
    about conditional / sqrt(1 + 0.346 v), v the variance of the random effects, and exactly
    conditional / sqrt(1 + v) in probit models with random intercepts.

    Args:
        fit: a model of right or wrong with random effects.
        level: of the limits.

    Returns:
        A row per coefficient of easiness: term, conditional, average, se, lower, upper (of the
        average), ratio; in logit models also conditional_odds_ratio, average_odds_ratio and its
        limits odds_ratio_lower, odds_ratio_upper.

    Raises:
        DataError: for other families, and conditional likelihood.

    Source: Hedeker, du Toit, Demirtas & Gibbons (2018); Zeger, Liang & Albert (1988).

    >>> import eirt
    >>> fit = eirt.eirm(eirt.load("verbagg"), "r2 ~ mode + (1 | id)")
    >>> table = population_effects(fit)
    >>> table[["term", "conditional", "average", "se", "ratio"]].round(2).tail(1)
           term  conditional  average    se  ratio
    1  mode[do]        -0.56    -0.45  0.04    0.8
    """
    import pandas as pd

    link = _link(fit, "population_effects")
    rows, weight, x = _distinct(fit)
    root = np.sqrt(weight)[:, None]
    solve = np.linalg.pinv(root * x) * root.T

    def coefficients(psi: np.ndarray) -> np.ndarray:
        averaged = mean_at(_at(fit, psi), rows, "average", fit.model.response.mean)
        return solve @ np.asarray(link.quantile(jnp.asarray(averaged)))

    average = coefficients(fit.psi)
    se = np.sqrt(spread(difference(coefficients, fit.psi, _steps(fit)), fit.free_covariance))
    conditional = fit.full[: x.shape[1]]
    half = quantile(level) * se
    table = pd.DataFrame(
        {
            "term": fit.design.x_names,
            "conditional": conditional,
            "average": average,
            "se": se,
            "lower": average - half,
            "upper": average + half,
            "ratio": average / conditional,
        }
    )
    if link.name == "logit":
        table["conditional_odds_ratio"] = np.exp(conditional)
        table["average_odds_ratio"] = np.exp(average)
        table["odds_ratio_lower"] = np.exp(average - half)
        table["odds_ratio_upper"] = np.exp(average + half)
    return table


def _link(fit: Fit, name: str) -> Link:
    response = fit.model.response
    if not isinstance(response, Bernoulli):
        raise DataError(
            f"{name} is for one probability a response (family Bernoulli), not for "
            f"{type(response).__name__}; fit.predict(..., effects='average') averages means and "
            "probabilities of categories."
        )
    require_abilities(fit, "distribution to average over")
    return response.distribution


def _distinct(fit: Fit) -> tuple[Rows, Float[np.ndarray, " n"], Float[np.ndarray, "n p"]]:
    """Return rows that differ, their shares of the responses, and their fixed part."""
    obs, weight = patterns(fit)
    rows = jax.tree.map(lambda leaf: leaf[obs], rows_at(fit, None, grouped=False))
    return rows, weight, fit.design.x_of(obs)


def _at(fit: Fit, psi: np.ndarray) -> Fit:
    """Return the fit at other values of the free parameters."""
    return dataclasses.replace(fit, psi=psi)


def _steps(fit: Fit) -> Float[np.ndarray, " F"]:
    sd = np.sqrt(np.diagonal(fit.free_covariance))
    return STEP * np.where(np.isfinite(sd) & (sd > 0), sd, 1.0)


@double_precision
def predict_intervals(
    fit: Fit, new: Any = None, effects: Effects = "conditional", level: float = LEVEL
) -> pd.DataFrame:
    """Return predictions on every scale with limits.

        F^-1(p) +- z sqrt(J V J' + l' C l)

    V is the covariance of the parameters (modes of random effects move with them), C the posterior
    covariance of the random effects of the row, or their whole covariance for levels that the fit
    has not seen. Limits are made on the scale of the link and carried to the others.

    Args:
        fit: a model of right or wrong.
        new: a frame with the columns of the formula (default: the data, in their order).
        effects: "conditional" on the estimated random effects, "average" over their distribution,
            "zero" for a person and item whose effects are zero; as for `predict`.
        level: of the limits.

    Returns:
        A row per row: logit, logit_lower, logit_upper, odds, odds_lower, odds_upper, probability,
        probability_lower, probability_upper, se (of the predictor, on the scale of the link).

    Raises:
        ValueError: for unknown effects.
        DataError: for other families, and conditional likelihood.

    Source: Kass & Steffey (1989) for random effects; van der Vaart (1998), chapter 3.

    >>> import eirt
    >>> fit = eirt.eirm(eirt.load("verbagg"), "r2 ~ mode + (1 | id)")
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"mode": ["want", "do"]})
    >>> table = predict_intervals(fit, rows, effects="average")
    >>> table[["logit", "odds", "probability", "probability_lower", "probability_upper"]].round(2)
       logit  odds  probability  probability_lower  probability_upper
    0   0.13  1.14         0.53               0.50               0.56
    1  -0.32  0.73         0.42               0.39               0.45
    """
    import pandas as pd

    if effects not in get_args(Effects):
        raise ValueError(f"No effects {effects!r}; there are 'conditional', 'average', 'zero'.")
    link, conditional = _link(fit, "predict_intervals"), effects == "conditional"
    once = None if conditional else rows_at(fit, new, grouped=False)

    def predictor(psi: np.ndarray) -> np.ndarray:
        at = _at(fit, psi)
        rows = rows_at(at, new, grouped=True) if once is None else once
        if effects == "average":
            return np.asarray(link.quantile(mean_at(at, rows, effects, at.model.response.mean)))
        return np.asarray(spread_at(at, rows, conditional)[0].location)

    eta = predictor(fit.psi)
    variance = spread(difference(predictor, fit.psi, _steps(fit)), fit.free_covariance)
    if conditional:
        variance = variance + _posterior_variance(fit, new)
    se = np.sqrt(variance)
    table = {}
    half = quantile(level) * se
    for place, at in {"": eta, "_lower": eta - half, "_upper": eta + half}.items():
        log_p, log_q = (np.asarray(tail(jnp.asarray(at))) for tail in (link.log_cdf, link.log_sf))
        table[f"logit{place}"] = log_p - log_q
        table[f"odds{place}"] = np.exp(log_p - log_q)
        table[f"probability{place}"] = np.exp(log_p)
    order = [f"{scale}{at}" for scale in SCALES for at in ("", "_lower", "_upper")]
    return pd.DataFrame(table)[order].assign(se=se)


def _posterior_variance(fit: Fit, new: Any) -> Float[np.ndarray, " n"]:
    """Return the variance of the predictor given the parameters."""
    rows, moments = rows_at(fit, new, grouped=True), fit.moments
    by_own, by_effects = slopes_at(fit, rows)
    person, places = np.full(len(by_own), -1), [np.zeros((len(by_own), 0), int)]
    for term, level in zip(fit.design.terms, levels_at(fit, new), strict=True):
        if term.local:
            person = level
        else:
            q = len(term.effects)
            place = fit.global_place(term) + level[:, None] * q + np.arange(q)
            places.append(np.where(level[:, None] >= 0, place, -1))
    place = np.concatenate(places, axis=1)
    known = place >= 0
    others = np.where(
        known[:, :, None] & known[:, None, :],
        moments.others_covariance[place[:, :, None], place[:, None, :]],
        np.eye(place.shape[1]),
    )
    seen = (person >= 0)[:, None, None]
    local = np.where(seen, moments.covariance[person], np.eye(by_effects.shape[1]))
    return np.einsum("ni,nij,nj->n", by_own, others, by_own) + np.einsum(
        "ni,nij,nj->n", by_effects, local, by_effects
    )
