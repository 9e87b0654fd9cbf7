"""Files as data frames: CSV, and Parquet a part at a time, whole numbers as small as they are."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

ROWS = 2**17  # of a Parquet file at a time
SMALL = ("int8", "int16", "int32")


def read_file(path: pathlib.Path) -> pd.DataFrame:
    """Read a CSV or Parquet file, or a folder of Parquet files.

    Raises:
        DataError: if it is missing, empty or of an unknown kind.
    """
    import pandas as pd

    if not path.exists():
        raise DataError(f"There is no file {str(path)!r}; check the path.")
    kind = path.suffix.lower()
    if path.is_dir() or kind in {".parquet", ".pq"}:
        return read_parquet(path)
    if kind in {".csv", ".tsv", ".txt", ".gz"}:
        try:
            return pd.read_csv(path, sep="\t" if ".tsv" in path.name else ",")
        except pd.errors.EmptyDataError:
            raise DataError(f"The file {str(path)!r} is empty; check how it was written.") from None
    raise DataError(
        f"The file {str(path)!r} is neither CSV nor Parquet; convert it to one of them."
    )


def read_parquet(path: pathlib.Path) -> pd.DataFrame:
    """Read a Parquet file, or a folder of them, without ever holding its numbers at full width.

    What a file says of its columns tells how small their whole numbers are: a byte is enough for
    most responses, where 10 million persons x 50 items would take 4 GB at eight.

    Raises:
        DataError: if a folder holds no Parquet files.
    """
    import pyarrow as pa
    import pyarrow.dataset

    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"The folder {str(path)!r} holds no Parquet files; check the path.")
    whole = pa.dataset.dataset(files, format="parquet")
    narrow = _narrowed(whole.schema, _ranges(files))
    few = {"batch_size": ROWS, "batch_readahead": 1, "fragment_readahead": 1}  # at full width
    batches = (batch.cast(narrow) for batch in whole.to_batches(**few))
    frame = pa.Table.from_batches(batches, narrow).to_pandas(self_destruct=True)
    pa.default_memory_pool().release_unused()
    return frame


def _ranges(files: list[pathlib.Path]) -> dict[str, tuple[int, int] | None]:
    """Return the lowest and highest value of each column, None where files do not say."""
    import pyarrow.parquet as pq

    found: dict[str, Any] = {}
    for file in files:
        about = pq.ParquetFile(file).metadata
        for group in range(about.num_row_groups):
            for place in range(about.num_columns):
                column = about.row_group(group).column(place)
                known = column.statistics
                complete = known is not None and known.has_min_max and known.null_count == 0
                before = found.get(column.path_in_schema, (np.inf, -np.inf))
                ends = (known.min, known.max) if complete else None
                if ends is None or before is None or not isinstance(ends[0], int):
                    found[column.path_in_schema] = None
                else:
                    ends = min(before[0], ends[0]), max(before[1], ends[1])
                    found[column.path_in_schema] = ends
    return found


def _narrowed(schema: Any, ranges: dict[str, tuple[int, int] | None]) -> Any:
    """Return a schema whose whole numbers take as few bytes as they need."""
    import pyarrow as pa

    fields = []
    for field in schema:
        ends = ranges.get(field.name)
        if pa.types.is_integer(field.type) and ends is not None:
            fits = (
                kind
                for kind in SMALL
                if np.iinfo(kind).min <= ends[0] and ends[1] <= np.iinfo(kind).max
            )
            kind = next(fits, None)
            field = field if kind is None else field.with_type(pa.type_for_alias(kind))
        fields.append(field)
    return pa.schema(fields, schema.metadata)
