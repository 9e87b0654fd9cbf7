"""The front doors: named models, each a choice of response, effects, likelihood, optimiser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import numpy as np

from eirt import frames
from eirt.design import Design, build
from eirt.effects import Common, Covariance, Diagonal, Effect, Free, Scalar, Slope, Standard, Unit
from eirt.effects import Unstructured
from eirt.errors import FormulaError
from eirt.fit import Optimiser, fit
from eirt.formula import Formula, RandomTerm, formula_columns, parse, require_variables, variables
from eirt.likelihood import Likelihood, Normal
from eirt.model import Model
from eirt.responses import Bernoulli, Response
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd


class Options(TypedDict, total=False):
    """What every door takes besides the model.

    Attributes:
        family: response family; Bernoulli("logit") by default.
        likelihood: how random effects are eliminated; chosen from the design by default.
        optimiser: how the maximum is found.
        reference: the response level that counts as 0 (binary responses).
        missing: "error" refuses missing covariates and persons or items without responses,
            "drop" leaves them out and reports how many.
        duplicates: several responses of a person to an item: "error", "first", "keep".
        extreme: items that everybody answered alike: "error", "drop", "keep" (with a prior).
        anchors: parameters fixed at a value, by name.
        priors: normal priors by parameter name; "easiness" stands for all fixed effects.
        progress: True shows every iteration, False none, None those of long fits.
        check: whether to estimate the likelihood's error; None does where it is cheap.
        name: what to call the fit in tables.
    """

    family: Response
    likelihood: Likelihood | None
    optimiser: Optimiser | None
    reference: Any
    missing: Literal["error", "drop"]
    duplicates: Literal["error", "first", "keep"]
    extreme: Literal["error", "drop", "keep"]
    anchors: Mapping[str, float]
    priors: Mapping[str, Normal]
    progress: bool | None
    check: bool | None
    name: str


def rasch(
    data: Any,
    *,
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the Rasch model: a free easiness per item, unit slopes, free variance of ability.

        logit P(y_pi = 1) = theta_p + easiness_i,   theta_p ~ N(0, sigma^2)

    Args:
        data: one row a response (pandas, polars, pyarrow, or a path), or persons x items.
        person: the person column.
        item: the item column.
        response: the response column, 0/1, bool, or two levels.
        ability: formula of person covariates, "~ age + group": theta_p ~ N(z_p'gamma, sigma^2).
        wide: True where every column but `person` (and those of `ability`) is an item, or the
            names of the item columns.
        **options: see `Options`.

    Returns:
        The fit.

    Raises:
        DataError: if the data cannot be used as they are.

    Source: Rasch (1960); marginal maximum likelihood, Thissen (1982).

    >>> import eirt
    >>> round(eirt.rasch(eirt.load("lsat6"), wide=True).loglik, 3)
    -2466.938
    """
    return _by_item(data, "Rasch", Unit(), Scalar(1), person, item, response, ability, wide, options)


