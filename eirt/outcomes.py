"""The doors for guessing, counts and times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from eirt import frames
from eirt.doors import (
    SLOPES,
    Options,
    Slopes,
    about_persons,
    fit_items,
    fit_terms,
    steepness,
    titled,
    with_persons,
)
from eirt.errors import DataError
from eirt.formula import Formula, RandomTerm
from eirt.likelihood import Prior
from eirt.links import Link
from eirt.responses import Guessing, LogGaussian, Poisson
from eirt.results import Fit
from eirt.wide import to_long

SPEED = "speed"


def three_pl(
    data: Any,
    *,
    guessing: float | None = None,
    guessing_prior: Prior | None = None,
    link: str | Link = "logit",
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the 3PL model: the 2PL with a chance of guessing right for each item.

        P(y_pi = 1) = c_i + (1 - c_i) F(a_i theta_p + easiness_i),   theta_p ~ N(0, 1)

    Few responses tell of guessing where items are easy; a prior keeps it from drifting off.

    Args:
        data: as for `rasch`.
        guessing: a chance of guessing right that is known, as 1/4; estimated when None.
        guessing_prior: prior of each c_i, such as `eirt.Beta(5, 17)` (mode .2).
        link: the distribution function F.
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates.
        wide: as for `rasch`.
        **options: see `Options`.

    Returns:
        The fit; the asymptotes are in `fit.response_parameters`.

    Source: Birnbaum (1968), section 17.3.

    >>> import eirt
    >>> fit = eirt.three_pl(eirt.load("lsat7"), guessing_prior=eirt.Beta(5, 17), wide=True)
    >>> fit.n_params
    15
    """
    family, columns = Guessing(lower=guessing, link=link), (person, item, response)
    priors = {"guessing": guessing_prior}
    return _guessed(data, "3PL", family, priors, columns, ability, wide, options)


def four_pl(
    data: Any,
    *,
    guessing_prior: Prior | None = None,
    ceiling_prior: Prior | None = None,
    link: str | Link = "logit",
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the 4PL model: the 3PL with a chance of slipping for each item, too.

        P(y_pi = 1) = c_i + (d_i - c_i) F(a_i theta_p + easiness_i),   theta_p ~ N(0, 1)

    Without priors it needs thousands of persons.

    Args:
        data: as for `rasch`.
        guessing_prior: prior of each c_i, such as `eirt.Beta(5, 17)`.
        ceiling_prior: prior of each (d_i - c_i) / (1 - c_i), such as `eirt.Beta(17, 5)`.
        link: the distribution function F.
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates.
        wide: as for `rasch`.
        **options: see `Options`.

    Returns:
        The fit; the asymptotes are in `fit.response_parameters`.

    Source: Barton & Lord (1981).

    >>> import eirt
    >>> asymptotes = {"guessing_prior": eirt.Beta(5, 17), "ceiling_prior": eirt.Beta(17, 5)}
    >>> slopes = {"discrimination": eirt.LogNormal(0.0, 0.5)}
    >>> fit = eirt.four_pl(eirt.load("lsat7"), wide=True, priors=slopes, **asymptotes)
    >>> fit.n_params
    20
    """
    family, columns = Guessing(upper=None, link=link), (person, item, response)
    priors = {"guessing": guessing_prior, "ceiling": ceiling_prior}
    return _guessed(data, "4PL", family, priors, columns, ability, wide, options)


def _guessed(
    data: Any,
    name: str,
    family: Guessing,
    priors: dict[str, Prior | None],
    columns: tuple[str, str, str],
    ability: str | None,
    wide: bool | Sequence[str],
    options: Options,
) -> Fit:
    shared: Options = {"family": family, "by_item": True}
    known = {f"logit_{name}": prior for name, prior in priors.items() if prior is not None}
    shared["priors"] = known | dict(options.get("priors") or {})
    slope, discrimination = SLOPES["item"]
    choices: Options = {**options, **shared}
    return fit_items(data, name, slope, discrimination, *columns, ability, wide, choices)


def poisson_counts(
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
    """Fit the Rasch Poisson counts model, or one of its kind.

        y_pi ~ Poisson(exp(a_i theta_p + easiness_i))

    Args:
        data: as for `rasch`; responses are counts.
        slopes: "unit", slopes one; "common", one slope; "item", a slope each.
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates.
        wide: as for `rasch`.
        **options: see `Options`; other counts by `family=eirt.NegativeBinomial()`, whose
            dispersion each item has for itself by `by_item=True`.

    Returns:
        The fit.

    Source: Rasch (1960), chapter 2; Jansen & van Duijn (1992).

    >>> import eirt
    >>> import pandas as pd
    >>> counts = pd.DataFrame({"a": [3, 5, 2, 9], "b": [1, 2, 0, 4], "c": [4, 4, 3, 7]})
    >>> eirt.poisson_counts(counts, wide=True).n_params
    4
    """
    slope, discrimination = SLOPES[slopes]
    defaults: Options = {"family": Poisson()}
    choices: Options = {**defaults, **options}
    columns = (person, item, response)
    return fit_items(
        data, "Poisson counts", slope, discrimination, *columns, ability, wide, choices
    )


def lognormal_rt(
    data: Any,
    *,
    slopes: Slopes = "unit",
    person: str = "id",
    item: str = "item",
    response: str = "rt",
    ability: str | None = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the lognormal model of response times.

        log t_pi ~ N(intensity_i - a_i speed_p, sd_i^2)

    The easiness of an item is its time intensity: the mean logarithm of time at speed zero.

    Args:
        data: as for `rasch`; responses are positive times.
        slopes: "unit", slopes one and a free variance of speed; "common"; "item", a slope each.
        person: the person column.
        item: the item column.
        response: the column of times.
        ability: formula of person covariates of log time.
        wide: as for `rasch`.
        **options: see `Options`; `by_item=False` gives all items the same residual sd.

    Returns:
        The fit; effects of persons are their speeds.

    Source: van der Linden (2006), equation 1.

    >>> import eirt
    >>> import pandas as pd
    >>> times = pd.DataFrame({"a": [1.0, 1.4, 2.5, 1.9], "b": [2.2, 2.0, 4.1, 3.3]})
    >>> eirt.lognormal_rt(times, wide=True, by_item=False).random["term"].tolist()
    ['speed']
    """
    slope, discrimination = SLOPES[slopes]
    defaults: Options = {"by_item": True, "family": LogGaussian()}
    choices: Options = {**defaults, **options}
    frame = frames.to_pandas(data)
    if wide:
        frame = to_long(frame, wide, about_persons(ability, choices), person, item, response)
    frames.require_columns(frame, [person, item, response], "persons, items and responses")
    if SPEED in frame.columns:
        raise DataError(f"The column {SPEED!r} has the name of what is estimated; rename it.")
    asked = Formula(None, f"0 + `{item}`", (RandomTerm(f"0 + {SPEED}", (person,)),))
    return fit_terms(
        frame.assign(**{SPEED: -1.0}),
        with_persons(asked, person, ability, response, choices),
        slope,
        [steepness(slope, discrimination.format(item=item))] if discrimination else [],
        person,
        item,
        choices,
        titled("Lognormal response times", ability),
        paired=True,
        free_items=True,
    )
