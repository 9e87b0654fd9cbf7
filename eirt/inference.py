"""Comparing fits, and testing what features of items do where items are few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt._config import double_precision
from eirt.effects import EASINESS, STEEP
from eirt.errors import DataError
from eirt.factors import constant_within
from eirt.forecasts import item_columns, require_freedom
from eirt.parts import Part
from eirt.results import Fit
from eirt.tables import LEVEL, of_items

if TYPE_CHECKING:
    import pandas as pd


def compare(*fits: Fit) -> pd.DataFrame:
    """Compare fits to the same data: information criteria, and likelihood-ratio tests.

        chi2 = 2 (log L_larger - log L_smaller)

    Each fit is tested against the largest earlier one that it contains. Conditional
    log-likelihoods are of other data than marginal ones, the responses given scores: where both
    occur, the column `kind` says which are which, and only those of a kind compare.

    One added variance (and its covariances) is tested by the even mixture of chi-squares that
    holds at the boundary; so is a parameter at whose bound one family is another (negative binomial
    against Poisson).

    Args:
        fits: two fits or more.

    Returns:
        A row per fit, smallest first: model, likelihood, n_params, loglik, aic, bic, sabic
        (Schwarz' criterion with (n + 2) / 24 in the place of n); against, chi2, df, p (empty where
        no earlier fit is nested in it).

    Raises:
        ValueError: with fewer than two fits.
        DataError: if the fits are to different responses.

    Source: Self & Liang (1987); Stram & Lee (1994) for the mixture; Sclove (1987) for sabic.

    >>> import eirt
    >>> lsat = eirt.load("lsat7")
    >>> table = eirt.compare(eirt.rasch(lsat, wide=True), eirt.two_pl(lsat, wide=True))
    >>> table[["model", "loglik", "chi2", "df", "p"]].round(3)
       model    loglik    chi2   df      p
    0  Rasch -2664.901     NaN  <NA>    NaN
    1    2PL -2658.805  12.192     4  0.016
    """
    import pandas as pd

    if len(fits) < 2:
        raise ValueError("Comparing takes two fits or more.")
    for fit in fits[1:]:
        require_same_data(fits[0], fit)
    order = sorted(fits, key=lambda fit: fit.n_params)
    rows = []
    for place, fit in enumerate(order):
        row = {
            "model": fit.name,
            "likelihood": fit.likelihood.name,
            "n_params": fit.n_params,
            "loglik": fit.loglik,
            "aic": fit.aic,
            "bic": fit.bic,
            "sabic": fit.bic - fit.n_params * np.log(24 * fit.n_obs / (fit.n_obs + 2)),
            "kind": "conditional" if fit.likelihood.conditional else "marginal",
        }
        inside = [other for other in order[:place] if nested_in(other, fit)]
        rows.append(row | (likelihood_ratio(inside[-1], fit) if inside else {}))
    columns = ["model", "likelihood", "n_params", "loglik", "aic", "bic", "sabic"]
    if len({row["kind"] for row in rows}) > 1:
        columns.append("kind")
    table = pd.DataFrame(rows, columns=[*columns, "against", "chi2", "df", "p"])
    return table.astype({"df": "Int64"})


def require_same_data(a: Fit, b: Fit) -> None:
    """Refuse fits to different responses."""
    same = a.design.response == b.design.response and a.n_obs == b.n_obs
    if not same or a.design.labels != b.design.labels or a.design.y.mean() != b.design.y.mean():
        raise DataError(
            f"{a.name} and {b.name} are fits to different responses ({a.n_obs} of "
            f"{a.design.response!r} against {b.n_obs} of {b.design.response!r}); refit both to "
            "the same rows."
        )


def likelihood_ratio(small: Fit, large: Fit) -> dict[str, object]:
    """Return the likelihood-ratio test of a fit against one nested in it."""
    from scipy.special import chdtrc

    statistic = max(2 * (large.loglik - small.loglik), 0.0)
    df = large.n_params - small.n_params
    added = _n_scales(large) - _n_scales(small) + (_beyond(small, large) or 0)
    p = float(chdtrc(df, statistic))
    if added == 1:
        lower = float(chdtrc(df - 1, statistic)) if df > 1 else float(statistic <= 0)
        p = (p + lower) / 2
    return {"against": small.name, "chi2": statistic, "df": df, "p": p}


def _beyond(small: Fit, large: Fit) -> int | None:
    """Return how many extra parameters reach a bound at the smaller family, None if it is none."""
    beyond = large.model.response.beyond(small.model.response)
    return None if beyond is None else beyond * large.model.n_sets


def _n_scales(fit: Fit) -> int:
    """Return the number of free standard deviations."""
    effects = fit.model.effects
    return sum(effect.covariance.n_scales + effect.slope.free for effect in effects)


def nested_in(small: Fit, large: Fit) -> bool:
    """Return whether the smaller model is a special case of the larger one.

    Fixed parts are compared by the spaces that their columns span over the responses; random
    parts by group and effects; slopes by kind (unit or common, then free).
    """
    if small.n_params >= large.n_params or _beyond(small, large) is None:
        return False
    if small.likelihood.name != large.likelihood.name and not (
        {small.likelihood.name, large.likelihood.name} <= {"Quadrature", "Reduced", "Nested"}
    ):
        return False
    items = small.design.item is not None and large.design.item is not None
    here, there = _in_order(small, items), _in_order(large, items)
    if not (small.model.varied or large.model.varied):
        cells = np.stack([small.design.obs_cell[here], large.design.obs_cell[there]])
        some = np.unique(cells, axis=1, return_index=True)[1]
        here, there = here[some], there[some]
    (a, known), (b, known_there) = _fixed_rows(small, here), _fixed_rows(large, there)
    if large.likelihood.conditional:  # abilities take over what is the same for all
        b = np.column_stack([b, np.ones(len(b))])
    a = np.column_stack([a, known - known_there])
    residual = a - b @ np.linalg.lstsq(b, a, rcond=None)[0]
    if np.abs(residual).max(initial=0.0) > 1e-8:
        return False
    offered = [(term.group, set(term.effects)) for term in large.design.terms]
    for term in small.design.terms:
        if not any(g == term.group and set(term.effects) <= names for g, names in offered):
            return False
    return _parts_nested(small, large, here, there)


def _fixed_rows(fit: Fit, obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of free fixed effects, and what those at given values add."""
    x, n = fit.design.x_of(obs), len(fit.design.x_names)
    free = np.asarray(fit.restriction.source)[:n] >= 0
    return x[:, free], x[:, ~free] @ fit.full[:n][~free]


