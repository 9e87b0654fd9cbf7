"""The edge: any data frame or file in, a checked pandas frame out."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt.errors import DataError, listing, nearest
from eirt.factors import factor_codes, first_of
from eirt.reading import read_file

if TYPE_CHECKING:
    import pandas as pd


def to_pandas(data: Any) -> pd.DataFrame:
    """Return a pandas frame from a pandas, polars or pyarrow frame, an array or a file's path.

    Raises:
        DataError: if the file is missing or of an unknown kind, or there are no rows.
    """
    import pandas as pd

    if isinstance(data, str | pathlib.Path):
        frame = read_file(pathlib.Path(data))
    elif isinstance(data, pd.DataFrame):
        frame = data
    elif isinstance(data, np.ndarray):
        frame = pd.DataFrame(data, columns=[f"item{i + 1}" for i in range(data.shape[1])])
    else:
        import narwhals as nw

        native = nw.from_native(data)
        frame = (native.collect() if isinstance(native, nw.LazyFrame) else native).to_pandas()
    if frame.empty:
        raise DataError("The data are empty: there are no rows to fit; check how they were read.")
    return frame.reset_index(drop=True)


def require_columns(frame: pd.DataFrame, names: Iterable[str], role: str) -> None:
    """Refuse names that the frame lacks, with the nearest that it has.

    Raises:
        DataError: naming the first missing column.
    """
    for name in names:
        if name not in frame.columns:
            columns = listing([str(column) for column in frame.columns], 12)
            raise DataError(
                f"There is no column {name!r} for {role}; the columns are {columns}."
                + nearest(name, [str(column) for column in frame.columns])
            )


def melt(
    frame: pd.DataFrame, items: Sequence[str], person: str, item: str, response: str
) -> pd.DataFrame:
    """Turn persons x items into one row a response, person by person.

    Args:
        frame: one row a person.
        items: columns that hold responses; all other columns describe the person.
        person: name of the person column; persons are numbered from 1 where it is absent.
        item: what to call the item column.
        response: what to call the response column.

    Raises:
        DataError: if there are no items.
    """
    import pandas as pd

    require_columns(frame, items, "an item")
    if not items:
        raise DataError("The wide data have no item columns; name them by wide=[...].")
    n, size = len(frame), len(items)
    rest = frame[[name for name in frame.columns if name not in set(items)]]
    long = rest.loc[rest.index.repeat(size)].reset_index(drop=True)
    if person not in long.columns:
        long[person] = np.repeat(np.arange(1, n + 1), size)
    names = [str(name) for name in items]
    long[item] = pd.Categorical.from_codes(np.tile(np.arange(size), n), names)
    values = frame[list(items)]
    kinds = set(values.dtypes)
    long[response] = (
        values.to_numpy().ravel() if len(kinds) == 1 else values.astype(object).to_numpy().ravel()
    )
    return long


def refuse_varying(frame: pd.DataFrame, columns: Iterable[str], item: str) -> None:
    """Refuse a feature that takes several values within one item.

    Raises:
        DataError: naming the feature and the first such item.
    """
    for name in columns:
        values = frame.groupby(item, observed=True)[name].nunique()
        if (values > 1).any():
            raise DataError(
                f"The item feature {name!r} varies within item {values.index[values > 1][0]!r}; an "
                "item formula takes features of items: put it in ability='~ ...' if it describes "
                "persons, or use eirt.eirm."
            )


def with_features(frame: pd.DataFrame, features: pd.DataFrame, item: str) -> pd.DataFrame:
    """Add to each row what a table says of its item.

    Args:
        frame: one row a response.
        features: one row an item.
        item: the item column of both.

    Raises:
        DataError: if an item is not in the table, or twice, or a column is in both.
    """
    require_columns(features, [item], "the items of features")
    both = [name for name in features.columns if name in frame.columns and name != item]
    if both:
        raise DataError(
            f"The column {both[0]!r} is in the data and in features; remove it from one of them."
        )
    names = features[item].astype(str)
    if names.duplicated().any():
        raise DataError(
            f"features have several rows for item {names[names.duplicated()].iloc[0]!r}; give one "
            "row an item (features of single responses belong to the data)."
        )
    known = features.drop(columns=item).set_index(names.to_numpy())
    codes, labels = factor_codes(frame, [item])
    unknown = [str(label) for label in labels if str(label) not in known.index]
    if unknown:
        raise DataError(f"features say nothing of {item} {listing(unknown)}; add a row for each.")
    rows = known.loc[[str(label) for label in labels]].iloc[codes].set_axis(frame.index)
    return frame.join(rows)


def settle_duplicates(
    frame: pd.DataFrame, person: str, item: str, duplicates: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Refuse several responses of a person to an item, or keep the first, or all.

    Raises:
        DataError: naming the first pair.
    """
    if duplicates == "keep" or not _repeated(frame, person, item):
        return frame, {}
    again = frame.duplicated([person, item])
    if not again.any():
        return frame, {}
    if duplicates == "first":
        return frame[~again], {"repeated person-item rows": int(again.sum())}
    row = frame[again].iloc[0]
    raise DataError(
        f"{int(again.sum())} rows repeat a person and an item ({person} {row[person]!r}, {item} "
        f"{row[item]!r} first); pass duplicates='first' to keep the first response, 'keep' for all."
    )


