"""Objects of eirt as JSON and arrays, and back: nothing in a file is ever run."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import importlib.util
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from eirt.errors import DataError
from eirt.matrices import spec_of_parts, spec_parts

if TYPE_CHECKING:
    import pandas as pd

OURS = re.compile(r"eirt(\.[a-z_]*[a-z])+")  # modules that a file may name


class Writer:
    """Writes objects as JSON; arrays go to a list of their own.

    What JSON has no word for is an object of one key, its kind.

    >>> writer = Writer()
    >>> writer.write((1, float("inf"), np.arange(3)))
    {'tuple': [1, {'float': 'inf'}, {'array': 0}]}
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def write(self, thing: Any) -> Any:
        """Return what stands for an object.

        Raises:
            DataError: if it is of no known kind.
        """
        if thing is None or type(thing) in (bool, int, str):
            return thing
        if type(thing) is float:
            return thing if math.isfinite(thing) else {"float": repr(thing)}
        if isinstance(thing, enum.Enum):
            return {"enum": _name_of(thing), "value": self.write(thing.value)}
        if hasattr(thing, "_fields") or dataclasses.is_dataclass(thing):
            return self._write_class(thing)
        if isinstance(thing, tuple | list):
            return {type(thing).__name__: [self.write(each) for each in thing]}
        if isinstance(thing, Mapping):
            return {"dict": [[self.write(key), self.write(thing[key])] for key in thing]}
        if isinstance(thing, np.ndarray | np.generic | jax.Array):
            return self._write_array(np.asarray(thing), isinstance(thing, np.generic))
        return self._write_pandas(thing)

    def _write_class(self, thing: Any) -> dict[str, Any]:
        if type(thing).__module__.startswith("formulaic."):
            return {"spec": self.write(spec_parts(thing))}
        names = getattr(thing, "_fields", None) or [
            field.name for field in dataclasses.fields(thing) if field.init
        ]
        fields = {name: self.write(getattr(thing, name)) for name in names}
        return {"class": _name_of(thing), "fields": fields}

    def _write_array(self, values: np.ndarray, scalar: bool = False) -> dict[str, Any]:
        if values.dtype == object:
            return {"objects": [self.write(each) for each in values.ravel()],
                    "shape": list(values.shape)}  # fmt: skip
        self.arrays.append(values)
        return {"scalar" if scalar else "array": len(self.arrays) - 1}

    def _write_pandas(self, thing: Any) -> dict[str, Any]:
        """Write a frame, by columns, a column, a categorical, or what is missing."""
        import pandas as pd

        if thing is pd.NA:
            return {"missing": "NA"}
        if isinstance(thing, pd.DataFrame):
            columns = [[self.write(name), self.write(thing[name].array)] for name in thing]
            return {"frame": columns, "rows": len(thing)}
        if isinstance(thing, pd.Categorical):
            return {"categorical": self.write(thing.codes), "ordered": bool(thing.ordered),
                    "categories": self.write(thing.categories.array)}  # fmt: skip
        if isinstance(thing, pd.Index):
            return self.write(thing.array)
        if isinstance(thing, pd.api.extensions.ExtensionArray):
            if isinstance(thing.dtype, np.dtype):
                return self._write_array(np.asarray(thing))
            values = self._write_array(np.asarray(thing, object))
            return {"values": values, "dtype": str(thing.dtype)}
        raise DataError(
            f"A {type(thing).__name__} cannot be written to a file; leave columns that hold such "
            "values, or arguments of such a kind, out of the fit."
        )


class Reader:
    """Reads what `Writer` wrote.

    Args:
        arrays: those of the writer.
        rows: a row of the data, by which formulas find their columns.

    >>> Reader([np.arange(3)]).read({"tuple": [1, {"float": "inf"}, {"array": 0}]})
    (1, inf, array([0, 1, 2]))
    """

    def __init__(self, arrays: Sequence[np.ndarray], rows: pd.DataFrame | None = None):
        self.arrays = arrays
        self.rows = rows

    def read(self, written: Any) -> Any:
        """Return the object.

        Raises:
            DataError: if it names a class that eirt does not have, or not with these fields.
        """
        if not isinstance(written, dict):
            return written
        kind = next(iter(written))
        read = getattr(self, f"_read_{kind}", None)
        if read is None:
            raise DataError(f"This version of eirt cannot read {kind!r}.")
        return read(**{"_" + key: written[key] for key in written})

    def _read_float(self, _float: str) -> float:
        return float(_float)

    def _read_enum(self, _enum: str, _value: Any) -> Any:
        return _class_of(_enum)(self.read(_value))

    def _read_class(self, _class: str, _fields: dict[str, Any]) -> Any:
        fields = {name: self.read(value) for name, value in _fields.items()}
        try:
            return _class_of(_class)(**fields)
        except TypeError as error:
            raise DataError(f"This version of eirt has another {_class}: {error}.") from None

    def _read_spec(self, _spec: dict[str, Any]) -> Any:
        return spec_of_parts(self.read(_spec), self.rows)

    def _read_tuple(self, _tuple: list) -> tuple:
        return tuple(map(self.read, _tuple))

    def _read_list(self, _list: list) -> list:
        return list(map(self.read, _list))

    def _read_dict(self, _dict: list) -> dict:
        return {self.read(key): self.read(value) for key, value in _dict}

    def _read_array(self, _array: int) -> np.ndarray:
        return self.arrays[_array]

    def _read_scalar(self, _scalar: int) -> Any:
        return self.arrays[_scalar][()]

    def _read_objects(self, _objects: list, _shape: list[int]) -> np.ndarray:
        values = np.empty(len(_objects), object)
        for place, each in enumerate(_objects):
            values[place] = self.read(each)
        return values.reshape(_shape)

    def _read_missing(self, _missing: str) -> Any:
        import pandas as pd

        return pd.NA

    def _read_frame(self, _frame: list, _rows: int) -> pd.DataFrame:
        import pandas as pd

        columns = {self.read(name): self.read(values) for name, values in _frame}
        return pd.DataFrame(columns, index=pd.RangeIndex(_rows))

    def _read_categorical(self, _categorical: Any, _ordered: bool, _categories: Any) -> Any:
        import pandas as pd

        return pd.Categorical.from_codes(
            self.read(_categorical), pd.Index(self.read(_categories)), _ordered
        )

    def _read_values(self, _values: Any, _dtype: str) -> Any:
        import pandas as pd

        return pd.array(self.read(_values), dtype=_dtype)


def _name_of(thing: Any) -> str:
    kind = type(thing)
    if not OURS.fullmatch(kind.__module__):
        raise DataError(f"A {kind.__module__}.{kind.__qualname__} cannot be written to a file.")
    return f"{kind.__module__}:{kind.__qualname__}"


def _class_of(name: str) -> Any:
    """Return the class of that name: an enumeration or record of eirt, nothing else."""
    module, _, own = name.partition(":")
    found = None
    if OURS.fullmatch(module) and importlib.util.find_spec(module):
        found = getattr(importlib.import_module(module), own, None)
    record = dataclasses.is_dataclass(found) or hasattr(found, "_fields")
    known = record or isinstance(found, enum.EnumMeta)
    if not (known and isinstance(found, type) and found.__module__ == module):
        raise DataError(f"This version of eirt has no {name}.")
    return found
