"""Cross-validation: what a model foresees of items, or persons, that it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eirt._config import double_precision
from eirt.coding import encode_family
from eirt.densities import of_new_items, of_new_persons
from eirt.errors import DataError, FormulaError, listing, nearest
from eirt.factors import constant_within, factor_codes
from eirt.forecasts import refuse_free
from eirt.frames import require_columns, to_pandas
from eirt.plots.base import Picture, unit
from eirt.plots.held_out import held_out as draw
from eirt.refits import with_free_items
from eirt.results import Fit
from eirt.tables import LEVEL

if TYPE_CHECKING:
    import pandas as pd

UNITS = ("item", "person")
Score = Callable[[Fit, "pd.DataFrame", np.ndarray], "pd.DataFrame"]


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What a model foresaw of the items, or persons, that were held out.

    Attributes:
        by: "item" or "person".
        held_out: a row per item or person: its fold, n (responses) and log_density (per response);
            of items, predicted difficulty with its prediction interval (lower, upper), calibrated
            difficulty with its se, and whether the interval covered it.
        folds: the same summed up by fold.
        summary: one row; see `cross_validate`.
    """

    by: str
    held_out: pd.DataFrame
    folds: pd.DataFrame
    summary: pd.DataFrame

    def __repr__(self) -> str:
        return f"<cross-validation by {self.by}: {len(self.held_out)} in {len(self.folds)} folds>"

    def plot(self) -> Picture:
        """Draw predicted against calibrated difficulty of the items.

        Raises:
            ValueError: if persons were held out.
        """
        if self.by != "item":
            raise ValueError("There is a picture of held-out items only; use by='item'.")
        return draw(self.held_out, self.held_out.attrs["unit"])


@double_precision
def cross_validate(
    door: Callable[..., Fit],
    data: Any,
    *args: Any,
    by: Literal["item", "person"] = "item",
    folds: int = 5,
    groups: str | None = None,
    interval: Literal["t", "normal"] = "t",
    seed: int = 0,
    **options: Any,
) -> CrossValidation:
    """Refit a model with items, or persons, left out, and compare what it foresees with the data.

        R^2 = 1 - sum (b_i - b^_i)^2 / sum (b_i - b-)^2

    Held-out items: b^ is predicted from features by the fit to the other items, b is calibrated
    on all responses (every item free, otherwise the same model; ability of mean zero in both),
    and b- is the mean of the items that were not held out. R^2 can be negative. Whether a 95%
    interval covers is judged after adding the error of calibration to each side, by squares.
    The log density is that of each response by itself, integrated over the person's ability
    given the responses that were kept, taken as normal, and over the item given its features.

    Held-out persons: the log density is that of all responses of a person together, integrated
    over the distribution of ability. Free items (`eirt.rasch`) can be compared in this way.

    A log density means nothing alone: compare models, for items with `~ 1 + (1 | item)`.

    Args:
        door: the function that fits, such as `eirt.lltm`.
        data: one row a response.
        *args: of the door after the data: formulas.
        by: what is held out.
        folds: into how many random parts items or persons are split.
        groups: a column with one value per item (or person); each of its groups is a fold.
        interval: of the predictions, as for `predict_items`.
        seed: of the random split.
        **options: of the door.

    Returns:
        Frozen tables `held_out`, `folds` and `summary`, and `plot()`. The summary has r2, rmse,
        correlation and coverage (of items), log_density per response and its standard error
        over items or persons.

    Raises:
        TypeError: if `door` is a fit.
        ValueError: for an unknown `by`, or fewer than two folds.
        DataError: for wide data, groups that vary within an item (or person) and, where items are
            held out, free items or items that everybody answered alike.
        FormulaError: if a fold holds out all items of one level of a feature.

    Source: Stone (1974); log densities, Gelman, Hwang & Vehtari (2014); errors added to each side
    of an interval, Zou & Donner (2008).

    >>> import eirt
    >>> found = eirt.cross_validate(
    ...     eirt.lltm,
    ...     eirt.load("verbagg"),
    ...     "~ btype + situ + mode",
    ...     by="person",
    ...     folds=2,
    ...     response="r2",
    ... )
    >>> found.summary.round(3)
       persons  responses  log_density  log_density_se
    0      316       7584       -0.543           0.008
    """
    import pandas as pd

    if isinstance(door, Fit):
        raise TypeError(
            "Pass the function that fits, the data and its formula, not a fit: "
            "eirt.cross_validate(eirt.lltm, data, '~ ...')."
        )
    if by not in UNITS:
        raise ValueError(f"No by={by!r}; there are 'item' and 'person'.{nearest(by, UNITS)}")
    if options.get("wide"):
        raise DataError(
            "Cross-validation takes long data, one row a response, not wide=...; reshape them by "
            "pandas.melt."
        )
    frame = to_pandas(data)
    full = door(frame, *args, **options)
    if by == "item":
        refuse_free(full)
    columns = str(full.design.item if by == "item" else full.design.person).split(":")
    used = {*full.design.columns, full.design.response, *columns}.intersection(frame.columns)
    frame = frame.dropna(subset=list(used)).reset_index(drop=True)
    y = encode_family(frame, full.design.response, full.model.response, options.get("reference"))[0]
    fold_of = _folds(frame, columns, folds, groups, seed)
    score = _items(full, interval) if by == "item" else _persons
    tables = []
    for fold in np.unique(fold_of):
        out = fold_of == fold
        train = door(frame[~out], *args, **options)
        if train.design.labels != full.design.labels:
            raise DataError(
                f"Without fold {fold} the column {full.design.response!r} holds only "
                f"{listing(train.design.labels)}; use fewer folds."
            )
        found = _scored(score, fold, train, frame[out], y[out])
        found.insert(1, "fold", fold)
        tables.append(found)
    return _summed(by, pd.concat(tables, ignore_index=True), unit(full))


