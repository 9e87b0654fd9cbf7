"""Response columns as codes: 0/1, categories from lowest to highest, counts, numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eirt.errors import DataError, listing
from eirt.responses import Response

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

CATEGORICAL = ("binary", "ordered", "nominal")


def encode_response(
    column: pd.Series, kind: str, reference: Any = None
) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Return numeric codes of a response and what each code stands for.

    Args:
        column: responses without missing values.
        kind: "binary" (0/1, bool, or two levels of which the first, or `reference`, is 0),
            "ordered" (categories from lowest to highest), "nominal", "count", "continuous".
        reference: the level that counts as 0 (binary only).

    Raises:
        DataError: naming the column and the value that does not fit.
    """
    import pandas as pd

    name = column.name
    if pd.api.types.is_bool_dtype(column):
        column = column.astype(int)
    if kind in CATEGORICAL:
        levels = _levels(column)
        if kind == "binary":
            levels = _binary_levels(column, levels, reference)
        codes = pd.Categorical(column, categories=levels).codes.astype(float)
        return codes, tuple(levels)
    numeric = pd.to_numeric(column, errors="coerce")
    if numeric.isna().any():
        raise DataError(f"Column {name!r} holds {column[numeric.isna()].iloc[0]!r}, not a number.")
    if kind == "count":
        odd = (numeric < 0) | (numeric != np.floor(numeric))
        if odd.any():
            raise DataError(
                f"Column {name!r} holds {numeric[odd].iloc[0]}, which is not a count "
                "(0, 1, 2, ...); correct it or choose another family."
            )
    return numeric.to_numpy(dtype=float), ()


def encode_family(
    frame: pd.DataFrame, response: str, family: Response, reference: Any = None
) -> tuple[np.ndarray, tuple[Any, ...], Response]:
    """Return codes of a response, what they stand for, and the family for as many categories.

    The responses of each member of a mixed family are coded by themselves.

    Raises:
        DataError: naming the column and the value that does not fit.
    """
    code = family.member_of(*given_values(frame, family).T)
    if len(family.members) == 1:
        y, labels = encode_response(frame[response], family.kind, reference)
        return y, labels, family.bind(len(labels))
    y, sizes = np.zeros(len(frame)), []
    for k, member in enumerate(family.members):
        own = frame.loc[code == k, response].infer_objects()
        y[code == k], labels = encode_response(own, member.kind, reference)
        sizes.append(len(labels))
    return y, (), family.bind_members(sizes)


def given_values(frame: pd.DataFrame, family: Response) -> Float[np.ndarray, "n g"]:
    """Return the columns that a family reads, names as codes.

    Raises:
        DataError: naming what a column holds that the family does not know.
    """
    columns = [np.zeros((len(frame), 0))]
    for name in family.given:
        values = frame[name]
        if name in family.levels:
            known = list(family.levels[name])
            odd = values[~values.isin(known)]
            if len(odd):
                raise DataError(
                    f"Column {name!r} holds {odd.iloc[0]!r}, but the families are {listing(known)}."
                )
            values = values.map(known.index)
        columns.append(values.to_numpy(float)[:, None])
    return np.concatenate(columns, axis=1)


def _levels(column: pd.Series) -> list[Any]:
    """Return the levels from lowest to highest: a categorical's own order, or sorted."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.remove_unused_categories().cat.categories)
    values = column.unique().tolist()
    if all(isinstance(value, int | float | np.number) for value in values):
        return sorted(values)
    return sorted(values, key=str)


def _binary_levels(column: pd.Series, levels: list[Any], reference: Any) -> list[Any]:
    import pandas as pd

    name = column.name
    if pd.api.types.is_numeric_dtype(column) and reference is None:
        odd = [value for value in levels if value not in (0, 1)]
        if odd:
            raise DataError(
                f"Column {name!r} must hold 0 and 1 but holds {listing(odd)}; recode it, name the "
                "level that counts as 0 by reference=, or choose a family for several categories."
            )
        return [0, 1]
    if len(levels) != 2:
        raise DataError(
            f"Column {name!r} must have two levels but has {len(levels)} ({listing(levels)}); "
            "recode it or choose a family for several categories."
        )
    if reference is None:
        return levels
    if reference not in levels:
        raise DataError(
            f"The reference {reference!r} is not a level of {name!r}; it has {listing(levels)}."
        )
    return [reference, *(level for level in levels if level != reference)]


def settle_unused(
    codes: np.ndarray, item: pd.Series, labels: tuple[Any, ...], unused: str
) -> tuple[np.ndarray, dict[str, int], dict[str, tuple]]:
    """Refuse items that lack a category below their highest, or number theirs without gaps.

    Args:
        codes: category of each response.
        item: its item.
        labels: what the codes stand for.
        unused: "error" or "close".

    Returns:
        The codes, how many categories were closed, and what the codes of those items stand for.

    Raises:
        DataError: naming the first item and its category.

    >>> import pandas as pd
    >>> settle_unused(np.array([0.0, 2.0]), pd.Series(["a", "a"]), (0, 1, 2), "close")
    (array([0., 1.]), {'unused categories of items, closed': 1}, {'a': (0, 2)})
    """
    import pandas as pd

    item_code, items = pd.factorize(item)
    n, size = len(items), len(labels)
    used = np.bincount(item_code * size + codes.astype(int), minlength=n * size).reshape(n, size)
    above = np.cumsum(used[:, ::-1], axis=1)[:, ::-1]
    lacking = (used == 0) & (above > 0)
    if not lacking.any():
        return codes, {}, {}
    if unused != "close":
        place, category = np.argwhere(lacking)[0]
        raise DataError(
            f"Nobody gave {labels[category]!r} to item {items[place]!r}, which has higher "
            "categories: a threshold of its own there cannot be estimated; pass unused='close' to "
            "number the categories of each item without gaps, or share thresholds."
        )
    rank = np.cumsum(used > 0, axis=1) - 1
    closed = rank[item_code, codes.astype(int)].astype(float)
    own = {
        str(items[k]): tuple(labels[c] for c in np.flatnonzero(used[k]))
        for k in np.flatnonzero(lacking.any(axis=1))
    }
    return closed, {"unused categories of items, closed": int(lacking.sum())}, own


def refuse_impossible(
    codes: np.ndarray, frame: pd.DataFrame, response: str, family: Response
) -> None:
    """Refuse responses that the family cannot give.

    Raises:
        DataError: naming the first one and what is possible.
    """
    odd = family.impossible(codes, *given_values(frame, family).T)
    if odd.any():
        raise DataError(
            f"Column {response!r} holds {codes[odd][0]:g}, but responses of "
            f"{type(family).__name__} are {family.support}; correct it or choose another family."
        )
