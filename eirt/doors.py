"""Behind the front doors: check the data, build the design and the model, fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np

from eirt import frames
from eirt.design import Design, build
from eirt.effects import Covariance, Diagonal, Effect, Scalar, Slope, Unit, Unstructured
from eirt.errors import FormulaError
from eirt.fit import fit
from eirt.formula import Formula, RandomTerm, formula_columns, parse, require_variables, variables
from eirt.likelihood import Likelihood, Normal
from eirt.model import Model
from eirt.optimisers import Optimiser
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


def fit_items(
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
    family = options.get("family", Bernoulli())
    if not family.has_intercept:
        raise ValueError(
            f"{name} has an easiness per item, which the thresholds of {type(family).__name__} "
            "already hold; use eirt.eirm with item features or (1 | item)."
        )
    frame = frames.to_pandas(data)
    if wide:
        covariates = variables(parse(ability).fixed) if ability else ()
        every = [column for column in frame.columns if column not in (person, *covariates)]
        frame = frames.melt(frame, every if wide is True else list(wide), person, item, response)
    frames.require_columns(frame, [person, item, response], "persons, items and responses")
    asked = Formula(None, f"0 + `{item}`", ())
    return fit_terms(
        frame,
        with_persons(asked, person, ability, response),
        Effects(slope, covariance),
        person,
        item,
        options,
        titled(name, ability),
        paired=True,
        free_items=True,
    )


def titled(name: str, ability: str | None) -> str:
    """Name a model after what it holds."""
    return f"{name} + ability covariates" if ability else name


def with_persons(asked: Formula, person: str, ability: str | None, response: str) -> Formula:
    """Add the persons' random effect and covariates to an item formula."""
    fixed = asked.fixed
    if ability is not None:
        extra = parse(ability)
        if extra.response is not None or extra.random:
            raise FormulaError(f"ability={ability!r} must be '~ covariates of persons'.")
        fixed = f"{fixed} + {extra.fixed}"
    return Formula(response, fixed, (RandomTerm("1", (person,)), *asked.random))


def fit_terms(
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
    groups = [name for name in (person, item) if name is not None and name in frame.columns]
    frame, dropped = frames.drop_missing_responses(frame, response, groups, missing)
    used = [*formula_columns(formula), *groups]
    require_variables(frame, used)
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
    # a subset of the data keeps the categories of the whole: those without rows are no levels
    present = {
        name: frame[name].cat.remove_unused_categories()
        for name in frame.columns
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    }
    return frame.assign(**present).reset_index(drop=True), y, labels, dropped
