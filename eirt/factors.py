"""Grouping factors as integer codes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def constant_within(values: np.ndarray, group: np.ndarray) -> bool:
    """Return whether values are equal within each group."""
    first = np.empty(group.max() + 1, values.dtype)
    first[group[::-1]] = values[::-1]
    # a few show it where they are not
    return all(
        bool(np.all(values[some] == first[group[some]])) for some in (slice(1000), slice(None))
    )


def factor_codes(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return integer codes and labels of the combinations of some columns.

    Levels keep a categorical's order, otherwise the order of appearance; labels of several
    columns are joined by ':'.
    """
    import pandas as pd

    if len(columns) == 1:
        column = frame[columns[0]]
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = pruned(column)
            return column.cat.codes.to_numpy(np.int64), column.cat.categories.to_numpy(object)
        codes, levels = pd.factorize(column)
        return codes, np.asarray(levels, dtype=object)
    codes = combine(frame, columns)
    first = first_of(codes)
    parts = [frame[name].iloc[first].astype(str).to_numpy() for name in columns]
    return codes, np.array([":".join(part) for part in zip(*parts, strict=True)], dtype=object)


def pruned(column: pd.Series) -> pd.Series:
    """Return a categorical without the levels that nothing has."""
    codes = column.cat.codes.to_numpy()
    used = np.bincount(codes[codes >= 0], minlength=len(column.cat.categories))
    # pandas sorts the codes to know
    return column if np.all(used) else column.cat.remove_unused_categories()


def combine(frame: pd.DataFrame, columns: Sequence[Hashable]) -> np.ndarray:
    """Return one integer per distinct combination, in order of appearance."""
    codes = np.zeros(len(frame), np.int64)
    for name in columns:
        values = hashed(frame[name])
        if constant_within(values, codes):
            continue  # it describes what came before, and tells nothing new
        column = numbered(values)
        if codes.any():
            column = numbered(codes * (column.max() + 1) + column)
        codes = column
    return codes


def numbered(values: np.ndarray) -> np.ndarray:
    """Return one integer per distinct value, in order of appearance.

    >>> numbered(np.array([7, 3, 7])).tolist()
    [0, 1, 0]
    """
    import pandas as pd

    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 4 * len(values):
        return pd.factorize(values)[0].astype(np.int64)
    # small integers need no hashing
    first = np.full(int(values.max()) + 1, len(values))
    first[values[::-1]] = np.arange(len(values))[::-1]
    there = np.flatnonzero(first < len(values))
    place = np.empty(len(first), np.int64)
    place[there[np.argsort(first[there])]] = np.arange(len(there))
    return place[values]


def hashed(column: pd.Series) -> np.ndarray:
    """Return values that are equal where those of the column are."""
    import pandas as pd

    categorical = isinstance(column.dtype, pd.CategoricalDtype)
    return (column.cat.codes if categorical else column).to_numpy()


def first_of(codes: np.ndarray) -> np.ndarray:
    """Return where each code appears first."""
    first = np.empty(codes.max() + 1, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first


def level_codes(frame: pd.DataFrame, columns: Sequence[str], levels: np.ndarray) -> np.ndarray:
    """Return the place of each row's combination among known levels, -1 for a new one."""
    import pandas as pd

    codes, labels = factor_codes(frame, list(columns))
    places = pd.Index([str(level) for level in levels]).get_indexer([str(x) for x in labels])
    return places[codes]
