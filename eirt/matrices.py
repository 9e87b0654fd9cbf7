"""The right-hand sides of formulas as matrices, by formulaic."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt._imports import no_collection
from eirt.errors import DataError, FormulaError, listing
from eirt.factors import pruned
from eirt.indicators import Indicators

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Int

MANY = 300  # columns of one factor beyond which they are not stored
# transforms whose value at a row depends on the other rows: built on all rows, not on cells
_STATEFUL = re.compile(r"\b(center|scale|standardize|poly|bs|cs|cr|cc|lag)\s*\(")
_ONE_FACTOR = re.compile(r"\s*0\s*\+\s*(?:`([^`]+)`|([A-Za-z_]\w*))\s*")
_PLAIN = re.compile(r"\s*([01]|[A-Za-z_]\w*)(\s*\+\s*[A-Za-z_]\w*)*\s*")


@dataclass(frozen=True)
class Plain:
    """A sum of columns of numbers, which is its own matrix: nothing needs formulaic's machinery.

    It answers what formulaic's specifications are asked.

    Attributes:
        column_names: "Intercept", if there is one, then the columns.
    """

    column_names: tuple[str, ...]

    @property
    def variable_indices(self) -> dict[str, list[int]]:
        """Which columns of the matrix each variable makes."""
        places = enumerate(self.column_names)
        return {name: [place] for place, name in places if name != "Intercept"}

    def get_model_matrix(self, frame: pd.DataFrame, na_action: str = "raise") -> pd.DataFrame:
        """Return the columns for any rows."""
        import pandas as pd

        columns = {
            name: np.ones(len(frame)) if name == "Intercept" else frame[name].to_numpy(float)
            for name in self.column_names
        }
        for name, values in columns.items():
            if np.isnan(values).any():
                raise ValueError(f"{name!r} has missing values")
        return pd.DataFrame(columns, frame.index)


def plain(text: str, frame: pd.DataFrame) -> Plain | None:
    """Return the specification of a sum of columns of numbers, None for any other formula.

    >>> import pandas as pd
    >>> plain("0 + x", pd.DataFrame({"x": [1.0], "z": ["a"]})).column_names
    ('x',)
    >>> plain("x + z", pd.DataFrame({"x": [1.0], "z": ["a"]})) is None
    True
    """
    if not _PLAIN.fullmatch(text):
        return None
    first, *rest = (part.strip() for part in text.split("+"))
    names = tuple(dict.fromkeys(rest if first in ("0", "1") else [first, *rest]))
    kinds = [frame[name].dtype if name in frame else None for name in names]
    if not all(isinstance(kind, np.dtype) and kind.kind in "iuf" for kind in kinds):
        return None
    if "Intercept" in names or first == "0" and not names:
        return None
    return Plain((() if first == "0" else ("Intercept",)) + names)


@dataclass(frozen=True)
class Levels:
    """A column for each of many levels of one factor: too many for a table.

    It answers what formulaic's specifications are asked.

    Attributes:
        name: the factor.
        levels: its levels, in formulaic's order.
    """

    name: str
    levels: tuple[Any, ...]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns."""
        return tuple(f"{self.name}[{level}]" for level in self.levels)

    @property
    def variable_indices(self) -> dict[str, list[int]]:
        """Which columns of the matrix the factor makes."""
        return {self.name: list(range(len(self.levels)))}

    def places(self, frame: pd.DataFrame) -> Int[np.ndarray, " n"]:
        """Return the column of each row's one."""
        import pandas as pd

        places = pd.Index(self.levels).get_indexer(pd.Index(frame[self.name].to_numpy(object)))
        if np.any(places < 0):
            unseen = frame[self.name].iloc[np.flatnonzero(places < 0)[0]]
            raise ValueError(f"{unseen!r} is a level of {self.name} that the fit has not seen")
        return places

    def get_model_matrix(self, frame: pd.DataFrame, na_action: str = "raise") -> pd.DataFrame:
        """Return the columns for any rows."""
        import pandas as pd

        rows = Indicators(self.places(frame), len(self.levels))
        return pd.DataFrame(np.asarray(rows), frame.index, list(self.column_names))


def many_levels(text: str, frame: pd.DataFrame) -> Levels | None:
    """Return the specification of one factor without intercept, if its levels are many.

    >>> import pandas as pd
    >>> many = pd.DataFrame({"item": np.arange(3 * MANY).astype(str)})
    >>> len(many_levels("0 + `item`", many).levels), many_levels("0 + item", many[:9]) is None
    (900, True)
    """
    import pandas as pd

    found = _ONE_FACTOR.fullmatch(text)
    name = found and (found[1] or found[2])
    if not name or name not in frame or len(frame) <= MANY:
        return None
    column = frame[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        known = pruned(column).cat.categories
    elif pd.api.types.is_numeric_dtype(column):
        return None
    else:
        known = sorted(column.unique())
    return Levels(name, tuple(known)) if len(known) > MANY else None


def design_matrix(
    text: str, frame: pd.DataFrame, first: np.ndarray
) -> tuple[np.ndarray | Indicators, tuple[str, ...], Any]:
    """Return the model matrix as `model_matrix` does, sparse for one factor of many levels."""
    many = many_levels(text, frame)
    if many is None:
        return model_matrix(text, frame, first)
    x = Indicators(many.places(frame.iloc[first]), len(many.levels))
    return x, many.column_names, many


def model_matrix(
    text: str, frame: pd.DataFrame, first: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...], Any]:
    """Return the model matrix at the rows `first`, its column names and its specification.

    Raises:
        FormulaError: if the text cannot be evaluated on the data.
    """
    whole = bool(_STATEFUL.search(text))
    rows = frame if whole else frame.iloc[first]
    try:
        spec: Any = plain(text, frame) or _specification(text)
        matrix = spec.get_model_matrix(rows, na_action="raise")
    except Exception as error:
        raise FormulaError(f"The formula part {text!r} cannot be evaluated: {error}") from None
    names = tuple(clean_name(str(name)) for name in matrix.columns)
    values = np.array(matrix, dtype=float)
    fitted = spec if isinstance(spec, Plain) else matrix.model_spec
    return values[first] if whole else values, names, fitted


