"""The main job on real data: explain verbal aggression by features of items and of persons."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import eirt
from eirt import report

if TYPE_CHECKING:
    import pandas as pd

    from eirt import Fit

COLUMNS = {"person": "id", "item": "item", "response": "r2"}
FEATURES = "~ btype + situ + mode"
RESIDUALS = f"{FEATURES} + (1 | item)"
ABILITY = "~ Anger + Gender"

ABOUT = """\
Verbal aggression (Vansteelandt, 2000): {persons} students said of {items} reactions whether they
would show them ({n} responses, r2: Y or N). Each item crosses
  btype  the behaviour: curse, scold or shout
  situ   who is to blame: other or self
  mode   wanting to do it or actually doing it
Of each student the trait anger score (Anger) and the gender are known."""

MODELS = f"""\
  Rasch             an easiness per item; slope 1, sd of ability estimated
  1PL               the same on another scale: one slope estimated, sd of ability 1
  2PL               an easiness and a slope per item
  LLTM              easiness explained by features of items: {FEATURES}
  LLTM + residuals  and by what those leave unexplained: {RESIDUALS}
  Explanatory       and ability explained by features of persons: {ABILITY}
"""

COLUMN_HEADS = (
    "model             likelihood  log-likelihood  seconds  certificate  gradient  "
    "quadrature   Laplace"
)


def run(out: Path | None = None, quiet: bool = False) -> dict[str, Fit]:
    """Fit six models to the verbal aggression data and print what they say.

    Args:
        out: folder for tables, plots and a short summary; nothing is written where None.
        quiet: leave out the iterations of each fit.

    Returns:
        The fits: "rasch", "1pl", "2pl", "lltm", "lltm_residuals", "explanatory".
    """
    data = eirt.load("verbagg")
    _title("The data")
    print(ABOUT.format(persons=data["id"].nunique(), items=data["item"].nunique(), n=len(data)))
    _title("Six models, with the gradient and the errors of quadrature and Laplace's method")
    print(MODELS)
    print(COLUMN_HEADS)
    fits = _fit_all(data, quiet)
    comparison = eirt.compare(*fits.values())
    _print_effects(fits)
    _print_difficulties(fits)
    _title("Which model? (smallest first; chi2 tests a model against the one under `against`)")
    print(report.frame_text(comparison.drop(columns="likelihood")))
    _print_features(fits["explanatory"], data)
    _print_standard_errors(fits["lltm"], fits["lltm_residuals"])
    if out is not None:
        _write(fits, comparison, out)
    return fits


def _fit_all(data: pd.DataFrame, quiet: bool) -> dict[str, Fit]:
    options: dict[str, Any] = {**COLUMNS, "progress": not quiet}
    models = {
        "rasch": lambda: eirt.rasch(data, **options),
        "1pl": lambda: eirt.one_pl(data, **options),
        "2pl": lambda: eirt.two_pl(data, **options),
        "lltm": lambda: eirt.lltm(data, FEATURES, **options),
        "lltm_residuals": lambda: eirt.lltm(data, RESIDUALS, name="LLTM + residuals", **options),
        "explanatory": lambda: eirt.lltm(
            data, RESIDUALS, ability=ABILITY, name="Explanatory", **options
        ),
    }
    fits = {}
    for key, fit in models.items():
        began = time.perf_counter()
        fits[key] = fit()
        print(_line(fits[key], time.perf_counter() - began), flush=True)
    return fits


def _line(fit: Fit, seconds: float) -> str:
    """Return log-likelihood, time and certificate of a fit in a line under `COLUMN_HEADS`."""
    verdict = "converged" if fit.converged else "FAILED"
    quadrature, laplace = (
        "" if error is None else f"{abs(error):.0e}"
        for error in (fit.quadrature_error, fit.laplace_error)
    )
    return (
        f"{fit.name:<18}{fit.likelihood.name:<12}{fit.loglik:>14.3f}{seconds:>9.1f}  {verdict:<11}"
        f"{fit.certificate.gradient:>10.0e}{quadrature:>12}{laplace:>10}"
    ).rstrip()


def _print_effects(fits: dict[str, Fit]) -> None:
    for key in ("lltm", "lltm_residuals", "explanatory"):
        _title(f"{fits[key].name}: effects on easiness, in logits")
        print(report.frame_text(fits[key].fixed))
        print()
        print(report.frame_text(fits[key].random))


def _print_difficulties(fits: dict[str, Fit]) -> None:
    _title("Difficulty = -easiness / slope: Rasch and 1PL are one model on two scales")
    table = difficulties(fits["rasch"], fits["1pl"])
    print(report.frame_text(table))
    sd = fits["rasch"].random["sd"].iloc[0]
    gap = np.abs(table["rasch_standardised"] - table["1pl"]).max()
    print(
        f"\nRasch fixes the slope at 1 and estimates sd(ability) = {sd:.3f}; 1PL fixes sd(ability) "
        f"at 1\nand estimates the slope. Rasch difficulties divided by {sd:.3f} are those of the "
        f"1PL: the largest\ndifference is {gap:.0e}."
    )


def difficulties(rasch: Fit, one_pl: Fit) -> pd.DataFrame:
    """Return difficulties of the Rasch model on its own and the standard scale, and of the 1PL."""
    table = rasch.difficulty().rename(columns={"difficulty": "rasch"})
    table["rasch_standardised"] = rasch.difficulty(scale="standard")["difficulty"]
    table["1pl"] = one_pl.difficulty()["difficulty"]
    return table.filter(["item", "rasch", "se", "rasch_standardised", "1pl"])


def _print_features(fit: Fit, data: pd.DataFrame) -> None:
    _title("What each feature does, in logits, odds and probability")
    table = fit.feature_effects()
    print(report.frame_text(table))
    print()
    for row in table.to_dict("records"):
        print(sentence(row, data))


def sentence(row: dict[str, Any], data: pd.DataFrame) -> str:
    """Say in words what one row of `feature_effects` means.

    Args:
        row: a row of the table.
        data: the data, whose categoricals tell the reference levels.

    >>> import pandas as pd
    >>> data = pd.DataFrame({"mode": pd.Categorical(["want", "do"], ["want", "do"])})
    >>> row = {
    ...     "term": "mode[do]",
    ...     "odds_ratio": 0.5,
    ...     "odds_ratio_lower": 0.4,
    ...     "odds_ratio_upper": 0.6,
    ...     "probability": -0.1,
    ... }
    >>> print(sentence(row, data))
    Do rather than want (mode) multiplies the odds of a verbally aggressive response by 0.50 (95% CI
      0.40 to 0.60) and changes its probability by -10.0 percentage points on average.
    """
    import textwrap

    feature, _, level = row["term"].rstrip("]").partition("[")
    what = f"one unit more of {feature}"
    if level:
        what = f"{level} rather than {data[feature].cat.categories[0]} ({feature})"
    lower, upper = row["odds_ratio_lower"], row["odds_ratio_upper"]
    unsettled = ", which includes 1" if lower < 1 < upper else ""
    said = (
        f"{what[0].upper()}{what[1:]} multiplies the odds of a verbally aggressive response by "
        f"{row['odds_ratio']:.2f} (95% CI {lower:.2f} to {upper:.2f}{unsettled}) and changes its "
        f"probability by {100 * row['probability']:+.1f} percentage points on average."
    )
    return textwrap.fill(said, 98, subsequent_indent="  ")


def _print_standard_errors(without: Fit, with_residuals: Fit) -> None:
    _title("Why the standard errors of item features grow with item residuals")
    table = standard_errors(without, with_residuals)
    print(report.frame_text(table))
    low, high = table["ratio"].min(), table["ratio"].max()
    sd = with_residuals.random.set_index("group")["sd"]["item"]
    print(
        f"\nThe LLTM says that features explain the items perfectly, so that all "
        f"{without.n_obs} responses are\nevidence on the features. But items with the same "
        f"features differ: their residuals have sd {sd:.2f}.\nWith (1 | item) the evidence is "
        f"{len(without.design.items)} items, and the standard errors are {low:.1f} to {high:.1f} "
        "times as large."
    )


def standard_errors(without: Fit, with_residuals: Fit) -> pd.DataFrame:
    """Return the standard errors of the features in an LLTM without and with item residuals."""
    table = without.fixed[["term", "se"]].merge(
        with_residuals.fixed[["term", "se"]], on="term", suffixes=("_lltm", "_with_residuals")
    )
    table = table[table["term"] != "(Intercept)"].reset_index(drop=True)
    return table.assign(ratio=table["se_with_residuals"] / table["se_lltm"])


def _write(fits: dict[str, Fit], comparison: pd.DataFrame, out: Path) -> None:
    """Write tables, plots and the summary."""
    out.mkdir(parents=True, exist_ok=True)
    tables = {
        "comparison": comparison,
        "difficulty": difficulties(fits["rasch"], fits["1pl"]),
        "difficulty_2pl": fits["2pl"].difficulty(),
        "features": fits["explanatory"].feature_effects(),
        "standard_errors": standard_errors(fits["lltm"], fits["lltm_residuals"]),
        "items": fits["lltm_residuals"].items,
        "persons": fits["explanatory"].persons(),
    }
    for key in ("lltm", "lltm_residuals", "explanatory"):
        tables |= {f"fixed_{key}": fits[key].fixed, f"random_{key}": fits[key].random}
    for name, table in tables.items():
        table.to_csv(out / f"{name}.csv", index=False)
    fits["rasch"].plot("wright", colour="btype").save(out / "wright.png")
    fits["2pl"].plot("icc").save(out / "icc.png")
    summary = report.markdown(list(fits.values()), comparison)
    (out / "summary.md").write_text(summary, encoding="utf-8")
    print(f"\nTables, plots and summary.md are in {out}.")


def _title(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")
