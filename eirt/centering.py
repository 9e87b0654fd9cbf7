"""Predictors that vary within and between persons, taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from eirt.errors import DataError
from eirt.frames import require_columns, to_pandas

if TYPE_CHECKING:
    import pandas as pd


def center(data: Any, columns: str | Sequence[str], by: str | Sequence[str]) -> pd.DataFrame:
    """Add to each predictor its mean of every person, and the deviations from it.

        x_pt = x_between_p + x_within_pt

    A predictor that varies within persons has two effects, of persons who are higher on average and
    of occasions that are higher than usual. One coefficient for x mixes them.

    Args:
        data: one row a response or occasion; any frame, or a path.
        columns: one predictor, or several; numbers.
        by: the column of persons, or columns whose combinations are the groups.

    Returns:
        The data with the columns x_within and x_between for each x. Means are over the rows that
        have a value; an occasion with more rows weighs more.

    Raises:
        DataError: if a column is missing, not numeric, constant within every group, or if a new
            column's name is taken.

    Source: Neuhaus & Kalbfleisch (1998); Enders & Tofighi (2007).

    >>> import pandas as pd
    >>> data = pd.DataFrame({"id": [1, 1, 2, 2], "stress": [1.0, 3.0, 5.0, 5.0]})
    >>> center(data, "stress", by="id")
       id  stress  stress_within  stress_between
    0   1     1.0           -1.0             2.0
    1   1     3.0            1.0             2.0
    2   2     5.0            0.0             5.0
    3   2     5.0            0.0             5.0
    """
    import pandas as pd

    names = [columns] if isinstance(columns, str) else list(columns)
    group = [by] if isinstance(by, str) else list(by)
    frame = to_pandas(data).copy()
    require_columns(frame, [*names, *group], "data")
    for name in names:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise DataError(
                f"Column {name!r} holds no numbers (dtype {frame[name].dtype}); code it as numbers "
                "to center it."
            )
        taken = [new for new in (f"{name}_within", f"{name}_between") if new in frame.columns]
        if taken:
            raise DataError(f"There is a column {taken[0]!r} already; rename or drop it.")
        x = frame[name].astype(float)
        mean = x.groupby([frame[each] for each in group], observed=True).transform("mean")
        if not (x - mean).abs().max() > 1e-12 * x.abs().max():
            raise DataError(
                f"Column {name!r} is constant within {':'.join(group)}: there is nothing within to "
                "separate; use it as it is."
            )
        frame[f"{name}_within"], frame[f"{name}_between"] = x - mean, mean
    return frame
