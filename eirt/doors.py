"""Behind the front doors: check the data, build the design and the model, fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from eirt import frames
from eirt._compiled import expect
from eirt.assumptions import assume
from eirt.building import build
from eirt.checks import checked
from eirt.devices import chosen, on
from eirt.effects import STEEP, Linear, LogLinear, Slope, Unit
from eirt.errors import DataError, FormulaError
from eirt.exchange import OWNER, exchanged, united
from eirt.extras import on_thresholds
from eirt.fit import fit
from eirt.formula import (
    Formula,
    RandomTerm,
    offset_columns,
    one_sided,
    variables,
)
from eirt.identification import identify
from eirt.likelihood import Likelihood, Prior
from eirt.likelihood.base import Precision
from eirt.model import Model, part_sizes
from eirt.optimisers import Optimiser
from eirt.responses import Bernoulli, Response
from eirt.results import Fit
from eirt.terms import Explained
from eirt.wide import Wide, from_wide, with_table

if TYPE_CHECKING:
    import jax
    import pandas as pd


Slopes = Literal["item", "common", "unit"]
SLOPES: dict[str, tuple[Slope, str | None]] = {
    "item": (Linear(), "0 + `{item}`"),
    "common": (Linear(), "1"),
    "unit": (Unit(), None),
}


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
        by_item: whether each item has the family's extra parameters for itself: thresholds,
            asymptotes, dispersion.
        threshold_scale: whether thresholds shift eta ("response"), or ability, so that the slope
            multiplies them ("ability": rating scale models with slopes).
        unused: an item with thresholds of its own that lacks a category below its highest:
            "error", or "close" numbers the categories that it has without gaps.
        ability_sd: formula of person covariates for the logarithm of the sd of ability.
        group: column of groups of persons, each with its own mean and variance of ability.
        anchors: by name, the value at which a parameter is fixed, or the name of the parameter to
            which it is tied.
        priors: priors (`Normal`, `LogNormal`, `Beta`) by parameter name, or for a kind:
            "easiness", "discrimination", "logit_guessing", ...
        progress: True shows every iteration, False none, None those of long fits.
        check: whether to estimate the likelihood's error; None does where it is cheap.
        precision: of searches on shared nodes, "double" or "mixed" (products in single precision,
            sums in double); None is mixed where that is quicker. All end in double precision.
        device: where to compute: None for JAX's default; "cpu", "gpu" or "tpu"; "all", or a list of
            JAX's devices, to spread persons over them (of all processes that `jax.distributed`
            joins, each of which then passes its own persons).
        name: what to call the fit in tables.
    """

    family: Response
    likelihood: Likelihood | None
    optimiser: Optimiser | None
    reference: Any
    missing: Literal["error", "drop"]
    duplicates: Literal["error", "first", "keep"]
    extreme: Literal["error", "drop", "keep"]
    by_item: bool
    threshold_scale: Literal["response", "ability"]
    unused: Literal["error", "close"]
    ability_sd: str | None
    group: str | None
    anchors: Mapping[str, float | str]
    priors: Mapping[str, Prior]
    progress: bool | None
    check: bool | None
    precision: Precision | None
    device: str | jax.Device | Sequence[jax.Device] | None
    name: str


def fit_items(
    data: Any,
    name: str,
    slope: Slope,
    discrimination: str | None,
    person: str,
    item: str,
    response: str,
    ability: str | None,
    wide: bool | Sequence[str],
    options: Options,
) -> Fit:
    """Fit a model with a free easiness per item."""
    frame = frames.to_pandas(data)
    numbered = bool(wide) and person not in frame.columns  # a row a person: nobody answers twice
    frame, table = opened(frame, wide, person, item, response, ability, options)
    frames.require_columns(frame, [person, item, response], "persons, items and responses")
    asked = Formula(None, f"0 + `{item}`", ())
    return fit_terms(
        frame,
        with_persons(asked, person, ability, response, options),
        slope,
        [steepness(slope, discrimination.format(item=item))] if discrimination else [],
        person,
        item,
        options,
        titled(name, ability),
        paired=not numbered and table is None,
        free_items=True,
        table=table,
    )


def opened(
    frame: pd.DataFrame,
    wide: bool | Sequence[str],
    person: str,
    item: str,
    response: str,
    ability: str | None,
    options: Options,
) -> tuple[pd.DataFrame, Wide | None]:
    """Return one row a response; of persons x items the rows that make cells, and a table of it."""
    if not wide:
        return frame, None
    devices = chosen(options.get("device"))
    return from_wide(frame, wide, about_persons(ability, options), person, item, response, devices)


def about_persons(ability: str | None, options: Options) -> list[str]:
    """Return the columns that formulas of persons use."""
    texts = [ability, options.get("ability_sd"), options.get("group")]
    return [name for text in texts if text for name in variables(one_sided(text, "").fixed)]


