"""The explanatory doors: a formula for each parameter, and several dimensions of ability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from eirt import frames
from eirt.doors import (
    Options,
    explain_terms,
    fit_terms,
    opened,
    steepness,
    with_persons,
)
from eirt.effects import Linear, Unit
from eirt.errors import DataError, FormulaError, listing, nearest
from eirt.formula import (
    Formula,
    RandomTerm,
    formula_columns,
    one_sided,
    parse,
    require_variables,
)
from eirt.results import Fit
from eirt.terms import Explained

if TYPE_CHECKING:
    import pandas as pd

Link = Literal["log", "identity"]


def explain(
    data: Any,
    *,
    easiness: str = "~ 1",
    discrimination: str | None = None,
    guessing: str | None = None,
    thresholds: str | None = None,
    ability: str | None = None,
    discrimination_link: Link = "log",
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    **options: Unpack[Options],
) -> Fit:
    """Fit an item response model with a formula for each parameter.

        logit P(y_pi = 1) = a_i theta_p + e_i,   theta_p ~ N(z_p'gamma, exp(2 w_p'delta))
        e_i = x_i'beta + r_i,   log a_i = v_i'alpha + s_i,   (r_i, s_i) ~ N(0, Sigma)

    Each formula may hold features, factors, and random residuals `(1 | item)`; residuals of the
    same level on easiness and discrimination correlate unless written with `||`. Without a formula
    slopes are one and the variance of ability is free (Rasch); `discrimination="~ 1"` is the 1PL,
    `"~ 0 + item"` the 2PL. Where discrimination is explained, the variance of ability is one.

    Args:
        data: one row a response.
        easiness: formula of easiness; `(0 + mode | person)` replaces the persons' intercept by
            several dimensions, `(1 | person:testlet)` adds testlets.
        discrimination: formula of (log-)discrimination.
        guessing: formula of the logit of the lower asymptote, with `family=eirt.Guessing()`.
        thresholds: features by which the later intercepts of an ordered response shift more or
            less than the first (partial proportional odds).
        ability: formula of the mean of ability; `(1 | school)` for effects of groups of persons.
        discrimination_link: "log" (positive slopes), or "identity" (loadings of any sign).
        person: the person column.
        item: the item column.
        response: the response column.
        **options: see `Options`; `ability_sd` and `group` explain the variance of ability.

    Returns:
        The fit.

    Raises:
        FormulaError: if a formula cannot be read or names what the data lack.
        DataError: if the data cannot be used as they are.

    Source: De Boeck & Wilson (2004); random residuals on both parameters, Klein Entink, Fox & van
    der Linden (2009); De Boeck (2008).

    >>> import eirt
    >>> fit = eirt.explain(
    ...     eirt.load("verbagg"),
    ...     easiness="~ btype + situ + mode",
    ...     discrimination="~ mode",
    ...     response="r2",
    ... )
    >>> round(fit.loglik, 3)
    -4116.589
    """
    frame = frames.to_pandas(data)
    frames.require_columns(frame, [person, item, response], "persons, items and responses")
    asked = one_sided(easiness, "easiness")
    several = any(term.group[:1] == (person,) and term.effects != "1" for term in asked.random)
    about = one_sided(ability, "ability") if ability else None
    means = None
    if about is not None and (about.random or several):
        means, ability = about, None
    slope, explained = explain_terms(
        discrimination, discrimination_link, guessing, thresholds, means
    )
    for part in (asked, *(part.formula for part in explained)):
        require_variables(frame, formula_columns(part))
    return fit_terms(
        frame,
        with_persons(asked, person, ability, response, options),
        slope,
        explained,
        person,
        item,
        options,
        "Explanatory model",
        paired=True,
    )


def eirm(
    data: Any,
    formula: str,
    *,
    discrimination: str | None = None,
    guessing: str | None = None,
    thresholds: str | None = None,
    discrimination_link: Link = "log",
    person: str | None = None,
    item: str | None = None,
    **options: Unpack[Options],
) -> Fit:
    """Fit an explanatory item response model as a generalized linear mixed model.

        link E(y) = x'beta + z'b,   b ~ N(0, Sigma) for every term (z | group)

    Args:
        data: one row a response.
        formula: lme4's grammar, "y ~ x + (1 | person) + (1 + x | item)".
        discrimination: formula of the persons' (log-)slope, as for `explain`.
        guessing: formula of the lower asymptote, as for `explain`.
        thresholds: features that move later intercepts, as for `explain`.
        discrimination_link: "log" or "identity".
        person: grouping factor to integrate first; by default the one with most levels.
        item: the item column; "item" where there is one in the formula.
        **options: see `Options`.

    Returns:
        The fit.

    Raises:
        FormulaError: if the formula cannot be read or names what the data lack.
        DataError: if the data cannot be used as they are.

    Source: De Boeck & Wilson (2004); De Boeck et al. (2011).

    >>> import eirt
    >>> va = eirt.load("verbagg")
    >>> fit = eirt.eirm(va, "r2 ~ btype + situ + mode + (1 | id)")
    >>> round(float(fit.random["sd"][0]), 3)
    1.346
    """
    asked = parse(formula)
    if asked.response is None:
        raise FormulaError(f"Name the response left of '~': 'response ~ {asked.fixed}'.")
    frame = frames.to_pandas(data)
    slope, explained = explain_terms(discrimination, discrimination_link, guessing, thresholds)
    used = [name for part in explained for name in formula_columns(part.formula)]
    require_variables(frame, [asked.response, *formula_columns(asked), *used])
    for role, column in {"person": person, "item": item}.items():
        if column is not None and ":" not in column:
            frames.require_columns(frame, [column], role)
    if item is None and "item" in (*formula_columns(asked), *used):
        item = "item"
    return fit_terms(frame, asked, slope, explained, person, item, options, "EIRM", paired=False)


def mirt(
    data: Any,
    dimensions: Mapping[str, Sequence[Any]] | pd.DataFrame,
    *,
    correlated: bool = True,
    slopes: Literal["free", "unit"] = "free",
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit a confirmatory model of several dimensions of ability.

        logit P(y_pi = 1) = sum_d q_id a_id theta_pd + easiness_i,   theta_p ~ N(0, R)

    Args:
        data: as for `rasch`.
        dimensions: the items of each dimension, or a frame of zeros and ones, items x dimensions
            (a Q-matrix); an item may load on several.
        correlated: whether dimensions correlate.
        slopes: "free", a slope per item and dimension, variances one; "unit", slopes one and
            variances free (Rasch).
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates, with coefficients for each dimension.
        wide: as for `rasch`.
        **options: see `Options`.

    Returns:
        The fit.

    Raises:
        DataError: if an item of `dimensions` is not in the data, or one of the data in none.

    Source: McKinley & Reckase (1983); Reckase (2009), chapter 4.

    >>> import eirt
    >>> fit = eirt.mirt(
    ...     eirt.load("lsat7"),
    ...     {"early": ["Q1", "Q2", "Q3"], "late": ["Q4", "Q5"]},
    ...     slopes="unit",
    ...     wide=True,
    ... )
    >>> fit.random["term"].tolist()
    ['early', 'late', 'early ~ late']
    """
    frame = frames.to_pandas(data)
    frame, table = opened(frame, wide, person, item, response, ability, options)
    frames.require_columns(frame, [person, item, response], "persons, items and responses")
    frame = _with_dimensions(frame, dimensions, item)
    names = [str(name) for name in dimensions]
    effects = "0 + " + " + ".join(f"`{name}`" for name in names)
    asked = Formula(response, f"0 + `{item}`", (RandomTerm(effects, (person,), correlated),))
    every = tuple(range(len(names)))
    explained: list[Explained] = []
    if slopes == "free":
        explained.append(steepness(Linear(), f"0 + `{item}`", every))
    if ability is not None or options.get("group"):
        texts = [text for text in (ability, options.get("group")) if text]
        rhs = " + ".join(one_sided(text, "ability").fixed for text in texts)
        explained.append(Explained("ability", "ability", one_sided(rhs, "ability"), every))
    return fit_terms(
        frame,
        asked,
        Linear() if slopes == "free" else Unit(),
        explained,
        person,
        item,
        options,
        f"{len(names)}-dimensional {'2PL' if slopes == 'free' else 'Rasch'}",
        paired=table is None,
        free_items=True,
        table=table,
    )


