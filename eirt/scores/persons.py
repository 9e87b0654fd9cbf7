"""A row for each person: ability and its standard error, by any method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import numpy as np

from eirt._config import double_precision
from eirt.errors import nearest
from eirt.results import Fit
from eirt.scores.answers import Answers, Counts, answers_of, answers_to, counts_of
from eirt.scores.estimates import Estimate, estimates
from eirt.scores.sums import posterior_of_sums
from eirt.tables import local_factor, standings

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

Method = Literal["EAP", "MAP", "ML", "WLE", "EAPsum"]
METHODS = ("EAP", "MAP", "ML", "WLE", "EAPsum")
SHRUNKEN = ("EAP", "MAP", "EAPsum")
FLAT = 1e3  # standard errors, in sd of ability, of estimates that are not finite


@double_precision
def persons(fit: Fit, method: Method | None = None, new: Any = None) -> pd.DataFrame:
    """Return each person's ability and its standard error.

        EAP: E(theta | y),   MAP: argmax p(theta | y),   ML: argmax p(y | theta)
        WLE: d log p(y | theta) / d theta + J / (2 I) = 0,   EAPsum: E(theta | sum of y)

    where I = sum over items and categories of P'^2 / P and J that of P'P'' / P, at the estimated
    parameters. Ability includes what covariates of persons predict: theta_p = z_p'gamma + b_p.
    Effects of items are at their estimates. ML is infinite where all is right, or all wrong; WLE is
    finite. Conditional likelihood assumes no distribution of ability: ML and WLE need none, and
    posterior estimates take the normal distribution that makes the responses of the fit's persons
    most likely, in `attrs["population"]`; the origin is that of `fit.difficulty()`.

    Args:
        fit: a fit with a local group.
        method: "EAP" (posterior mean and standard deviation), "MAP" (posterior mode and inverse
            curvature), "ML" (maximum likelihood and inverse curvature), "WLE" (Warm's weighted
            likelihood, se = 1 / sqrt(I)) or "EAPsum" (posterior mean given the sum score; for one
            test that everybody answered). By default EAP, or WLE where the likelihood is
            conditional.
        new: responses of other persons, scored with this calibration: one row a response as for
            the fit, or one row a person with a column an item. Persons of the fit by default.

    Returns:
        The person column, then n (responses), score (sum of response codes), ability, se; with
        several dimensions a row per person and dimension. Of the persons of the fit
        `attrs["reliability"]` is the reliability of the residuals b^_p: var(b^) / (var(b^) +
        mean(se^2)) for posterior estimates, 1 - mean(se^2) / var(b^) for ML and WLE (finite ones).
        `attrs["note"]` counts infinite estimates, if there are any.

    Raises:
        ValueError: if the method is unknown, or the model has no person effects, or none that the
            method can estimate.
        DataError: if `new` lacks a column, or holds unknown items or responses.

    Source: Bock & Mislevy (1982) for EAP; Samejima (1969) for MAP; Warm (1989, eq. 8), Penfield &
    Bergeron (2005) for WLE with several categories; Thissen, Pommerich, Billeaud & Williams (1995)
    for EAPsum.

    >>> import eirt
    >>> fit = eirt.rasch(eirt.load("lsat7"), wide=True)
    >>> fit.persons()[["score", "ability"]].drop_duplicates().round(2).head(2)
        score  ability
    0     0.0    -1.93
    12    1.0    -1.43
    >>> fit.persons("WLE", new={"Q1": [1, 1], "Q2": [0, 1], "Q3": [0, 1]})["ability"].round(2)
    0   -1.92
    1    0.69
    Name: ability, dtype: float64
    """
    import pandas as pd

    given = fit.likelihood.conditional
    method = method or ("WLE" if given else "EAP")
    refuse_method(fit, method)
    if method == "EAP" and new is None and not given:
        answers, counts, found = None, counts_of(fit), _posterior_means(fit)
    elif new is None:
        answers, counts = answers_of(fit), counts_of(fit)
    else:
        answers, counts = answers_to(fit, pd.DataFrame(new) if isinstance(new, dict) else new)
    if answers is not None:
        found = _scored(fit, method, answers)
    table = about(fit, counts)
    table["ability"], table["se"] = found.ability.ravel(), found.se.ravel()
    if new is None:
        coefficients = _reliability(found, method in SHRUNKEN)
        table.attrs["reliability"] = coefficients[0] if len(coefficients) == 1 else coefficients
    if given and answers is not None and method in SHRUNKEN:
        mean, sd = np.asarray(answers.mean), np.asarray(answers.scale)
        table.attrs["population"] = {"mean": float(mean[0, 0]), "sd": float(sd[0, 0, 0])}
    infinite = int(np.isinf(found.ability).any(axis=1).sum())
    if infinite:
        table.attrs["note"] = (
            f"{infinite} persons have responses that no finite ability makes most likely (all "
            "right or all wrong): their ML estimates are infinite; use 'WLE', 'EAP' or 'MAP'."
        )
    return table


class Abilities(NamedTuple):
    """Abilities, their standard errors, and what covariates predict of them."""

    ability: Float[np.ndarray, "N D"]
    se: Float[np.ndarray, "N D"]
    predicted: Float[np.ndarray, "N D"]


def _scored(fit: Fit, method: Method, answers: Answers) -> Abilities:
    if method == "EAPsum":
        return Abilities(*posterior_of_sums(fit, answers), np.asarray(answers.mean))
    x, covariance = estimate(fit, method, answers)
    found = Abilities(answers.ability(x), answers.spread(covariance), np.asarray(answers.mean))
    return _unbounded(found, answers) if method == "ML" else found


def _unbounded(found: Abilities, answers: Answers) -> Abilities:
    """Return likelihood estimates, infinite where responses rise or fall with ability for ever.

    Abilities that no response of a person depends on have none.
    """
    scale, present = np.asarray(answers.scale), np.asarray(answers.present)
    flat = found.se > FLAT * np.sqrt((scale**2).sum(axis=2))
    loading = np.asarray(answers.cells.loading) * present[..., None] @ np.linalg.pinv(scale)
    end = np.where(found.ability > found.predicted, np.inf, -np.inf)
    end = np.where(np.any(np.abs(loading) > 1e-12, axis=1), end, np.nan)
    ability, se = np.where(flat, end, found.ability), np.where(flat, np.nan, found.se)
    return found._replace(ability=ability, se=se)


def _posterior_means(fit: Fit) -> Abilities:
    """Return the moments of the fit, which know what is uncertain of other random effects, too."""
    carry, predicted = local_factor(fit), np.asarray(standings(fit).mean)
    se = np.sqrt(np.einsum("ij,njk,ik->ni", carry, fit.moments.covariance, carry))
    return Abilities(fit.moments.mean @ carry.T + predicted, se, predicted)


def refuse_method(fit: Fit, method: str, methods: tuple[str, ...] = METHODS) -> None:
    """Refuse a method that there is not, or that the model does not allow."""
    if method not in methods:
        known = ", ".join(f"{name!r}" for name in methods[:-1])
        raise ValueError(
            f"No method {method!r}; there are {known} and {methods[-1]!r}."
            + nearest(method, methods)
        )
    if fit.model.dimension == 0:
        raise ValueError("The model has no person effects to score.")
    if method == "WLE" and fit.model.dimension > 1:
        raise ValueError(
            f"Weighted likelihood (WLE) is for one ability; {fit.name} has "
            f"{fit.model.dimension}: use 'EAP', 'MAP' or 'ML'."
        )
    if method == "WLE" and not fit.design.labels:
        raise ValueError(
            "Weighted likelihood (WLE) is for responses in categories; use 'EAP', 'MAP' or 'ML'."
        )


def estimate(fit: Fit, method: str, answers: Answers) -> Estimate:
    """Return the estimates of x and their covariances, on the host."""
    return jax.tree.map(np.asarray, estimates(fit.model, method, len(fit.design.labels), answers))


def _reliability(found: Abilities, shrunken: bool) -> list[float]:
    """Return the reliability of each dimension, from the persons with finite estimates."""
    residual, se = found.ability - found.predicted, found.se
    kept = np.isfinite(residual).all(axis=1) & np.isfinite(se).all(axis=1)
    spread, error = residual[kept].var(axis=0, ddof=1), (se[kept] ** 2).mean(axis=0)
    return (spread / (spread + error) if shrunken else 1 - error / spread).tolist()


def about(fit: Fit, counts: Counts) -> pd.DataFrame:
    """Return person, number of responses and sum score, by person and dimension."""
    import pandas as pd

    names = [name for term in fit.design.terms if term.local for name in term.effects]
    q = len(names)
    columns = {
        fit.design.person or "person": np.repeat(counts.persons, q),
        "n": np.repeat(counts.n, q),
        "score": np.repeat(counts.score, q),
    }
    if q > 1:
        columns["dimension"] = np.tile(np.asarray(names, object), len(counts.n))
    return pd.DataFrame(columns)