def _parts_nested(small: Fit, large: Fit, here: np.ndarray, there: np.ndarray) -> bool:
    """Return whether what explains other parameters is a special case, by column spaces."""
    own, other = ({part.target: part for part in fit.design.parts} for fit in (small, large))
    kinds = [{type(e.slope) for e in fit.model.effects if e.slope.free} for fit in (small, large)]
    featured = any(len(part.columns) > 1 for part in own.values())
    if featured and kinds[0] != kinds[1]:
        return False
    for target in {*own, *other}:
        a, b = _part_rows(small, own.get(target), here), _part_rows(large, other.get(target), there)
        if target.parameter == STEEP:  # a slope of one is a common slope, rescaled
            a, b = (np.ones((len(here), 1)) if x is None else x for x in (a, b))
        if a is None:
            continue
        if b is None or np.abs(a - b @ np.linalg.lstsq(b, a, rcond=None)[0]).max() > 1e-8:
            return False
    return True


def _part_rows(fit: Fit, part: Part | None, obs: np.ndarray) -> np.ndarray | None:
    """Return the rows of a part at some responses."""
    if part is None:
        return None
    design = fit.design
    return part.x[design.obs_person[obs] if part.of_persons else design.obs_cell[obs]]


def _in_order(fit: Fit, by_item: bool) -> np.ndarray:
    """Return the responses ordered by person, item and value, however the rows came.

    Where one of two fits does not know the items, equal responses of a person stay as they came.
    """
    design = fit.design
    persons = np.argsort(np.argsort(design.persons.astype(str)))[design.obs_person]
    if not by_item:
        return np.lexsort((design.y, persons))
    items = np.argsort(np.argsort(design.items.astype(str)))[design.obs_item]
    return np.lexsort((design.y, items, persons))


@double_precision
def feature_tests(fit: Fit) -> pd.DataFrame:
    """Test the effects of features as effects on a sample of items, of which there are few.

        t = estimate / SE,    SE = SE_ML sqrt(I / d),    d = I - k

    Maximum likelihood divides the variation that k features leave between I items by I, where
    regression divides by d: its z tests reject too often and its intervals are too short. A
    feature of groups of items (templates with a random effect) has groups in the place of items,
    and the features of groups in that of all.

    Args:
        fit: a fit with features and random residuals of items, or of groups of them.

    Returns:
        A row per coefficient of easiness that describes items: term, estimate, se, df, t, p
        (two-sided), lower, upper (95%). A feature that varies within every random group has no
        such limit to its precision: df is infinite, as in `fit.fixed`.

    Raises:
        DataError: if the fit has no random residuals of items, or no degrees of freedom.

    Source: Schluchter & Elashoff (1990) for d; Clark (1973) for the problem.

    >>> import eirt
    >>> fit = eirt.lltm(eirt.load("verbagg"), "~ btype + situ + mode + (1 | item)", response="r2")
    >>> feature_tests(fit)[["term", "estimate", "se", "df", "t"]].round(2).tail(2)
             term  estimate    se    df     t
    3  situ[self]     -1.06  0.17  19.0 -6.12
    4    mode[do]     -0.71  0.17  19.0 -4.11
    """
    from scipy.special import stdtr, stdtrit

    fit.require_items(first=False)
    design, x = fit.design, item_columns(fit)
    groups = [
        term.index
        for term in design.terms
        if term.index is not None and EASINESS in term.targets and of_items(design, term).any()
    ]
    if not groups:
        raise DataError(
            f"{fit.name} has no random residuals of items: it takes these items for all there "
            f"are; refit with '+ (1 | {design.item})'."
        )
    constant = np.array([[constant_within(column, group) for column in x.T] for group in groups])
    levels = np.array([group.max() + 1 for group in groups], float)
    free = levels - constant.sum(axis=1)
    require_freedom(int(levels[free.argmin()]), int(free.min()))
    places = [j for j, role in enumerate(design.roles) if role == "item"]
    columns = np.arange(x.shape[1] - len(places), x.shape[1])
    apart = np.where(constant[:, columns], free[:, None], np.inf)
    least, df = apart.argmin(axis=0), apart.min(axis=0)
    ratio = np.where(np.isfinite(df), levels[least] / df, 1.0)
    table = fit.fixed.iloc[places][["term", "estimate", "se"]].reset_index(drop=True)
    table["se"] *= np.sqrt(ratio)
    table["df"], table["t"] = df, table["estimate"] / table["se"]
    table["p"] = 2 * stdtr(df, -table["t"].abs())
    half = stdtrit(df, (1 + LEVEL) / 2) * table["se"]
    return table.assign(lower=table["estimate"] - half, upper=table["estimate"] + half)
