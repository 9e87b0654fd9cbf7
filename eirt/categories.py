"""The doors for several categories: graded, partial credit, rating scale, sequential, nominal.

All predict UP: the higher ability and easiness, the higher the category.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

from eirt.doors import SLOPES, Options, Slopes, fit_items
from eirt.links import Link
from eirt.responses import Adjacent, Cumulative, Nominal, Response, Sequential
from eirt.results import Fit

Thresholds = Literal["item", "common"]


def grm(
    data: Any,
    *,
    slopes: Slopes = "item",
    thresholds: Thresholds = "item",
    link: str | Link = "logit",
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the graded response model: cumulative logits.

        P(y_pi >= c) = F(a_i theta_p + easiness_i - threshold_ic),   theta_p ~ N(0, 1)

    The first threshold of each item is zero: easiness stands for it. `fit.difficulty()` gives
    b_ic = (threshold_ic - easiness_i) / a_i.

    Args:
        data: as for `rasch`; categories are ordered numbers, or an ordered categorical. Items may
            have different numbers of them.
        slopes: "item", a slope each; "common", one; "unit", slopes one and a free variance.
        thresholds: "item", thresholds of its own for each item; "common", distances on the scale
            of ability that all items share (the rating scale form).
        link: the distribution function F.
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates.
        wide: as for `rasch`.
        **options: see `Options`.

    Returns:
        The fit.

    Raises:
        DataError: if an item lacks a category below its highest; see `Options.unused`.

    Source: Samejima (1969); Muraki (1990) for common thresholds.

    >>> import eirt
    >>> round(eirt.grm(eirt.load("verbagg")).loglik, 4)
    -6285.8175
    """
    named = "Graded rating scale" if thresholds == "common" else "Graded response"
    columns = (person, item, response)
    return _fit(data, named, Cumulative(link), slopes, thresholds, columns, ability, wide, options)


def gpcm(
    data: Any,
    *,
    slopes: Slopes = "item",
    thresholds: Thresholds = "item",
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the generalized partial credit model: adjacent-category logits.

        log P(y_pi = c) / P(y_pi = c - 1) = a_i theta_p + easiness_i - threshold_ic

    Args:
        data: as for `grm`.
        slopes: as for `grm`.
        thresholds: as for `grm`.
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates.
        wide: as for `rasch`.
        **options: see `Options`.

    Returns:
        The fit.

    Source: Muraki (1992).

    >>> import eirt
    >>> round(eirt.gpcm(eirt.load("verbagg")).loglik, 4)
    -6298.4964
    """
    named, columns = "Generalized partial credit", (person, item, response)
    return _fit(data, named, Adjacent(), slopes, thresholds, columns, ability, wide, options)


def pcm(
    data: Any,
    *,
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the partial credit model: a Rasch model of each step.

        log P(y_pi = c) / P(y_pi = c - 1) = theta_p + easiness_i - threshold_ic

    Args:
        data: as for `grm`.
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates.
        wide: as for `rasch`.
        **options: see `Options`.

    Returns:
        The fit.

    Source: Masters (1982).

    >>> import eirt
    >>> round(eirt.pcm(eirt.load("verbagg")).loglik, 4)
    -6319.7334
    """
    named, columns = "Partial credit", (person, item, response)
    return _fit(data, named, Adjacent(), "unit", "item", columns, ability, wide, options)


def rsm(
    data: Any,
    *,
    slopes: Slopes = "unit",
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the rating scale model: partial credit with thresholds that all items share.

        log P(y_pi = c) / P(y_pi = c - 1) = theta_p + easiness_i - threshold_c

    Args:
        data: as for `grm`.
        slopes: as for `grm`; those of items multiply the thresholds, too.
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates.
        wide: as for `rasch`.
        **options: see `Options`.

    Returns:
        The fit.

    Source: Andrich (1978); Muraki (1990) for slopes.

    >>> import eirt
    >>> round(eirt.rsm(eirt.load("verbagg")).loglik, 4)
    -6345.8404
    """
    named, columns = "Rating scale", (person, item, response)
    return _fit(data, named, Adjacent(), slopes, "common", columns, ability, wide, options)


def sequential(
    data: Any,
    *,
    slopes: Slopes = "unit",
    thresholds: Thresholds = "item",
    link: str | Link = "logit",
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the sequential model: steps taken one after the other (continuation ratios).

        P(y_pi >= c | y_pi >= c - 1) = F(a_i theta_p + easiness_i - threshold_ic)

    Args:
        data: as for `grm`.
        slopes: as for `grm`.
        thresholds: as for `grm`.
        link: the distribution function F; "cloglog" is the hazard of grouped durations.
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates.
        wide: as for `rasch`.
        **options: see `Options`.

    Returns:
        The fit.

    Source: Tutz (1990); Mellenbergh (1995).

    >>> import eirt
    >>> eirt.sequential(eirt.load("verbagg")).n_params
    49
    """
    named, columns = "Sequential", (person, item, response)
    return _fit(data, named, Sequential(link), slopes, thresholds, columns, ability, wide, options)


def nominal(
    data: Any,
    *,
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the nominal response model: how much ability each category takes is estimated.

        P(y_pi = c) proportional to exp{s_ic (a_i theta_p + easiness_i) + d_ic}

    with scores s_i0 = 0 and s_iC = C for the last category; d_i0 = d_iC = 0.

    Args:
        data: as for `grm`; the first and the last category should be ordered.
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates.
        wide: as for `rasch`.
        **options: see `Options`.

    Returns:
        The fit; scores and intercepts of categories are in `fit.response_parameters`.

    Source: Bock (1972); Thissen, Cai & Bock (2010) for the scores.

    >>> import eirt
    >>> round(eirt.nominal(eirt.load("verbagg")).loglik, 4)
    -6276.2399
    """
    named, columns = "Nominal response", (person, item, response)
    return _fit(data, named, Nominal(), "item", "item", columns, ability, wide, options)


def _fit(
    data: Any,
    name: str,
    family: Response,
    slopes: str,
    thresholds: str,
    columns: tuple[str, str, str],
    ability: str | None,
    wide: bool | Sequence[str],
    options: Options,
) -> Fit:
    for what, chosen, known in (
        ("slopes", slopes, tuple(SLOPES)),
        ("thresholds", thresholds, ("item", "common")),
    ):
        if chosen not in known:
            raise ValueError(f"No {what} {chosen!r}; there are {', '.join(map(repr, known))}.")
    slope, discrimination = SLOPES[slopes]
    common = thresholds == "common"
    shared: Options = {
        "family": family,
        "by_item": not common,
        "threshold_scale": "ability" if common else "response",
    }
    choices: Options = {**shared, **options}
    return fit_items(data, name, slope, discrimination, *columns, ability, wide, choices)
