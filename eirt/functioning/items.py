"""One item at a time: tests, sizes of differences, and their classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from eirt.functioning.base import Bank
from eirt.inference import likelihood_ratio
from eirt.results import Fit
from eirt.tables import wald

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

DELTA = 2.35  # units of ETS delta in a logit: 4 / 1.7 (Holland & Thayer 1988)
ONE_SIDED, TWO_SIDED = 1.645, 1.96  # 5% points, by which ETS classifies


class Rule(NamedTuple):
    """How items are tested.

    Attributes:
        test: "LR" or "Wald".
        kind: "uniform" (easiness), "nonuniform" (slope, with easiness free) or "both".
        level: an item is flagged where its adjusted p-value is below.
        adjust: "holm", "bh" or "none".
    """

    test: str
    kind: str
    level: float
    adjust: str


def tested(
    bank: Bank, items: list[str], freed: frozenset[str], focal: list[str], rule: Rule
) -> tuple[pd.DataFrame, Fit]:
    """Return the table of tests, and the fit in which just the freed items differ.

    Args:
        bank: the items.
        items: those to test.
        freed: those that are no anchors.
        focal: the focal groups.
        rule: how to test.
    """
    import pandas as pd

    baseline = bank.freed(freed, freed)
    rows = []
    for item in items:
        larger = baseline if item in freed else bank.freed(freed | {item}, freed | {item})
        test = _test(bank, item, freed, baseline, larger, rule)
        about = {"item": item, "chi2": test["chi2"], "df": test["df"], "p": test["p"]}
        rows += [about | size for size in _sizes(bank, item, larger, focal)]
    table = pd.DataFrame(rows)
    p = table.drop_duplicates("item").set_index("item")["p"]
    table["p_adjusted"] = table["item"].map(p * 0 + adjusted(p.to_numpy(), rule.adjust))
    table["flagged"] = table["p_adjusted"] < rule.level
    order = ["item", "focal", "chi2", "df", "p", "p_adjusted", "flagged"]
    return table[[*order, *table.columns.drop(order)]], baseline


def _test(
    bank: Bank, item: str, freed: frozenset[str], baseline: Fit, larger: Fit, rule: Rule
) -> dict:
    """Return chi2, df and p of one item."""
    if rule.test == "Wald":
        shifts = bank.shifts[item] if rule.kind != "nonuniform" else []
        return wald_test(larger, shifts + bank.tilts[item])
    tilted = freed - {item}
    shifted = freed | {item} if rule.kind == "nonuniform" else tilted
    smaller = baseline if shifted == tilted == freed else bank.freed(shifted, tilted)
    return likelihood_ratio(smaller, larger)


def wald_test(fit: Fit, names: list[str]) -> dict:
    """Return the Wald test that parameters are zero: chi2, df, p."""
    from scipy.special import chdtrc

    estimate, covariance = _estimates(fit, names)
    statistic = float(estimate @ np.linalg.solve(covariance, estimate))
    return {"chi2": statistic, "df": len(names), "p": float(chdtrc(len(names), statistic))}


def _estimates(
    fit: Fit, names: list[str]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n n"]]:
    """Return some parameters and their covariance."""
    places = [fit.names.index(name) for name in names]
    return fit.full[places], fit.vcov.to_numpy()[np.ix_(places, places)]


def _sizes(bank: Bank, item: str, fit: Fit, focal: list[str]) -> list[dict]:
    """Return how much easier the item is for each focal group, at equal ability.

    Where slopes differ it depends on ability: it is averaged over the focal group, as in
    standardisation (Dorans & Kulick 1986).
    """
    means = [name for name in fit.names if name.startswith("ability[")]
    rows = []
    for g, group in enumerate(focal):
        tilt = [bank.tilts[item][g], means[g]] if bank.tilts[item] else []
        estimate, covariance = _estimates(fit, [bank.shifts[item][g], *tilt])
        effect, gradient = estimate[0], np.ones(1)
        if tilt:
            effect, gradient = (
                estimate[0] + estimate[1] * estimate[2],
                np.array([1.0, estimate[2], estimate[1]]),
            )
        se = float(np.sqrt(gradient @ covariance @ gradient))
        limits = wald(np.array([effect]), np.array([se])).iloc[0]
        row = {"focal": group, "effect": effect, "se": se, "lower": limits["lower"],
               "upper": limits["upper"], "delta": DELTA * effect,
               "ets": ets_class(DELTA * effect, DELTA * se)}  # fmt: skip
        if tilt:
            row |= {"slope": estimate[1], "slope_se": float(np.sqrt(covariance[1, 1]))}
        rows.append(row)
    return rows


def ets_class(delta: float, se: float) -> str:
    """Return A (negligible), B (moderate) or C (large) for a difference on the delta scale.

        A: |delta| < 1 or not significant;   C: |delta| >= 1.5 and significantly above 1;   else B

    Args:
        delta: 2.35 times a difference in logits.
        se: its standard error.

    Source: Zieky (1993); Zwick (2012) for the tests, at 5%.

    >>> [ets_class(0.9, 0.1), ets_class(-1.6, 0.9), ets_class(-1.6, 0.4), ets_class(-1.8, 0.4)]
    ['A', 'A', 'B', 'C']
    """
    size = abs(delta)
    if size < 1 or size < TWO_SIDED * se:
        return "A"
    return "C" if size >= 1.5 and size - 1 > ONE_SIDED * se else "B"


def adjusted(p: Float[np.ndarray, " n"], how: str) -> Float[np.ndarray, " n"]:
    """Return p-values adjusted for their number.

    Args:
        p: p-values.
        how: "holm" (familywise error), "bh" (false discovery rate) or "none".

    Source: Holm (1979); Benjamini & Hochberg (1995).

    >>> adjusted(np.array([0.04, 0.01, 0.03]), "holm").tolist()
    [0.06, 0.03, 0.06]
    >>> adjusted(np.array([0.04, 0.01, 0.03]), "bh").tolist()
    [0.04, 0.03, 0.04]
    """
    from scipy.stats import false_discovery_control

    if how == "none":
        return p
    if how == "bh":
        return false_discovery_control(p)
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty_like(p)
    found[order] = np.minimum(raised, 1.0)
    return found