def bifactor(
    data: Any,
    groups: Mapping[str, Sequence[Any]],
    *,
    item: str = "item",
    **options: Any,
) -> Fit:
    """Fit the bifactor model: one general dimension, and one for each group of items.

        logit P(y_pi = 1) = a_i0 theta_p0 + a_ig theta_pg + easiness_i,   all theta independent

    Args:
        data: as for `mirt`.
        groups: the items of each specific dimension; an item in none loads on the general one.
        item: the item column.
        **options: as for `mirt`.

    Returns:
        The fit.

    Source: Gibbons & Hedeker (1992).

    >>> import eirt
    >>> fit = eirt.bifactor(
    ...     eirt.load("lsat7"), {"early": ["Q1", "Q2", "Q3"]}, slopes="unit", wide=True
    ... )
    >>> fit.n_params
    7
    """
    frame = frames.to_pandas(data)
    wide = options.get("wide", False)
    names = [name for name in frame.columns if name != options.get("person", "id")]
    everything = frame[item].unique() if not wide else (names if wide is True else wide)
    dimensions = {"general": list(everything), **groups}
    options.setdefault("name", "Bifactor")
    return mirt(frame, dimensions, correlated=False, item=item, **options)


def _with_dimensions(
    frame: pd.DataFrame, dimensions: Mapping[str, Sequence[Any]] | pd.DataFrame, item: str
) -> pd.DataFrame:
    """Add a column per dimension: one where the item loads on it."""
    import pandas as pd

    if isinstance(dimensions, pd.DataFrame):
        dimensions = {name: loads.index[loads != 0] for name, loads in dimensions.items()}
    members = {str(name): [str(label) for label in items] for name, items in dimensions.items()}
    labels = frame[item].astype(str)
    known = labels.unique()
    for name, items in members.items():
        if name in frame.columns:
            raise DataError(f"The dimension {name!r} has the name of a column; rename it.")
        unknown = [label for label in items if label not in known]
        if unknown:
            raise DataError(
                f"The dimension {name!r} names the item {unknown[0]!r}, which is not in the column "
                f"{item!r}.{nearest(unknown[0], list(known))}"
            )
    homeless = [label for label in known if not any(label in items for items in members.values())]
    if homeless:
        raise DataError(
            f"{listing(homeless)} belong to no dimension; add them to one, or leave them out."
        )
    return frame.assign(**{
        name: labels.isin(items).astype(float) for name, items in members.items()
    })  # fmt: skip
