"""Comparing fits: information criteria and likelihood-ratio tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eirt.design import Design
from eirt.effects import STEEP
from eirt.errors import DataError
from eirt.lr_bootstrap import bootstrap_ratios
from eirt.parts import Part
from eirt.results import Fit
from eirt.samples import in_order

if TYPE_CHECKING:
    import pandas as pd


def compare(*fits: Fit, bootstrap: int = 0, seed: int = 0) -> pd.DataFrame:
    """Compare fits to the same data: information criteria, and likelihood-ratio tests.

        chi2 = 2 (log L_larger - log L_smaller)

    Each fit is tested against the largest earlier one that it contains. Conditional
    log-likelihoods are of other data than marginal ones, the responses given scores, and Laplace's
    approximation may lie some units off what quadrature finds: where several occur, the column
    `kind` says which are which, and only those of a kind compare.

    One added variance (and its covariances) is tested by the even mixture of chi-squares that
    holds at the boundary; so is a parameter at whose bound one family is another (negative binomial
    against Poisson).

    Chi-squares hold where persons, and where items are random also items, are many. The
    parametric bootstrap holds for few: responses are drawn from the smaller fit, and both models
    are refitted to them,

        p = (1 + #{chi2* >= chi2}) / (1 + replicates)

    Args:
        *fits: two fits or more.
        bootstrap: replicates of each test; 0 for none. A few hundred are usual.
        seed: of its random numbers.

    Returns:
        A row per fit, smallest first: model, likelihood, n_params, loglik, aic, bic, sabic
        (Schwarz' criterion with (n + 2) / 24 in the place of n); against, chi2, df, p (empty where
        no earlier fit is nested in it); with `bootstrap`, p_bootstrap and the replicates that
        converged.

    Raises:
        ValueError: with fewer than two fits.
        DataError: if the fits are to different responses.

    Source: Self & Liang (1987); Stram & Lee (1994) for the mixture; Davison & Hinkley (1997),
    section 4.2.3, for the bootstrap; Sclove (1987) for sabic.

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
            "kind": _kind(fit),
        }
        inside = [other for other in order[:place] if nested_in(other, fit)]
        if inside:
            row |= likelihood_ratio(inside[-1], fit)
        if inside and bootstrap:
            ratios = bootstrap_ratios(inside[-1], fit, bootstrap, seed)
            beyond = np.sum(ratios >= row["chi2"])
            row |= {"p_bootstrap": (1 + beyond) / (1 + len(ratios)), "replicates": len(ratios)}
        rows.append(row)
    columns = ["model", "likelihood", "n_params", "loglik", "aic", "bic", "sabic"]
    if len({row["kind"] for row in rows}) > 1:
        columns.append("kind")
    columns += ["against", "chi2", "df", "p"]
    if bootstrap:
        columns += ["p_bootstrap", "replicates"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({name: "Int64" for name in ("df", "replicates") if name in table})


def require_same_data(a: Fit, b: Fit) -> None:
    """Refuse fits to different responses: sums of persons or of items tell them apart."""
    same = a.design.response == b.design.response and a.design.labels == b.design.labels
    if not same or a.n_obs != b.n_obs or not _same_sums(a.design, b.design):
        raise DataError(
            f"{a.name} and {b.name} are fits to different responses ({a.n_obs} of "
            f"{a.design.response!r} against {b.n_obs} of {b.design.response!r}, or other values); "
            "refit both to the same rows."
        )


def _same_sums(a: Design, b: Design) -> bool:
    """Return whether persons, and items, have the same sums, in whatever order they come."""
    pairs = [(np.array([a.total]), np.array([b.total]))]
    if a.person == b.person:
        pairs.append((a.person_totals, b.person_totals))
    if a.item is not None and a.item == b.item:
        pairs.append((a.item_totals, b.item_totals))
    return all(
        len(x) == len(y) and np.allclose(np.sort(x), np.sort(y), rtol=1e-9, atol=1e-9 * scale)
        for x, y in pairs
        for scale in [np.abs(x).max(initial=0.0)]
    )


def _kind(fit: Fit) -> str:
    """Return what the log-likelihood is of, where others may not compare with it."""
    if fit.likelihood.conditional:
        return "conditional"
    exact = fit.model.response.quadratic and fit.model.moved == 1
    return "Laplace" if fit.likelihood.name == "Laplace" and not exact else "marginal"


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
    here, there = in_order(small.design, items), in_order(large.design, items)
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
