"""Planning a study: the power to find what features of items do, by simulation and roughly."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from eirt._config import double_precision
from eirt.errors import ConvergenceWarning
from eirt.few_items import feature_tests, item_terms
from eirt.models import lltm
from eirt.plans import Features, Plan, approximate_power, draw_features, planned
from eirt.refits import converged_on
from eirt.results import Fit
from eirt.samples import of_persons, with_responses
from eirt.simulation import draw

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

COLUMNS = [
    *("persons", "items", "term", "effect", "estimate", "sd", "se", "power", "power_se"),
    *("coverage", "approximate", "se_z", "power_z", "coverage_z", "replicates"),
]


@double_precision
def power(
    effects: float | Mapping[str, float] | Fit,
    *,
    persons: int | Sequence[int] | None = None,
    items: int | Sequence[int] | None = None,
    item_sd: float | None = None,
    person_sd: float = 1.0,
    intercept: float = 0.0,
    features: Features | pd.DataFrame = "binary",
    alpha: float = 0.05,
    replicates: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the power to find effects of item features in a study of so many persons and items.

        logit P(y_pi = 1) = intercept + x_i'effects + theta_p + e_i,
        theta_p ~ N(0, person_sd^2),   e_i ~ N(0, item_sd^2)

    Every replicate draws features, items, persons and responses, and fits this model. Items are
    few, so that what they do not share limits power: beyond some persons, more add nothing. The
    test is that of `fit.feature_tests` (t on items minus coefficients); the z test of `fit.fixed`
    stands beside it, and rejects too often.

    The approximation takes items for observations with variance item_sd^2 and the error of their
    calibration, in weighted regression, and t as noncentral.

    Args:
        effects: on easiness, of one feature, or of several by name. Or a fit: its own persons,
            items and estimates are taken as the truth.
        persons: how many, or several numbers to compare. With a fit, so many of its persons are
            drawn with replacement; its own by default.
        items: how many, or several numbers; not with a fit.
        item_sd: standard deviation of what features leave unexplained of items.
        person_sd: standard deviation of ability.
        intercept: easiness where all features are zero.
        features: "binary" (half of the items have it), "normal" (standard), or a frame with a row
            an item and a column a feature, of which rows are drawn with replacement where `items`
            is another number.
        alpha: of the tests; intervals cover 1 - alpha.
        replicates: simulated studies; 0 gives the approximation alone.
        seed: of the random numbers.

    Returns:
        A row for each number of persons and items, and feature: persons, items, term, effect; mean
        estimate and its sd over replicates; mean se, power with its Monte-Carlo standard error,
        coverage (all of t tests); approximate (power without simulation); mean se_z, power_z,
        coverage_z (of z tests); replicates that converged. Columns that do not apply are empty.

    Raises:
        ValueError: if a number is missing or impossible.
        DataError: if the frame of features lacks a column.

    Source: Westfall, Kenny & Judd (2014) for crossed designs; Schluchter & Elashoff (1990).

    >>> import eirt
    >>> table = eirt.power(0.6, persons=200, items=[20, 40], item_sd=0.8, replicates=0)
    >>> table[["persons", "items", "term", "approximate"]].round(2)
       persons  items     term  approximate
    0      200     20  feature         0.34
    1      200     40  feature         0.62
    """
    import pandas as pd

    if not 0 < alpha < 1 or replicates < 0:
        raise ValueError(
            f"alpha={alpha} must be between 0 and 1, replicates={replicates} positive."
        )
    if isinstance(effects, Fit):
        if items is not None:
            raise ValueError("A fit has its own items; leave out items=.")
        sizes = _numbers("persons", persons or len(effects.design.persons))
        tables = [
            _of_fit(effects, size, alpha, replicates, np.random.SeedSequence((seed, size)))
            for size in sizes
        ]
    else:
        plan = planned(effects, features, item_sd, person_sd, intercept)
        if items is None and isinstance(features, pd.DataFrame):
            items = len(features)
        tables = [
            _of_plan(plan, n, size, alpha, replicates, np.random.SeedSequence((seed, n, size)))
            for n in _numbers("persons", persons)
            for size in _numbers("items", items)
        ]
    return pd.concat(tables, ignore_index=True).reindex(columns=COLUMNS)


def _numbers(name: str, asked: int | Sequence[int] | None) -> list[int]:
    """Return how many persons or items to try.

    Raises:
        ValueError: if none are given, or fewer than 2.
    """
    if asked is None:
        raise ValueError(f"Power depends on the number of {name}; give {name}=.")
    found = [int(number) for number in np.atleast_1d(np.asarray(asked))]
    if min(found) < 2:
        raise ValueError(f"{name}={min(found)} cannot vary; give 2 or more.")
    return found