def _scored(
    score: Score, fold: Any, train: Fit, frame: pd.DataFrame, y: np.ndarray
) -> pd.DataFrame:
    """Score a fold, naming it where its rows hold what the fit has not seen."""
    try:
        return score(train, frame, y)
    except FormulaError as error:
        raise FormulaError(
            f"Fold {fold}: {error} Every level of a feature must occur in other folds."
        ) from None


def _folds(
    frame: pd.DataFrame, columns: list[str], folds: int, groups: str | None, seed: int
) -> np.ndarray:
    """Return the fold of each row."""
    codes, labels = factor_codes(frame, columns)
    if groups is not None:
        require_columns(frame, [groups], "groups")
        found = factor_codes(frame, [groups])[0]
        if not constant_within(found, codes):
            raise DataError(
                f"The column {groups!r} varies within {':'.join(columns)}; groups to hold out "
                "need one value each."
            )
        return frame[groups].astype(str).to_numpy(object)
    if not 2 <= folds <= len(labels):
        raise ValueError(f"folds={folds} must be between 2 and {len(labels)}, the number to split.")
    part = np.random.default_rng(seed).permutation(len(labels)) % folds + 1
    # by name, so that the order of the rows does not matter
    place = np.argsort(np.argsort([str(label) for label in labels]))
    return part[place[codes]]


def _items(full: Fit, interval: Literal["t", "normal"]) -> Score:
    """Return what scores the items of a fold against their calibration."""
    import pandas as pd
    from scipy.special import ndtri

    calibrated = with_free_items(full).difficulty()
    calibrated = calibrated.set_index(calibrated["item"].astype(str))[["difficulty", "se"]]
    item, reach = str(full.design.item), float(ndtri((1 + LEVEL) / 2))

    def score(train: Fit, frame: pd.DataFrame, y: np.ndarray) -> pd.DataFrame:
        features = frame.drop_duplicates(item)
        table = train.predict_items(features, LEVEL, interval)
        names = table["item"].astype(str)
        here, others = calibrated.loc[names], calibrated.drop(names)
        density = frame.assign(density=of_new_items(train, frame, y)).groupby(
            frame[item].astype(str)
        )["density"]
        b, se = here["difficulty"].to_numpy(), here["se"].to_numpy()
        predicted, lower, upper = (
            table[f"difficulty{side}"].to_numpy() for side in ("", "_lower", "_upper")
        )
        side = np.where(b < predicted, predicted - lower, upper - predicted)
        return pd.DataFrame(
            {
                item: table["item"].to_numpy(),
                "n": density.size().loc[names].to_numpy(),
                "predicted": predicted,
                "lower": lower,
                "upper": upper,
                "calibrated": b,
                "calibrated_se": se,
                "covered": np.abs(b - predicted) <= np.hypot(side, reach * se),
                "mean_of_others": others["difficulty"].mean(),
                "log_density": density.mean().loc[names].to_numpy(),
            }
        )

    return score


def _persons(train: Fit, frame: pd.DataFrame, y: np.ndarray) -> pd.DataFrame:
    """Score the persons of a fold."""
    import pandas as pd

    name = str(train.design.person)
    person, density = of_new_persons(train, frame, y)
    labels = factor_codes(frame, name.split(":"))[1]
    n = np.bincount(person)
    return pd.DataFrame({name: labels, "n": n, "log_density": density / n})


def _summed(by: str, table: pd.DataFrame, unit: str) -> CrossValidation:
    """Return the tables of all folds together, by fold, and in one row."""
    import pandas as pd

    rows = [
        {"fold": fold, **_measures(by, part)} for fold, part in table.groupby("fold", sort=False)
    ]
    summary = pd.DataFrame([_measures(by, table)])
    kept = table.drop(columns="mean_of_others", errors="ignore")
    kept.attrs["unit"] = unit
    return CrossValidation(by, kept, pd.DataFrame(rows), summary)


def _measures(by: str, table: pd.DataFrame) -> dict[str, float]:
    """Return what sums up some items or persons."""
    count, n = len(table), table["n"].to_numpy()
    density = float(np.average(table["log_density"], weights=n))
    deviation = n * (table["log_density"] - density)
    measures: dict[str, float] = {f"{by}s": count, "responses": int(n.sum())}
    if by == "item":
        error = table["calibrated"] - table["predicted"]
        around = table["calibrated"] - table["mean_of_others"]
        measures |= {
            "r2": 1 - float((error**2).sum() / (around**2).sum()),
            "rmse": float(np.sqrt((error**2).mean())),
            "correlation": float(table["calibrated"].corr(table["predicted"])),
            "coverage": float(table["covered"].mean()),
        }
    # items (persons) are what was sampled, not responses
    spread = np.sqrt((deviation**2).sum() * count / max(count - 1, 1)) / n.sum()
    return measures | {"log_density": density, "log_density_se": float(spread)}