def _repeated(frame: pd.DataFrame, person: str, item: str) -> bool:
    """Return whether a pair repeats, or may do: counting is quick where most pairs are there."""
    (of_person, persons), (of_item, items) = (
        factor_codes(frame, [name]) for name in (person, item)
    )
    size = len(persons) * len(items)
    if size > 4 * len(frame):
        return True
    return bool(np.bincount(of_person * len(items) + of_item, minlength=size).max(initial=0) > 1)


def settle_extremes(
    frame: pd.DataFrame, item: str, response: str, codes: np.ndarray, extreme: str
) -> tuple[np.ndarray, dict[str, int]]:
    """Refuse items that everybody answered alike, whose difficulty is infinite, or drop them.

    Args:
        frame: the rows.
        item: the item column.
        response: the response column.
        codes: response codes of the rows.
        extreme: "error", "drop" or "keep" (which needs a prior).

    Returns:
        Which rows to keep, and counts of what was dropped.

    Raises:
        DataError: naming the items.
    """
    place, labels = factor_codes(frame, [item])
    first = codes[first_of(place)]
    alike = labels[np.bincount(place, codes != first[place]) == 0]
    if len(alike) == 0 or extreme == "keep":
        return np.ones(len(frame), bool), {}
    if extreme == "drop":
        keep = ~frame[item].isin(alike).to_numpy()
        if not keep.any():
            raise DataError(
                f"Every item has only one value of {response!r}; nothing can be fitted."
            )
        return keep, {"items with one response value": len(alike)}
    raise DataError(
        f"Everybody gave the same response {response!r} to {item} {listing(alike)}, so its "
        "difficulty is infinite; pass extreme='drop' to leave it out, or extreme='keep' with a "
        "prior, priors={'easiness': eirt.Normal(0, 3)}."
    )


def drop_missing_responses(
    frame: pd.DataFrame, response: str, groups: Iterable[str], missing: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Leave out rows without a response, and say what that removes.

    Args:
        frame: the data.
        response: the response column.
        groups: columns whose every level must keep a response (persons, items).
        missing: "error" refuses levels left without any response, "drop" counts them.

    Returns:
        The rows with a response, and counts of what was left out.

    Raises:
        DataError: if a level has no response, or no row has one.
    """
    answered = frame[response].notna()
    dropped = {"missing responses": int((~answered).sum())}
    if not answered.any():
        raise DataError(f"Every value of the response {response!r} is missing; check the column.")
    if answered.all():
        return frame, {}
    kept = frame[answered]
    for group in groups:
        absent = sorted(set(frame[group].dropna()) - set(kept[group].dropna()), key=str)
        if absent and missing != "drop":
            raise DataError(
                f"Column {group!r} has {len(absent)} level(s) without any response in "
                f"{response!r} ({listing(absent)}); remove them or pass missing='drop'."
            )
        dropped[f"{group} without responses"] = len(absent)
    return kept, {name: count for name, count in dropped.items() if count}


def drop_missing_covariates(
    frame: pd.DataFrame, columns: Iterable[str], missing: str
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Refuse rows with a missing covariate, or drop and count them when told to.

    Raises:
        DataError: naming the columns and the number of rows.
    """
    columns = list(dict.fromkeys(columns))
    holes = frame[columns].isna()
    gaps = holes.any(axis=1)
    if not gaps.any():
        return frame, {}
    if missing != "drop":
        counts = ", ".join(f"{name!r} ({n})" for name, n in holes.sum().items() if n)
        raise DataError(
            f"{int(gaps.sum())} rows have a missing value in {counts}; fill them in or pass "
            "missing='drop' to leave those rows out."
        )
    if gaps.all():
        raise DataError("No row is left once rows with a missing covariate are dropped.")
    return frame[~gaps], {"rows with a missing covariate": int(gaps.sum())}


def values_of(persons: np.ndarray, name: str, given: Any, data: Any = None) -> np.ndarray:
    """Return what is given of each person: None for those of whom nothing is.

    Args:
        persons: their labels.
        name: the person column.
        given: a column of `data`, a mapping from labels, or a value for each person.
        data: the frame with that column, one value for each person.

    Raises:
        DataError: if a column varies within a person, or there is not a value for each.
    """
    import pandas as pd

    if isinstance(given, str):
        if data is None:
            raise DataError(f"Pass data=, the frame that has the column {given!r}.")
        frame = to_pandas(data)
        require_columns(frame, [name, given], "persons and groups")
        pairs = pd.DataFrame({"person": frame[name], "value": frame[given]})
        pairs = pairs.dropna().drop_duplicates()
        twice = pairs.loc[pairs["person"].duplicated(), "person"]
        if len(twice):
            raise DataError(
                f"The column {given!r} varies within {name} ({listing(twice.unique())}); groups "
                "of persons need one value each."
            )
        given = dict(zip(pairs["person"], pairs["value"], strict=True))
    if isinstance(given, Mapping | pd.Series):
        known = {str(label): value for label, value in given.items()}
        return np.array([known.get(str(label)) for label in persons], object)
    values = np.asarray(given, object)
    if values.shape != persons.shape:
        raise DataError(
            f"Groups of shape {values.shape} are given, and there are {len(persons)} persons: give "
            "one for each of fit.design.persons, or a mapping from persons to groups."
        )
    return values
