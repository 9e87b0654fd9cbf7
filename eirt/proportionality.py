"""Is what a feature does the same at every threshold? Tests of proportional odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from eirt.doors import Options
from eirt.errors import DataError, FormulaError, listing, nearest
from eirt.explanatory import eirm
from eirt.formula import parse
from eirt.inference import compare
from eirt.responses import Cumulative

if TYPE_CHECKING:
    import pandas as pd


def proportional_odds(
    data: Any,
    formula: str,
    *,
    person: str | None = None,
    terms: Sequence[str] | None = None,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Test whether the effects of features are the same at every threshold.

        F^-1 P(y >= c) = x'beta - threshold_c   against   x'beta + x'delta_c - threshold_c

    The test of a term frees its effects on the later thresholds, delta_1 = 0 being the reference,
    with all other effects proportional; a last row frees those of all terms together. With many
    responses small departures are significant: look at their size, by `thresholds=` in `eirm`.

    Args:
        data: one row a response.
        formula: as for `eirm`, with an ordered response of three categories or more.
        person: as for `eirm`.
        terms: terms of the fixed part to test; all by default.
        **options: see `Options`; `family` is `Cumulative()` by default. `Adjacent` and
            `Sequential` have the same test of their own effects.

    Returns:
        A row for each term, and one for "all" if there are several: term, loglik (of the model
        with its effects free), and the likelihood-ratio test: chi2, df, p.

    Raises:
        FormulaError: if there are no terms, or one is not in the formula.
        DataError: if the response has fewer than three categories.

    Source: Peterson & Harrell (1990); Christensen (2018) for the tests term by term.

    >>> import eirt
    >>> table = proportional_odds(eirt.load("verbagg"), "resp ~ situ + mode")
    >>> table[["term", "chi2", "df", "p"]].round(3)
       term    chi2  df     p
    0  situ  23.814   1  0.00
    1  mode   0.232   1  0.63
    2   all  23.925   2  0.00
    """
    import pandas as pd

    known = _terms(formula)
    for term in terms or ():
        if term not in known:
            there = f"there are {listing(known)}.{nearest(term, known)}"
            raise FormulaError(f"No term {term!r}; {there}")
    asked = list(dict.fromkeys(terms or known))
    choices: Options = {"family": Cumulative(), **options}
    if choices["family"].kind != "ordered":
        raise ValueError(f"{choices['family']} has no order; choose a family of ordered responses.")
    same = eirm(data, formula, person=person, **choices)
    if len(same.design.labels) < 3:
        raise DataError(f"{same.design.response!r} has one threshold only: nothing can differ.")
    sets = {term: term for term in asked}
    if len(asked) > 1:
        sets["all"] = " + ".join(asked)
    rows = []
    for name, thresholds in sets.items():
        named: Options = {**choices, "name": f"{same.name}, thresholds by {thresholds}"}
        free = eirm(data, formula, person=person, thresholds=f"~ {thresholds}", **named)
        rows.append({"term": name, **compare(same, free).iloc[1]})
    return pd.DataFrame(rows, columns=["term", "loglik", "chi2", "df", "p"])


def _terms(formula: str) -> list[str]:
    """Return the terms of the fixed part, without the intercept."""
    import formulaic

    fixed = parse(formula).fixed
    found = [str(term) for term in formulaic.Formula(fixed)]
    known = [term for term in found if term not in ("0", "1")]
    if not known:
        raise FormulaError(f"{formula!r} has no terms whose effects could differ.")
    return known