def steepness(slope: Slope, formula: str, places: tuple[int, ...] = (0,)) -> Explained:
    """Return the formula of discrimination, named after what it explains."""
    label = "log_discrimination" if isinstance(slope, LogLinear) else "discrimination"
    return Explained(STEEP, label, one_sided(formula, label), places)


def explain_terms(
    discrimination: str | None,
    link: str,
    guessing: str | None,
    thresholds: str | None,
    ability: Formula | None = None,
) -> tuple[Slope, list[Explained]]:
    """Return the slope and the explained parameters that formulas ask for."""
    links = {"log": LogLinear(), "identity": Linear()}
    if link not in links:
        raise ValueError(f"No discrimination_link {link!r}; there are 'log' and 'identity'.")
    slope: Slope = links[link] if discrimination else Unit()
    explained = [steepness(slope, discrimination)] if discrimination else []
    if guessing:
        formula = one_sided(guessing, "guessing")
        explained.append(Explained("extra", "logit_guessing", formula))
    if thresholds:
        explained.append(Explained("extra", "threshold", one_sided(thresholds, "thresholds"), ()))
    if ability is not None:
        explained.append(Explained("ability", "ability", ability, ()))
    return slope, explained


def titled(name: str, ability: str | None) -> str:
    """Name a model after what it holds."""
    return f"{name} + ability covariates" if ability else name


def with_persons(
    asked: Formula, person: str, ability: str | None, response: str, options: Options
) -> Formula:
    """Add the persons' random effect and covariates to an item formula."""
    fixed, offsets = asked.fixed, asked.offsets
    for text in (ability, options.get("group")):
        if text is not None:
            extra = one_sided(text, "ability")
            if extra.random:
                raise FormulaError(f"ability={text!r} must be '~ covariates of persons'.")
            fixed, offsets = f"{fixed} + {extra.fixed}", offsets + extra.offsets
    random = asked.random
    if not any(term.group == (person,) for term in random):
        random = (RandomTerm("1", (person,)), *random)
    return Formula(response, fixed, random, offsets)


def fit_terms(
    frame: pd.DataFrame,
    formula: Formula,
    slope: Slope,
    explained: Sequence[Explained],
    person: str | None,
    item: str | None,
    options: Options,
    name: str,
    *,
    paired: bool,
    free_items: bool = False,
    table: Wide | None = None,
) -> Fit:
    """Check the data, build the design and the model, and fit."""
    devices, owner = chosen(options.get("device")), None
    if devices is None:
        expect(name, formula, slope, len(frame))
    apart = devices is not None and devices.apart
    if apart:
        frame, table = exchanged(frame, table)
    family = options.get("family", Bernoulli())
    if options.get("by_item") and item is None:
        raise DataError("by_item=True needs to know the items: name their column by item=.")
    explained = [*explained, *_spread(options)]
    frame, y, labels, family, dropped, own_labels = checked(
        frame, formula, explained, family, person, item, options, paired, free_items
    )
    explained = [on_thresholds(part, family) for part in explained]
    if apart and table is None:
        owner = frame.pop(OWNER).to_numpy()
    design = build(
        frame,
        formula,
        y,
        labels,
        response=str(formula.response),
        person=person,
        item=item,
        intercept=family.has_intercept,
        explained=explained,
        family=family,
        dropped=dropped,
        own_labels=own_labels,
    )
    if table is not None:
        design = with_table(design, table)
    if apart:
        design = united(design, owner)
    if devices is not None and len(devices.each) > 1:
        design = replace(design, devices=devices)
    effects, scales = assume(design, slope)
    by_item = options.get("by_item", False)
    offsets = dict.fromkeys(offset_columns(formula, design.x_names), 1.0)
    known = {**scales, **identify(design, family, by_item), **offsets}
    anchors = {**known, **(options.get("anchors") or {})}
    model = Model(
        family,
        effects,
        n_fixed=len(design.x_names),
        parts=part_sizes(design),
        n_items=max(len(design.items), 1),
        aux_by_item=by_item,
        aux_steep=options.get("threshold_scale") == "ability",
        ability_places=design.ability_places,
    )
    with on(devices):
        return fit(
            model,
            design,
            options.get("likelihood"),
            options.get("optimiser"),
            name=options.get("name", name),
            anchors=anchors,
            priors=options.get("priors"),
            progress=options.get("progress"),
            check=options.get("check"),
            precision=options.get("precision"),
        )


def _spread(options: Options) -> list[Explained]:
    """Return the formula of the variance of ability, if it differs between persons."""
    text = options.get("ability_sd") or options.get("group")
    if not text:
        return []
    formula = one_sided(text, "ability_sd")
    if formula.random:
        raise FormulaError(f"ability_sd={text!r} must be '~ covariates of persons'.")
    return [Explained("spread", "log_sd", formula)]