def _specification(text: str) -> Any:
    """Return what formulaic makes of a text."""
    with no_collection():
        import formulaic
    return formulaic.Formula(text)


def spec_parts(spec: Any) -> dict[str, Any]:
    """Take a fitted specification of formulaic apart into plain values; see `spec_of_parts`.

    How levels are contrasted follows from the terms, and is left out.
    """
    states = {
        name: (kind.value, {key: value for key, value in state.items() if key != "contrasts"})
        for name, (kind, state) in spec.encoder_state.items()
    }
    return {
        "terms": [
            [(factor.expr, factor.eval_method.value) for factor in term.factors]
            for term in spec.formula
        ],
        "transforms": dict(spec.transform_state),
        "encoders": states,
    }


def spec_of_parts(parts: dict[str, Any], rows: pd.DataFrame) -> Any:
    """Put a fitted specification together from its parts and any rows with its variables."""
    with no_collection():
        from formulaic import Formula, ModelSpec
        from formulaic.parser.types import Factor, Term
    terms = [
        Term([Factor(text, eval_method=how) for text, how in factors]) for factors in parts["terms"]
    ]
    states = {
        name: (Factor.Kind(kind), dict(state)) for name, (kind, state) in parts["encoders"].items()
    }
    spec = ModelSpec(
        formula=Formula(terms, _ordering="none"),
        transform_state=parts["transforms"],
        encoder_state=states,
    )
    return spec.get_model_matrix(rows, na_action="raise").model_spec


def model_columns(spec: Any, frame: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
    """Return the columns of a fitted specification for new rows.

    Raises:
        FormulaError: if a value cannot be coded (an unseen category, a missing value).
    """
    from formulaic.errors import DataMismatchWarning

    try:
        with warnings.catch_warnings():
            # an unseen category would be coded as the reference level
            warnings.simplefilter("error", DataMismatchWarning)
            matrix = spec.get_model_matrix(frame, na_action="raise")
    except DataMismatchWarning as error:
        unseen = str(error).partition("): ")[2].partition(". They")[0]
        raise FormulaError(
            f"The new data do not fit the formula: {unseen} are levels that the fit has not seen."
        ) from None
    except Exception as error:
        raise FormulaError(f"The new data do not fit the formula: {error}") from None
    have = [clean_name(str(name)) for name in matrix.columns]
    return np.asarray(matrix, dtype=float)[:, [have.index(name) for name in names]]


def without_intercept(
    x: np.ndarray | Indicators, names: tuple[str, ...]
) -> tuple[np.ndarray | Indicators, tuple[str, ...]]:
    """Return a matrix without the column of ones."""
    if "(Intercept)" not in names:
        return x, names
    keep = [j for j, name in enumerate(names) if name != "(Intercept)"]
    return x[:, keep], tuple(names[j] for j in keep)


def clean_name(name: str) -> str:
    """Write a treatment-coded level without its mark: "mode[T.do]" becomes "mode[do]"."""
    return name.replace("[T.", "[").replace("Intercept", "(Intercept)")


def used_columns(x: np.ndarray | Indicators) -> Int[np.ndarray, " k"]:
    """Return the columns that are not zero in every row."""
    if isinstance(x, Indicators):
        return np.unique(x.place)
    return np.flatnonzero(x.any(axis=0))


def dependent(x: np.ndarray | Indicators) -> list[int]:
    """Return the columns that are combinations of the columns before them, or zero."""
    if isinstance(x, Indicators):
        return np.setdiff1d(np.arange(x.size), x.place).tolist()
    scale = np.sqrt((x**2).sum(axis=0))
    triangle = np.linalg.qr(x / np.where(scale > 0, scale, 1.0), mode="r")
    pivots = np.zeros(x.shape[1])
    pivots[: len(triangle)] = np.abs(np.diagonal(triangle))
    return np.flatnonzero(pivots < 1e-9).tolist()


def refuse_collinear(x: np.ndarray | Indicators, names: tuple[str, ...]) -> None:
    """Refuse columns that are combinations of the columns before them.

    Raises:
        DataError: naming each such column and what it depends on.
    """
    found = dependent(x)
    if not found:
        return
    x = np.asarray(x)
    empty = [name for name, column in zip(names, x.T, strict=True) if not np.any(column)]
    if empty:
        raise DataError(f"{listing(empty)} is zero in every row; remove it from the formula.")
    j = found[0]
    weights = np.linalg.lstsq(x[:, :j], x[:, j], rcond=None)[0]
    partners = [names[i] for i in np.flatnonzero(np.abs(weights) > 1e-8)]
    raise DataError(
        f"The column {names[j]!r} is collinear: it is a combination of {listing(partners)}; "
        "remove one of them from the formula."
    )
