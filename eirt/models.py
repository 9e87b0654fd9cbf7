"""The front doors: named models, each a choice of response, effects, likelihood, optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from eirt import frames
from eirt.doors import Options, fit_items, fit_terms, opened, titled, with_persons
from eirt.effects import Linear, Unit
from eirt.formula import formula_columns, one_sided, require_variables, variables
from eirt.results import Fit


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
    return fit_items(data, "Rasch", Unit(), None, person, item, response, ability, wide, options)


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
    return fit_items(data, "1PL", Linear(), "1", person, item, response, ability, wide, options)


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
    return fit_items(
        data, "2PL", Linear(), "0 + `{item}`", person, item, response, ability, wide, options
    )


def lltm(
    data: Any,
    formula: str,
    *,
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    ability: str | None = None,
    features: Any = None,
    wide: bool | Sequence[str] = False,
    **options: Unpack[Options],
) -> Fit:
    """Fit the linear logistic test model: item features explain easiness.

        logit P(y_pi = 1) = theta_p + x_i'beta (+ e_i),   theta_p ~ N(0, sigma^2)

    With `(1 | item)` in the formula each item keeps a random residual e_i ~ N(0, tau^2), persons
    and items being crossed: without it, the standard errors claim that features explain the
    items perfectly.

    Args:
        data: one row a response, or persons x items with `wide`.
        formula: features of items, in easiness: "~ operation + length" or with "+ (1 | item)".
        person: the person column.
        item: the item column.
        response: the response column.
        ability: formula of person covariates.
        features: a table with a row an item, its name in the item column, where the features are
            not columns of the data.
        wide: as for `rasch`; needs `features`.
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

    Persons x items, and what is known of the items in a table of its own:

    >>> features = va[["item", "btype", "mode"]].drop_duplicates()
    >>> table = va.assign(yes=1 * (va["r2"] == "Y")).pivot(index="id", columns="item", values="yes")
    >>> eirt.lltm(table, "~ btype + mode", features=features, wide=True).n_params
    5
    """
    asked = one_sided(formula, "formula")
    frame = frames.to_pandas(data)
    frame, table = opened(frame, wide, person, item, response, ability, options)
    frames.require_columns(frame, [person, item, response], "persons, items and responses")
    if features is not None:
        frame = frames.with_features(frame, frames.to_pandas(features), item)
    require_variables(frame, formula_columns(asked))
    frames.refuse_varying(frame, variables(asked.fixed), item)
    default = "LLTM + item residuals" if asked.random else "LLTM"
    return fit_terms(
        frame,
        with_persons(asked, person, ability, response, options),
        Unit(),
        [],
        person,
        item,
        options,
        titled(default, ability),
        paired=table is None,
        table=table,
    )
