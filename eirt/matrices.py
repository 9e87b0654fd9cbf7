"""The right-hand sides of formulas as matrices, by formulaic."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt._imports import no_collection
from eirt.errors import DataError, FormulaError, listing

if TYPE_CHECKING:
    import pandas as pd

# transforms whose value at a row depends on the other rows: built on all rows, not on cells
_STATEFUL = re.compile(r"\b(center|scale|standardize|poly|bs|cs|cr|cc|lag)\s*\(")
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


def clean_name(name: str) -> str:
    """Write a treatment-coded level without its mark: "mode[T.do]" becomes "mode[do]"."""
    return name.replace("[T.", "[").replace("Intercept", "(Intercept)")


def dependent(x: np.ndarray) -> list[int]:
    """Return the columns that are combinations of the columns before them, or zero."""
    scale = np.sqrt((x**2).sum(axis=0))
    triangle = np.linalg.qr(x / np.where(scale > 0, scale, 1.0), mode="r")
    pivots = np.zeros(x.shape[1])
    pivots[: len(triangle)] = np.abs(np.diagonal(triangle))
    return np.flatnonzero(pivots < 1e-9).tolist()


def refuse_collinear(x: np.ndarray, names: tuple[str, ...]) -> None:
    """Refuse columns that are combinations of the columns before them.

    Raises:
        DataError: naming each such column and what it depends on.
    """
    empty = [name for name, column in zip(names, x.T, strict=True) if not np.any(column)]
    if empty:
        raise DataError(f"{listing(empty)} is zero in every row; remove it from the formula.")
    for j in dependent(x)[:1]:
        weights = np.linalg.lstsq(x[:, :j], x[:, j], rcond=None)[0]
        partners = [names[i] for i in np.flatnonzero(np.abs(weights) > 1e-8)]
        raise DataError(
            f"The column {names[j]!r} is collinear: it is a combination of {listing(partners)}; "
            "remove one of them from the formula."
        )
