"""What explains the parameters besides easiness: discrimination, guessing, thresholds, spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from eirt.effects import STEEP, Target
from eirt.errors import DataError
from eirt.factors import constant_within, factor_codes, first_of
from eirt.formula import variables
from eirt.indicators import Indicators
from eirt.matrices import design_matrix, refuse_collinear, used_columns, without_intercept
from eirt.terms import Explained, Term, coefficient_name

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Part:
    """What explains a parameter besides easiness.

    Attributes:
        target: the parameter.
        x: its design, cells x columns; persons x columns for a parameter of persons.
        names: names of the coefficients.
        columns: which columns of the formula's model matrix these are.
        spec: how to rebuild that matrix.
    """

    target: Target
    x: np.ndarray | Indicators
    names: tuple[str, ...]
    columns: tuple[str, ...]
    spec: Any

    @property
    def of_persons(self) -> bool:
        """Whether the part describes persons, not cells."""
        return self.target.parameter in ("ability", "spread")

    def at(self, cells: np.ndarray) -> Self:
        """Return the part at some of the cells."""
        return self if self.of_persons else replace(self, x=self.x[cells])


def build_parts(
    frame: pd.DataFrame,
    explained: Explained,
    first: np.ndarray,
    obs_person: np.ndarray,
    terms: tuple[Term, ...],
    item: str | None,
) -> list[Part]:
    """Return a part for each place of an explained parameter.

    A slope on a dimension needs coefficients only where a cell depends on that dimension; the
    means, scales and extra parameters that formulas explain have a constant of their own already.
    """
    local = [(name, z) for t in terms if t.local for name, z in zip(t.effects, t.z.T, strict=True)]
    of_persons = explained.parameter in ("ability", "spread")
    rows = first_of(obs_person) if of_persons else first
    x, names, spec = design_matrix(explained.formula.fixed, frame, rows)
    if of_persons:
        _refuse_varying(frame, variables(explained.formula.fixed), obs_person, explained.label)
    if explained.parameter != STEEP:
        x, names = without_intercept(x, names)
    parts = []
    places = explained.places or tuple(range(len(local)))
    for place in places:
        several = len(places) > 1
        own = x
        if several and explained.parameter == STEEP:
            own = np.asarray(x) * (local[place][1] != 0)[:, None]
        used = used_columns(own)
        if len(used) == 0:
            continue
        if len(used) < len(names):
            own = own[:, used]
        columns = tuple(names[j] for j in used)
        refuse_collinear(own, columns)
        of = f"|{place + 1}" if explained.parameter == "extra" else f"|{local[place][0]}"
        labels = (
            coefficient_name(explained.label, _without_item(c, item), of if several else "")
            for c in columns
        )
        target = Target(explained.parameter, place)
        parts.append(Part(target, own, tuple(labels), columns, spec))
    return parts


def _without_item(column: str, item: str | None) -> str:
    """Write "item[Q1]" as "Q1"."""
    prefix = f"{item}["
    return column[len(prefix) : -1] if column.startswith(prefix) else column


def _refuse_varying(
    frame: pd.DataFrame, names: Sequence[str], person: np.ndarray, label: str
) -> None:
    for name in names:
        if not constant_within(factor_codes(frame, [name])[0], person):
            raise DataError(
                f"The column {name!r} varies within persons, but {label} is a property of persons; "
                "use a column with one value per person."
            )
