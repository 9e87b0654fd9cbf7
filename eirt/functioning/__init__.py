"""Differential item functioning: are items equally easy for equally able members of groups?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from eirt import frames
from eirt.doors import Options, about_persons
from eirt.errors import ConvergenceWarning, DataError, listing, nearest, warn_caller
from eirt.functioning.base import Bank, Columns, bank, grouped, refuse_constant
from eirt.functioning.items import DELTA, Rule, tested
from eirt.plots.intervals import Band, draw_intervals
from eirt.report import frame_text
from eirt.responses import Bernoulli
from eirt.results import Fit
from eirt.wide import to_long

if TYPE_CHECKING:
    import pandas as pd

    from eirt.plots import Picture

MOST_ROUNDS = 10
CHOICES = {
    "model": ("rasch", "2pl"),
    "test": ("LR", "Wald"),
    "kind": ("both", "uniform", "nonuniform"),
    "adjust": ("holm", "none", "bh"),
}
OWN = ("ability_sd", "name")  # options that `dif` sets itself


@dataclass(frozen=True, eq=False)
class Dif:
    """Tests of differential item functioning.

    Attributes:
        table: a row per item and focal group; see `eirt.dif`.
        baseline: the fit in which anchors are equal between groups and other items are free.
        anchors: the items that are equal between groups.
        rounds: how often the items were tested.
        settled: whether the flagged items are those that are no anchors; always without
            purification.
        group: the column of groups.
        groups: mean of ability with its standard error, and sd, of each group.
        method: model, test and adjustment, in words.
    """

    table: pd.DataFrame
    baseline: Fit
    anchors: tuple[str, ...]
    rounds: int
    settled: bool
    group: str
    groups: pd.DataFrame
    method: str

    @property
    def flagged(self) -> list[str]:
        """The items whose adjusted p-value is below the level."""
        return list(dict.fromkeys(self.table.loc[self.table["flagged"], "item"]))

    def __repr__(self) -> str:
        n = self.table["item"].nunique()
        return f"<DIF by {self.group}: {len(self.flagged)} of {n} items flagged>"

    def __str__(self) -> str:
        title = f"Differential item functioning by {self.group}"
        anchors = f"{len(self.anchors)} anchors after {self.rounds} round(s)"
        shown = self.table.drop(columns=["lower", "upper", "p_adjusted"])
        if len(self.groups) == 2:
            shown = shown.drop(columns="focal")
        return "\n".join(
            [title, "=" * len(title), f"{self.method}; {anchors}", "", "Ability",
             frame_text(self.groups, 3), "", "Items (effect: easiness, focal - reference, logits)",
             frame_text(shown, 3)]
        )  # fmt: skip

    def summary(self) -> None:
        """Print the groups and the items."""
        print(self)

    def plot(self, focal: str | None = None) -> Picture:
        """Draw every item's effect with its 95% interval, flagged items in another colour.

        Args:
            focal: the focal group; by default the first.

        Returns:
            The picture. Its data: item, estimate, lower, upper, marked.

        Raises:
            ValueError: if there is no such focal group.
        """
        reference, *known = self.groups["group"]
        focal = known[0] if focal is None else str(focal)
        if focal not in known:
            raise ValueError(f"No focal group {focal!r}; there are {listing(known)}.")
        here = self.table[self.table["focal"] == focal]
        return draw_intervals(
            here.rename(columns={"effect": "estimate", "flagged": "marked"}),
            label=f"Easiness for equally able persons, {focal} − {reference} (logits)",
            marked="flagged",
            bands=[Band(-1 / DELTA, 1 / DELTA, "negligible (|ETS delta| < 1)")],
        )


def dif(
    data: Any,
    group: str,
    *,
    model: Literal["rasch", "2pl"] = "rasch",
    items: Sequence[Any] | None = None,
    anchors: Sequence[Any] | None = None,
    test: Literal["LR", "Wald"] = "LR",
    kind: Literal["both", "uniform", "nonuniform"] = "both",
    purify: bool = True,
    level: float = 0.05,
    adjust: Literal["holm", "none", "bh"] = "holm",
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    wide: bool | Sequence[str] = False,
    **options: Any,
) -> Dif:
    """Test items, one at a time, for differential item functioning between groups.

        logit P(y_pi = 1) = (a_i + s_ig) theta_p + easiness_i + d_ig,
        theta_p ~ N(mu_g, sigma_g^2),   d = s = 0 in the reference group and for anchors

    Groups have their own mean and variance of ability: a difference in ability is not DIF. With
    `purify`, flagged items (at most half of all, the worst) leave the anchors, their differences
    becoming free, and all are tested again, until the flagged items are those left out.

    Args:
        data: as for `eirt.rasch`.
        group: the column of groups; its first level is the reference.
        model: "rasch" (slopes one, s = 0) or "2pl".
        items: the items to test; by default all that are not named in `anchors`.
        anchors: items equal between groups, all others being free, without purification; by
            default all but the item tested.
        test: "LR" (likelihood ratio) or "Wald".
        kind: "uniform" (d), "nonuniform" (s, with d free) or "both".
        purify: whether flagged items leave the anchors.
        level: an item is flagged where its adjusted p-value is below.
        adjust: for the number of items: "holm", "bh" (Benjamini-Hochberg) or "none".
        person: the person column.
        item: the item column.
        response: the response column, binary.
        wide: as for `eirt.rasch`.
        **options: see `eirt.doors.Options`, but for ability_sd and name.

    Returns:
        The tests. Columns of their table: item and focal, a row for each focal group though the
        test is of all groups; chi2, df, p, p_adjusted, flagged; effect, se, lower, upper: by how
        many logits the item is easier for the focal group than for equally able members of the
        reference group (a mean over the focal group where slopes differ), with 95% limits; delta:
        2.35 times that, which compares to MH D-DIF and is negative where the item is harder for
        the focal group; ets: A negligible, B moderate, C large; slope, slope_se: s, where free;
        anchor: whether the item is one in the end.

    Raises:
        DataError: if an item is not in the data, or has one response value in a group, or no
            anchor is left.

    Source: Thissen, Steinberg & Wainer (1993); purification, Candell & Drasgow (1988); delta,
    Holland & Thayer (1988), and in the 2PL Roussos, Schnipke & Pashley (1999).

    >>> import eirt
    >>> exam = eirt.load("mathexam")
    >>> first = ["quad", "deriv", "elasticity", "integral", "payflow"]
    >>> found = eirt.dif(exam, "group", anchors=first[1:4], test="Wald", wide=first)
    >>> found.table[["item", "focal", "chi2", "effect", "se", "delta", "ets"]].round(2)
          item focal   chi2  effect    se  delta ets
    0     quad     2  83.98   -1.90  0.21  -4.47   C
    1  payflow     2  20.16   -1.18  0.26  -2.77   C
    """
    _refuse_unknown({"model": model, "test": test, "kind": kind, "adjust": adjust}, options)
    frame = frames.to_pandas(data)
    if wide:
        covariate: Options = {"group": f"`{group}`"}
        frame = to_long(frame, wide, about_persons(None, covariate), person, item, response)
    columns = Columns(person, item, response, group)
    frame, names, levels = grouped(frame, columns)
    equal = names if anchors is None else _named(anchors, names, "anchors")
    freed = frozenset(names) - frozenset(equal)
    asked = [name for name in names if anchors is None or name in freed]
    studied = asked if items is None else _named(items, names, "items")
    if any(len(freed | {name}) == len(names) for name in studied):
        raise DataError(f"No anchor is left when {listing(equal)} is tested; name another.")
    loose = [name for name in names if name in freed or name in studied]
    refuse_constant(frame, loose, levels, columns)
    slopes = model == "2pl", model == "2pl" and kind != "uniform"
    found = bank(frame, loose, freed, levels, columns, *slopes, cast(Options, options))
    rule = Rule(test, kind, level, adjust)
    rounds, settled, freed, table, baseline = _search(
        found, studied, freed, levels[1:], rule, purify and anchors is None, len(names)
    )
    return Dif(
        table.assign(anchor=~table["item"].isin(freed)),
        baseline,
        tuple(name for name in names if name not in freed),
        rounds,
        settled,
        group,
        _abilities(baseline, levels),
        f"{found.base.name} model, {test} tests, p-values adjusted: {adjust}",
    )


def _refuse_unknown(chosen: dict[str, str], options: dict[str, Any]) -> None:
    """Refuse choices that are none, and options that do not apply."""
    for name, choice in chosen.items():
        known = CHOICES[name]
        if choice not in known:
            raise ValueError(
                f"No {name} {choice!r}; there are {listing(known)}.{nearest(choice, known)}"
            )
    if chosen["model"] == "rasch" and chosen["kind"] == "nonuniform":
        raise ValueError("In the Rasch model slopes do not differ; pass model='2pl'.")
    for name in OWN:
        if name in options:
            raise ValueError(f"The option {name!r} is set by eirt.dif itself; leave it out.")
    family = options.get("family", Bernoulli())
    if not (isinstance(family, Bernoulli) and family.distribution.name == "logit"):
        raise ValueError("eirt.dif takes binary responses with the logit link; leave out family=.")


def _named(asked: Sequence[Any], names: list[str], role: str) -> list[str]:
    """Return items as text, each once.

    Raises:
        DataError: if one is not in the data, with the nearest, or there are none.
    """
    found = list(dict.fromkeys(map(str, [asked] if isinstance(asked, str) else asked)))
    for name in found:
        if name not in names:
            raise DataError(f"{role} names {name!r}, which is no item.{nearest(name, names)}")
    if not found:
        raise DataError(f"{role} is empty; leave it out or name items.")
    return found


def _search(
    found: Bank,
    items: list[str],
    freed: frozenset[str],
    focal: list[str],
    rule: Rule,
    purify: bool,
    n_items: int,
) -> tuple[int, bool, frozenset[str], pd.DataFrame, Fit]:
    """Test until the flagged items are those left out of the anchors.

    DIF in many items makes others look as if they had it: at most half of the items are left out
    at a time, those with the largest statistics.

    Returns:
        Rounds, whether that was reached, the items that are no anchors, the table, their fit.
    """
    seen = [freed]
    while True:
        table, baseline = tested(found, items, freed, focal, rule)
        worst = table[table["flagged"]].sort_values("chi2", ascending=False, kind="stable")
        flagged = list(dict.fromkeys(worst["item"]))
        settled = not purify or freed == frozenset(flagged)
        freer = frozenset(flagged[: min(n_items // 2, n_items - 2)])
        if settled or freer in seen or len(seen) == MOST_ROUNDS:
            break
        freed = freer
        seen.append(freed)
    if not settled:
        warn_caller(
            f"Purification did not settle: {listing(flagged)} are flagged while "
            f"{listing(sorted(freed)) or 'no items'} are free; name anchors=[...].",
            ConvergenceWarning,
        )
    return len(seen), settled, freed, table, baseline


def _abilities(fit: Fit, levels: list[str]) -> pd.DataFrame:
    """Return mean and sd of ability of each group; the reference has mean zero."""
    import pandas as pd

    names = list(fit.names)
    means = [k for k, name in enumerate(names) if name.startswith("ability[")]
    spreads = [k for k, name in enumerate(names) if name.startswith("log_sd[")]
    sd = float(fit.random["sd"][0])
    return pd.DataFrame(
        {
            "group": levels,
            "mean": [0.0, *fit.full[means]],
            "se": [np.nan, *np.sqrt(np.diagonal(fit.vcov)[means])],
            "sd": [sd, *(sd * np.exp(fit.full[spreads]))],
        }
    )
