"""Before a design is built: which rows are fitted, their response codes, what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt import frames
from eirt.coding import encode_family, refuse_impossible, settle_unused
from eirt.factors import pruned
from eirt.formula import Formula, formula_columns, require_variables
from eirt.responses import Response
from eirt.terms import Explained

if TYPE_CHECKING:
    import pandas as pd


def checked(
    frame: pd.DataFrame,
    formula: Formula,
    explained: Sequence[Explained],
    family: Response,
    person: str | None,
    item: str | None,
    options: Mapping[str, Any],
    paired: bool,
    free_items: bool,
) -> tuple[pd.DataFrame, np.ndarray, tuple, Response, dict[str, int], dict[str, tuple]]:
    """Return rows to fit, response codes, labels, family, what was left out, own labels."""
    import pandas as pd

    response, missing = str(formula.response), options.get("missing", "error")
    groups = [name for name in (person, item) if name is not None and name in frame.columns]
    frame, dropped = frames.drop_missing_responses(frame, response, groups, missing)
    formulas = [formula, *(part.formula for part in explained)]
    used = [*(name for asked in formulas for name in formula_columns(asked)), *groups]
    used += family.given
    require_variables(frame, used)
    frame, more = frames.drop_missing_covariates(frame, used, missing)
    dropped |= more
    if paired and item is not None and person is not None:
        duplicates = options.get("duplicates", "error")
        frame, more = frames.settle_duplicates(frame, person, item, duplicates)
        dropped |= more
    y, labels, family = encode_family(frame, response, family, options.get("reference"))
    refuse_impossible(y, frame, response, family)
    own_labels: dict[str, tuple] = {}
    if options.get("by_item") and len(labels) > 2 and item is not None:
        y, more, own_labels = settle_unused(y, frame[item], labels, options.get("unused", "error"))
        dropped |= more
    if free_items and item is not None:
        extreme = options.get("extreme", "error")
        keep, more = frames.settle_extremes(frame, item, response, y, extreme)
        frame, y = frame[keep], y[keep]
        dropped |= more
        if not isinstance(frame[item].dtype, pd.CategoricalDtype):
            levels = [str(level) for level in frame[item].unique()]
            frame = frame.assign(**{item: pd.Categorical(frame[item].astype(str), levels)})
    # a subset of the data keeps the categories of the whole: those without rows are no levels
    present = {
        name: pruned(frame[name])
        for name in frame.columns
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    }
    frame = frame.assign(**present).reset_index(drop=True)
    return frame, y, labels, family, dropped, own_labels
