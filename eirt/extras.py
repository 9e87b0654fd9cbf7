"""Extra parameters of a response: their names, whose they are, and which stands for the level."""

from __future__ import annotations

import numpy as np

from eirt.design import Design
from eirt.errors import FormulaError
from eirt.factors import constant_within
from eirt.indicators import Indicators
from eirt.responses import Response
from eirt.terms import Explained


def categories(design: Design, by_item: bool) -> list[int]:
    """Return the number of response categories of all, or of each item, as far as used."""
    if not by_item:
        return [design.n_categories]
    found = np.zeros(max(len(design.items), 1), int)
    np.maximum.at(found, design.row_item, design.row_y.astype(int) + 1)
    return found.tolist()


def answers(
    design: Design, by_item: bool, each: bool = True
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the responses given to all items, or to each, and the columns that go with them.

    Args:
        design: the data.
        by_item: whether items are told apart.
        each: whether a response that was given several times is there as often.
    """
    row = np.arange(len(design.row_y))
    row = np.repeat(row, design.observations.counts.astype(int)) if each else row
    item = design.row_item[row] if by_item else np.zeros(len(row), np.uint8)
    # small integers are sorted by counting
    order = np.argsort(item.astype(np.min_scalar_type(len(design.items))), kind="stable")
    size = np.bincount(item, minlength=len(design.items) if by_item else 1)
    rows = [row[own] for own in np.split(order, np.cumsum(size)[:-1])]
    return [(design.row_y[own], design.given[design.row_cell[own]].T) for own in rows]


def holds_level(design: Design, by_item: bool) -> bool:
    """Return whether columns of easiness can move all cells alike, or those of each item."""
    group = design.cell_item if by_item else np.zeros(len(design.x), int)
    if isinstance(design.x, Indicators):
        return constant_within(group, design.x.place)
    each = (group[:, None] == np.unique(group)).astype(float)
    residual = each - design.x @ np.linalg.lstsq(design.x, each, rcond=None)[0]
    return bool(np.abs(residual).max() < 1e-8)


def aux_names(response: Response, design: Design, by_item: bool) -> list[str]:
    """Name the unconstrained extra parameters, set by set."""
    if not by_item:
        return list(response.raw_names)
    return [_of_item(name, item) for item in design.items for name in response.raw_names]


def _of_item(name: str, item: object) -> str:
    kind, _, inside = name.partition("[")
    return f"{kind}[{item}|{inside}" if inside else f"{kind}[{item}]"


def origin_names(response: Response, design: Design, by_item: bool) -> list[str]:
    """Name the extra parameters that take the intercept's place, of each set one."""
    if response.has_intercept:
        return []
    names, sizes = aux_names(response, design, by_item), categories(design, by_item)
    return [names[k * response.n_aux + response.origin(n)] for k, n in enumerate(sizes)]


def on_thresholds(part: Explained, family: Response) -> Explained:
    """Return what is explained, thresholds at the places that the family has them.

    Raises:
        FormulaError: if the family has one threshold or none.
    """
    if part.parameter != "extra" or part.places:
        return part
    if not family.later:
        raise FormulaError(
            f"thresholds='~ {part.formula.fixed}' explains thresholds after the first, but "
            f"{type(family).__name__} has none; choose a family of three categories or more."
        )
    return part._replace(places=family.later)