def _of_plan(
    plan: Plan, persons: int, items: int, alpha: float, n: int, seed: np.random.SeedSequence
) -> pd.DataFrame:
    """Return the rows of one number of persons and items.

    Raises:
        ValueError: if features are as many as items.
    """
    if items <= len(plan.beta):
        raise ValueError(
            f"{items} items leave nothing to tell their variance by, with {len(plan.beta)} "
            "coefficients; plan more items."
        )
    rng = np.random.default_rng(seed)
    matrices = [draw_features(plan, items, rng) for _ in range(max(n, 1))]
    rough = [approximate_power(plan, x, persons, alpha) for x in matrices]
    table = _summary(plan.effects, _studies(plan, matrices[:n], persons, rng), alpha)
    table["approximate"] = np.mean(rough, axis=0)
    return table.assign(persons=persons, items=items)


def _studies(
    plan: Plan, matrices: list[Float[np.ndarray, "I k"]], persons: int, rng: np.random.Generator
) -> Iterator[pd.DataFrame]:
    """Give the tests in each simulated study."""
    if not matrices:
        return
    base = _first(plan, matrices[0], persons, rng)
    truth = [*plan.beta, *plan.sds[::-1]]
    for x in matrices:
        design = replace(base.design, x=x[base.design.cell_item])
        yield from _study(replace(base, design=design, psi=np.array(truth)), rng)


def _first(plan: Plan, x: Float[np.ndarray, "I k"], persons: int, rng: np.random.Generator) -> Fit:
    """Return a fit that has the model and the design of all replicates."""
    import pandas as pd

    eta = x @ plan.beta + rng.normal(scale=plan.sds[1], size=(persons, 1))
    person, item = np.divmod(np.arange(eta.size), len(x))
    y = rng.random(eta.size) < 1 / (1 + np.exp(-eta.ravel()))
    frame = pd.DataFrame(x[item, 1:], columns=list(plan.effects))
    frame = frame.assign(id=person, item=item, resp=y.astype(int))
    terms = [f"`{name}`" for name in plan.effects]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return lltm(frame, f"~ {' + '.join(terms)} + (1 | item)", check=False)


def _study(truth: Fit, rng: np.random.Generator) -> Iterator[pd.DataFrame]:
    """Give the tests of responses drawn from the truth, nothing where the fit does not converge."""
    key = jax.random.PRNGKey(int(rng.integers(2**31)))
    there = converged_on(truth, with_responses(truth.design, draw(truth, key)))
    if there is not None:
        yield _tested(there)


def _tested(fit: Fit) -> pd.DataFrame:
    """Return estimates with se and df of t tests, and the se of z tests."""
    z = fit.fixed[["term", "estimate", "se"]].set_index("term").rename(columns={"se": "se_z"})
    if item_terms(fit):
        return z.join(feature_tests(fit).set_index("term")[["se", "df"]], how="right")
    return z.assign(se=np.nan, df=np.nan)


def _of_fit(
    fit: Fit, persons: int, alpha: float, n: int, seed: np.random.SeedSequence
) -> pd.DataFrame:
    """Return the rows of a fit taken as the truth."""
    rng, own = np.random.default_rng(seed), len(fit.design.persons)
    found: list[pd.DataFrame] = []
    for _ in range(n):
        truth = fit
        if persons != own:
            design = of_persons(fit.design, rng.integers(own, size=persons))
            truth = replace(fit, design=design)
        found += _study(truth, rng)
    tests = _tested(fit)["estimate"].drop("(Intercept)", errors="ignore")
    table = _summary(tests.to_dict(), found, alpha)
    return table.assign(persons=persons, items=len(fit.design.items))


def _summary(
    effects: Mapping[str, float], studies: Iterable[pd.DataFrame], alpha: float
) -> pd.DataFrame:
    """Return power, errors and coverage of each effect over studies."""
    import pandas as pd
    from scipy.special import ndtri, stdtrit

    found, rows = list(studies), []
    every = pd.concat(found) if found else pd.DataFrame()
    for term, effect in effects.items():
        row: dict[str, Any] = {"term": term, "effect": effect, "replicates": 0}
        if found:
            own = every.loc[[term]]
            t = _rates(own, own["se"], stdtrit(own["df"], 1 - alpha / 2), effect)
            z = _rates(own, own["se_z"], ndtri(1 - alpha / 2), effect)
            row |= {"replicates": len(own), "estimate": own["estimate"].mean()}
            row |= {"sd": own["estimate"].std(), "power_se": t.pop("power_se")} | t
            row |= {f"{name}_z": z[name] for name in ("se", "power", "coverage")}
        rows.append(row)
    return pd.DataFrame(rows)


def _rates(own: pd.DataFrame, se: pd.Series, far: Any, effect: float) -> dict[str, float]:
    """Return the mean standard error, how often zero is rejected, and the effect covered."""
    if se.isna().all():
        return dict.fromkeys(("se", "power", "power_se", "coverage"), np.nan)
    rejected = (own["estimate"].abs() > far * se).mean()
    return {
        "se": se.mean(),
        "power": rejected,
        "power_se": float(np.sqrt(rejected * (1 - rejected) / len(own))),
        "coverage": ((own["estimate"] - effect).abs() <= far * se).mean(),
    }