def one_pl(
    data: Any,
    *,
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the 1PL model: a free easiness per item, one common slope, ability N(0, 1).

        logit P(y_pi = 1) = a theta_p + easiness_i

    The Rasch model on another scale: a is its standard deviation of ability.

    Args:
        data: as for `rasch`.
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates: theta_p ~ N(z_p'gamma, 1).
        wide: as for `rasch`.
        **options: see `Options`.

    Returns:
        The fit.

    Source: Birnbaum (1968); de Ayala (2009), chapter 2.

    >>> import eirt
    >>> round(eirt.one_pl(eirt.load("lsat6"), wide=True).loglik, 3)
    -2466.938
    """
    return _by_item(data, "1PL", Common(), Standard(1), person, item, response, ability, wide, options)


def two_pl(
    data: Any,
    *,
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the 2PL model: a free easiness and a free slope per item, ability N(0, 1).

        logit P(y_pi = 1) = a_i theta_p + easiness_i

    Args:
        data: as for `rasch`.
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates: theta_p ~ N(z_p'gamma, 1).
        wide: as for `rasch`.
        **options: see `Options`.

    Returns:
        The fit.

    Source: Birnbaum (1968); Bock & Aitkin (1981).

    >>> import eirt
    >>> round(eirt.two_pl(eirt.load("lsat6"), wide=True).loglik, 3)
    -2466.653
    """
    return _by_item(data, "2PL", Free(), Standard(1), person, item, response, ability, wide, options)


def lltm(
    data: Any,
    formula: str,
    *,
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    **options: Unpack[Options],
) -> Fit:
    """Fit the linear logistic test model: item features explain easiness.

        logit P(y_pi = 1) = theta_p + x_i'beta (+ e_i),   theta_p ~ N(0, sigma^2)

    With `(1 | item)` in the formula each item keeps a random residual e_i ~ N(0, tau^2), persons
    and items being crossed: without it, the standard errors claim that features explain the
    items perfectly.

    Args:
        data: one row a response.
        formula: features of items, in easiness: "~ operation + length" or with "+ (1 | item)".
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates.
        **options: see `Options`.

    Returns:
        The fit.

    Raises:
        DataError: if a feature varies within an item, or features are collinear.

    Source: Fischer (1973); with residuals, Janssen, Schepers & Peres (2004).

    >>> import eirt
    >>> va = eirt.load("verbagg")
    >>> fit = eirt.lltm(va, "~ btype + situ + mode", response="r2")
    >>> round(fit.loglik, 3)
    -4116.613
    """
    asked = parse(formula)
    if asked.response is not None:
        raise FormulaError(f"An item formula has no left-hand side; write '~ {asked.fixed}'.")
    frame = frames.to_pandas(data)
    frames.require_columns(frame, [person, item, response], "persons, items and responses")
    require_variables(frame, formula_columns(asked))
    frames.refuse_varying(frame, variables(asked.fixed), item)
    default = "LLTM + item residuals" if asked.random else "LLTM"
    return _fit(
        frame,
        _with_persons(asked, person, ability, response),
        Effects(Unit(), Scalar(1)),
        person,
        item,
        options,
        _titled(default, ability),
        paired=True,
    )


def eirm(
    data: Any,
    formula: str,
    *,
    person: str | None = None,
    item: str | None = None,
    **options: Unpack[Options],
) -> Fit:
    """Fit an explanatory item response model as a generalized linear mixed model.

        link E(y) = x'beta + z'b,   b ~ N(0, Sigma) for every term (z | group)

    Args:
        data: one row a response.
        formula: lme4's grammar, "y ~ x + (1 | person) + (1 + x | item)".
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
    require_variables(frame, [asked.response, *formula_columns(asked)])
    for role, column in {"person": person, "item": item}.items():
        if column is not None and ":" not in column:
            frames.require_columns(frame, [column], role)
    if item is None and "item" in formula_columns(asked):
        item = "item"
    return _fit(frame, asked, Effects(), person, item, options, "EIRM", paired=False)


class Effects:
    """What each random term of a formula is taken to be.

    Args:
        slope: slope of the persons' term.
        covariance: covariance of the persons' term; by default one standard deviation for a
            single effect, else unstructured, or diagonal for `||`.
    """

    def __init__(self, slope: Slope | None = None, covariance: Covariance | None = None):
        self.slope = slope or Unit()
        self.covariance = covariance

    def of(self, design: Design) -> tuple[Effect, ...]:
        """Return an effect per term of the design."""
        return tuple(
            Effect(
                self.covariance if term.local and self.covariance else _covariance(term.source, q),
                self.slope if term.local else Unit(),
                term.local,
            )
            for term, q in ((term, len(term.effects)) for term in design.terms)
        )


def _covariance(term: RandomTerm, dimension: int) -> Covariance:
    if dimension == 1:
        return Scalar(1)
    return Unstructured(dimension) if term.correlated else Diagonal(dimension)


def _by_item(
    data: Any,
    name: str,
    slope: Slope,
    covariance: Covariance,
    person: str,
    item: str,
    response: str,
    ability: str | None,
    wide: bool | Sequence[str],
    options: Options,
) -> Fit:
    """Fit a model with a free easiness per item."""
    frame = frames.to_pandas(data)
    if wide:
        covariates = variables(parse(ability).fixed) if ability else ()
        every = [column for column in frame.columns if column not in (person, *covariates)]
        frame = frames.melt(frame, every if wide is True else list(wide), person, item, response)
    frames.require_columns(frame, [person, item, response], "persons, items and responses")
    asked = Formula(None, f"0 + `{item}`", ())
    return _fit(
        frame,
        _with_persons(asked, person, ability, response),
        Effects(slope, covariance),
        person,
        item,
        options,
        _titled(name, ability),
        paired=True,
        free_items=True,
    )


def _titled(name: str, ability: str | None) -> str:
    return f"{name} + ability covariates" if ability else name


def _with_persons(asked: Formula, person: str, ability: str | None, response: str) -> Formula:
    """Add the persons' random effect and covariates to an item formula."""
    fixed = asked.fixed
    if ability is not None:
        extra = parse(ability)
        if extra.response is not None or extra.random:
            raise FormulaError(f"ability={ability!r} must be '~ covariates of persons'.")
        fixed = f"{fixed} + {extra.fixed}"
    return Formula(response, fixed, (RandomTerm("1", (person,)), *asked.random))


def _fit(
    frame: pd.DataFrame,
    formula: Formula,
    effects: Effects,
    person: str | None,
    item: str | None,
    options: Options,
    name: str,
    *,
    paired: bool,
    free_items: bool = False,
) -> Fit:
    """Check the data, build the design and the model, and fit."""
    family = options.get("family", Bernoulli())
    frame, y, labels, dropped = _checked(
        frame, formula, family, person, item, options, paired, free_items
    )
    design = build(
        frame,
        formula,
        y,
        labels,
        response=str(formula.response),
        person=person,
        item=item,
        intercept=family.has_intercept,
        dropped=dropped,
    )
    model = Model(
        family.bind(len(labels)),
        effects.of(design),
        n_fixed=len(design.x_names),
        n_items=max(len(design.items), 1),
        ability_place=design.ability_place,
    )
    return fit(
        model,
        design,
        options.get("likelihood"),
        options.get("optimiser"),
        name=options.get("name", name),
        anchors=options.get("anchors"),
        priors=options.get("priors"),
        progress=options.get("progress"),
        check=options.get("check"),
    )


def _checked(
    frame: pd.DataFrame,
    formula: Formula,
    family: Response,
    person: str | None,
    item: str | None,
    options: Options,
    paired: bool,
    free_items: bool,
) -> tuple[pd.DataFrame, np.ndarray, tuple, dict[str, int]]:
    """Return the rows to fit, their response codes and labels, and what was left out."""
    import pandas as pd

    response, missing = str(formula.response), options.get("missing", "error")
    groups = [name for name in dict.fromkeys((person, item)) if name in frame.columns]
    frame, dropped = frames.drop_missing_responses(frame, response, groups, missing)
    used = [name for name in (*formula_columns(formula), *groups)]
    require_variables(frame, [name.strip("`") for name in used])
    frame, more = frames.drop_missing_covariates(frame, used, missing)
    dropped |= more
    if paired and item is not None and person is not None:
        duplicates = options.get("duplicates", "error")
        frame, more = frames.settle_duplicates(frame, person, item, duplicates)
        dropped |= more
    y, labels = frames.encode_response(frame[response], family.kind, options.get("reference"))
    if free_items and item is not None:
        extreme = options.get("extreme", "error")
        keep, more = frames.settle_extremes(frame, item, response, y, extreme)
        frame, y = frame[keep], y[keep]
        dropped |= more
        if not isinstance(frame[item].dtype, pd.CategoricalDtype):
            levels = [str(level) for level in frame[item].unique()]
            frame = frame.assign(**{item: pd.Categorical(frame[item].astype(str), levels)})
    return frame.reset_index(drop=True), y, labels, dropped
