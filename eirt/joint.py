"""The door for accuracy and response time together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

from eirt import frames
from eirt.doors import Options, fit_terms
from eirt.effects import Unit
from eirt.errors import DataError, listing
from eirt.formula import Formula, RandomTerm, one_sided, variables
from eirt.links import Link
from eirt.responses import Bernoulli, LogGaussian, Mixed
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd

MEASURE, ABILITY, SPEED, VALUE = "measure", "ability", "speed", "value"
ACCURACY, TIME = "accuracy", "time"


def joint_rt(
    data: Any,
    *,
    items: Literal["random", "fixed"] = "random",
    features: str | None = None,
    link: str | Link = "logit",
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    time: str = "rt",
    **options: Unpack[Options],
) -> Fit:
    """Fit accuracy and response time together: how ability goes with speed, easiness with time.

        P(y_pi = 1) = F(theta_p + easiness_i),   log t_pi ~ N(intensity_i - speed_p, sd^2)

    with (theta_p, speed_p) and, where items are random, (easiness_i, intensity_i) binormal. Each
    response becomes two rows, which the column `measure` calls "accuracy" and "time".

    Args:
        data: one row a response.
        items: "random", effects of items are draws; "fixed", an easiness and an intensity each.
        features: formula of covariates of items or persons, "~ frequency + age": each predicts
            accuracy (in logits) and log time.
        link: the distribution function F.
        person: the person column.
        item: the item column.
        response: the column of accuracy, of 0 and 1 or two levels.
        time: the column of positive times.
        **options: see `Options`; with fixed items `by_item=True` gives each its residual sd.

    Returns:
        The fit; `fit.random` holds the correlations.

    Raises:
        DataError: if a column is missing or has the name of one that is made, or all accuracies of
            a fixed item are alike.

    Source: van der Linden (2007); Loeys, Rosseel & Baten (2011) for random items.

    >>> import eirt
    >>> import pandas as pd
    >>> rows = [(p, i, (p + i) % 3 > 0, 1.0 + p % 4 + i) for p in range(12) for i in range(4)]
    >>> data = pd.DataFrame(rows, columns=["id", "item", "resp", "rt"])
    >>> fit = eirt.joint_rt(data, items="fixed", check=False)
    >>> fit.random["term"].tolist()[:2]
    ['ability', 'speed']
    """
    if items not in ("random", "fixed"):
        raise ValueError(f"No items {items!r}; there are 'random' and 'fixed'.")
    about = one_sided(features, "features").fixed if features else "1"
    fixed = f"0 + {MEASURE}" if items == "random" else f"0 + {MEASURE}:`{item}`"
    if variables(about):
        fixed = f"{fixed} + {MEASURE}:({about})"
    random = [RandomTerm(f"0 + {ABILITY} + {SPEED}", (person,))]
    if items == "random":
        random.append(RandomTerm(f"0 + {MEASURE}", (item,)))
    family = Mixed({ACCURACY: Bernoulli(link), TIME: LogGaussian()}, MEASURE)
    choices: Options = {"family": family, **options}  # type: ignore[typeddict-item]
    rows = stacked(data, [person, item, *variables(about)], response, time)
    if items == "fixed":
        _refuse_alike(rows[rows[MEASURE] == ACCURACY], item, response)
    return fit_terms(
        rows,
        Formula(VALUE, fixed, tuple(random)),
        Unit(),
        [],
        person,
        item,
        choices,
        "Accuracy and time",
        paired=False,
        free_items=items == "fixed",
    )


def _refuse_alike(rows: pd.DataFrame, item: str, response: str) -> None:
    """Refuse items that everybody answered alike, whose easiness is infinite."""
    n = rows.groupby(item, observed=True)[VALUE].nunique()
    if (n < 2).any():
        raise DataError(
            f"Everybody gave the same {response!r} to {item} {listing(n.index[n < 2])}, so its "
            "easiness is infinite; leave it out, or take items='random'."
        )


def stacked(data: Any, kept: Sequence[str], response: str, time: str) -> pd.DataFrame:
    """Return a row for accuracy and one for time of each response.

    Raises:
        DataError: if a column is missing or has the name of one that is made.
    """
    import pandas as pd

    frame = frames.to_pandas(data)
    kept = list(dict.fromkeys(kept))
    frames.require_columns(frame, [*kept, response, time], "persons, items, responses and times")
    taken = [name for name in kept if name in (MEASURE, ABILITY, SPEED, VALUE)]
    if taken:
        raise DataError(f"The column {taken[0]!r} has the name of one that is made; rename it.")
    halves = []
    for measure, column, ability, speed in (
        (ACCURACY, response, 1.0, 0.0),
        (TIME, time, 0.0, -1.0),
    ):
        own = frame[kept].assign(**{MEASURE: measure, ABILITY: ability, SPEED: speed})
        halves.append(own.assign(**{VALUE: frame[column].astype(object)}))
    return pd.concat(halves, ignore_index=True)
