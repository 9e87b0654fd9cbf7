"""The model in which items may differ between groups, and its fits with some of them free."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from eirt.doors import Options, fit_terms, steepness
from eirt.effects import Linear, Unit
from eirt.errors import DataError, listing
from eirt.fit import fit
from eirt.formula import Formula, RandomTerm, one_sided
from eirt.frames import require_columns
from eirt.likelihood import Likelihood
from eirt.results import Fit
from eirt.terms import Explained

if TYPE_CHECKING:
    import pandas as pd

MARK = "_dif"  # the column of the item and group whose response may differ


class Columns(NamedTuple):
    """The names of the columns that matter."""

    person: str
    item: str
    response: str
    group: str


class Bank(NamedTuple):
    """Items that may differ between groups.

    Attributes:
        base: the fit in which those of `free` differ and no others.
        free: items that are no anchors at first.
        shifts: names of each item's differences in easiness, one per focal group.
        tilts: the same of slopes; none where slopes do not differ.
        options: of the fits.
    """

    base: Fit
    free: frozenset[str]
    shifts: dict[str, list[str]]
    tilts: dict[str, list[str]]
    options: Options

    def freed(self, shifted: frozenset[str], tilted: frozenset[str]) -> Fit:
        """Return the fit in which some items differ in easiness, and some in slopes.

        All fits share one design and begin at the first, so that compiled code serves all fits
        with equally many free parameters.
        """
        base = self.base
        if shifted == tilted == self.free:
            return base
        return fit(
            base.model,
            base.design,
            _grid(base),
            self.options.get("optimiser"),
            name=f"{base.name}, {listing(sorted(shifted), 2)} differing",
            anchors=_equal(self.shifts, shifted) | _equal(self.tilts, tilted),
            priors=self.options.get("priors"),
            start=base.full,
            progress=self.options.get("progress"),
            check=bool(self.options.get("check")),
        )


def _equal(differences: dict[str, list[str]], free: frozenset[str]) -> dict[str, float | str]:
    """Return the differences that are zero: those of items that are not free."""
    return {n: 0.0 for item, names in differences.items() if item not in free for n in names}


def _grid(base: Fit) -> Likelihood:
    """Return the likelihood with the nodes that were used in the end."""
    return getattr(base.objective.unpenalised, "choice", base.likelihood)


def grouped(frame: pd.DataFrame, columns: Columns) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Return what matters of the data, names of items as they appear, and levels of the group.

    Raises:
        DataError: if a column is missing, a person is in two groups, or there are not two.
    """
    import pandas as pd

    require_columns(frame, columns, "persons, items, responses and groups")
    frame = frame[list(columns)].copy()
    found = pd.Categorical(frame[columns.group]).remove_unused_categories()
    levels = [str(level) for level in found.categories]
    if len(levels) < 2:
        raise DataError(
            f"The column {columns.group!r} holds {listing(levels)}; comparing takes two groups."
        )
    frame[columns.group] = found.rename_categories(levels)
    if (frame.groupby(columns.person)[columns.group].nunique() > 1).any():
        raise DataError(
            f"The group {columns.group!r} varies within persons ({columns.person!r}); give every "
            "person one group, or name the person column by person=."
        )
    labels = frame[columns.item].astype(object).map(str, na_action="ignore")
    names = list(dict.fromkeys(labels.dropna()))
    frame[columns.item] = pd.Categorical(labels, names)
    return frame, names, levels


def refuse_constant(
    frame: pd.DataFrame, items: Collection[str], levels: list[str], columns: Columns
) -> None:
    """Refuse items with fewer than two response values in a group: they differ by infinity.

    Raises:
        DataError: naming the first item and group.
    """
    counts = frame.groupby([columns.group, columns.item], observed=False)[columns.response]
    values = counts.nunique()
    for item in items:
        for level in levels:
            if values[level, item] < 2:
                raise DataError(
                    f"The item {item!r} has fewer than two response values in group {level!r} of "
                    f"{columns.group!r}, so its difference is infinite; leave it out of items=, or "
                    "make it an anchor."
                )


def bank(
    frame: pd.DataFrame,
    items: list[str],
    free: frozenset[str],
    levels: list[str],
    columns: Columns,
    free_slopes: bool,
    tilted: bool,
    options: Options,
) -> Bank:
    """Fit the model in which items may differ between groups.

    Args:
        frame: from `grouped`.
        items: those that may differ.
        free: those that do at first.
        levels: the groups, the reference first.
        columns: names of columns.
        free_slopes: whether items have slopes (2PL).
        tilted: whether slopes may differ between groups.
        options: of the fits.
    """
    import pandas as pd

    codes = {item: [f"{k}:{g}" for g in range(1, len(levels))] for k, item in enumerate(items)}
    place = pd.Index(items).get_indexer(frame[columns.item])
    g = frame[columns.group].cat.codes.to_numpy()
    own = pd.Series(place).astype(str) + ":" + pd.Series(g).astype(str)
    marks = ["anchor", *(code for each in codes.values() for code in each)]
    frame = frame.assign(**{
        MARK: pd.Categorical(own.where((place >= 0) & (g > 0), "anchor"), marks)
    })  # fmt: skip
    shifts = {item: [f"{MARK}[{code}]" for code in each] for item, each in codes.items()}
    tilts = {
        item: [f"discrimination[{name}]" for name in each] if tilted else []
        for item, each in shifts.items()
    }
    by_item = f"0 + `{columns.item}`"
    marked = f"{by_item} + {MARK}"
    explained = [Explained("ability", "ability", one_sided(f"~ `{columns.group}`", "group"))]
    if free_slopes:
        explained.append(steepness(Linear(), marked if tilted else by_item))
    equal = _equal(shifts, free) | _equal(tilts, free)
    base = fit_terms(
        frame,
        Formula(columns.response, marked, (RandomTerm("1", (columns.person,)),)),
        Linear() if free_slopes else Unit(),
        explained,
        columns.person,
        columns.item,
        {**options, "ability_sd": f"~ `{columns.group}`", "anchors": equal},
        "2PL" if free_slopes else "Rasch",
        paired=True,
        free_items=True,
    )
    return Bank(base, free, shifts, tilts, options)
