"""Are data like these what the model would produce? Checks against simulated responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from eirt._config import double_precision
from eirt.design import Design
from eirt.errors import listing, nearest
from eirt.results import Fit
from eirt.simulation import Effects, draw, response_frame

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

Numbers = dict[str, float]
Statistic = Callable[["pd.DataFrame"], Any]
BINS = 10  # of sum scores that are no whole numbers
PLAIN = ("totals", "scores")  # statistics that need no items


@double_precision
def predictive_check(
    fit: Fit,
    statistics: str | Sequence[str] | Statistic | Mapping[str, Statistic] | None = None,
    n: int = 200,
    seed: int = 0,
    level: float = 0.95,
    effects: Effects = "new persons",
) -> pd.DataFrame:
    """Compare the data with responses simulated from the fit, by any statistic of the data.

        p = min(1, 2 (1 + min(#{T* <= T}, #{T* >= T})) / (n + 1))

    Responses are drawn at the estimates (a parametric bootstrap without refitting). The estimates
    come from the same data, so that statistics which the model fits (mean responses of free items)
    hardly differ, and p-values are conservative: uniform at best, mostly nearer to 1. They hold
    for each row alone; of many rows some are small by chance.

    Args:
        fit: the fit, of any family; persons and items may be crossed.
        statistics: of "totals" (mean, sd and skewness of persons' sum scores), "scores" (persons at
            each sum score, or in tenths of their range), "items" (share of each category, or mean
            and sd), "item_total" (correlation of each item with the sum of the others), "pairs"
            (log odds ratio of each pair of binary items, correlation of others); or a function of
            the frame of responses (as from `fit.simulate()`) that returns a number, or several by
            name, or a mapping of such functions. By default all those named but "pairs".
        n: simulated data sets.
        seed: of the random numbers.
        level: of the interval.
        effects: as for `fit.simulate`. "new persons" draws abilities and keeps the items;
            "new" draws items' residuals too: what the features say of items like these.

    Returns:
        A row per number: statistic, of (the score, item or pair), observed, mean, sd, lower, upper
        (quantiles of the simulated ones), p.

    Raises:
        ValueError: for an unknown statistic, or n below 10.
        DataError: if abilities have no distribution, or a statistic needs items that are unknown.

    Source: Gelman, Meng & Stern (1996); Sinharay, Johnson & Stern (2006) for odds ratios; Davison
    & Hinkley (1997), chapter 4, for p.

    >>> import eirt
    >>> fit = eirt.rasch(eirt.load("lsat7"), wide=True)
    >>> table = predictive_check(fit, "item_total", n=40)
    >>> table[["of", "observed", "mean", "p"]].round(2).head(2)
       of  observed  mean     p
    0  Q1      0.25  0.22  0.49
    1  Q2      0.25  0.25  0.98
    """
    import pandas as pd

    if n < 10:
        raise ValueError(f"n={n} simulations give no p-value; ask for some hundreds.")
    measures = _measures(fit, statistics)
    observed = _described(fit, fit.design.y, measures)
    rows = [_described(fit, y, measures) for y in _draws(fit, n, seed, effects)]
    draws = pd.DataFrame(rows, columns=list(observed)).to_numpy(float)
    values = np.array(list(observed.values()), float)
    table = pd.DataFrame(list(observed), columns=["statistic", "of"])
    table["observed"], table["mean"] = values, np.nanmean(draws, axis=0)
    table["sd"] = np.nanstd(draws, axis=0, ddof=1)
    ends = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    table["lower"], table["upper"] = ends
    close = 1e-9 * (1 + np.abs(values))
    tail = np.minimum((draws <= values + close).sum(axis=0), (draws >= values - close).sum(axis=0))
    table["p"] = np.where(np.isfinite(values), np.minimum(2 * (1 + tail) / (n + 1), 1.0), np.nan)
    return table


def _draws(fit: Fit, n: int, seed: int, effects: Effects) -> Iterator[np.ndarray]:
    for key in jax.random.split(jax.random.PRNGKey(seed), n):
        yield draw(fit, key, effects)


Measure = Callable[[Fit, np.ndarray], Numbers]


def _measures(fit: Fit, asked: Any) -> dict[str, Measure]:
    """Return what is computed, by name."""
    if callable(asked):
        asked = {getattr(asked, "__name__", "statistic").strip("<>"): asked}
    if isinstance(asked, Mapping):
        return {str(name): _of_frame(function) for name, function in asked.items()}
    if asked is None:
        known = [name for name in NAMED if name != "pairs"]
        asked = PLAIN if fit.design.item is None else known
    names = [asked] if isinstance(asked, str) else list(asked)
    for name in names:
        if name not in NAMED:
            raise ValueError(
                f"No statistic {name!r}; there are {listing(NAMED)}.{nearest(name, NAMED)}"
            )
        if name not in PLAIN:
            fit.require_items(first=False)
    return {name: NAMED[name] for name in names}


def _of_frame(function: Statistic) -> Measure:
    """Return a function of the frame of responses as one of response codes."""

    def measure(fit: Fit, y: np.ndarray) -> Numbers:
        import pandas as pd

        found = function(response_frame(fit, y))
        if isinstance(found, Mapping | pd.Series):
            return {str(name): float(value) for name, value in found.items()}
        values = np.atleast_1d(np.asarray(found, float)).ravel()
        return {str(k + 1) if len(values) > 1 else "": v for k, v in enumerate(values.tolist())}

    return measure


def _described(
    fit: Fit, y: Float[np.ndarray, " n"], measures: Mapping[str, Measure]
) -> dict[tuple[str, str], float]:
    """Return every number by statistic and what it is of."""
    return {
        (name, of): value for name, measure in measures.items()
        for of, value in measure(fit, y).items()
    }  # fmt: skip


def _totals(fit: Fit, y: np.ndarray) -> Numbers:
    total = np.bincount(fit.design.obs_person, y)
    gap = total - total.mean()
    sd = float(total.std(ddof=1))
    skewness = float(np.mean(gap**3)) / sd**3 if sd > 0 else np.nan
    return {"mean": float(total.mean()), "sd": sd, "skewness": skewness}


def _scores(fit: Fit, y: np.ndarray) -> Numbers:
    """Return how many persons have each sum score, or lie between tenths of the observed ones."""
    design = fit.design
    total = np.bincount(design.obs_person, y)
    if fit.model.response.kind in ("binary", "ordered"):
        most = int(design.observations.lengths.max()) * (len(design.labels) - 1)
        count = np.bincount(total.astype(int), minlength=most + 1)
        return {str(score): float(number) for score, number in enumerate(count)}
    edges = np.quantile(design.person_totals, np.linspace(0, 1, BINS + 1)[1:-1])
    count = np.bincount(np.searchsorted(edges, total, side="right"), minlength=BINS)
    return {f"tenth {k + 1}": float(number) for k, number in enumerate(count)}


def _items(fit: Fit, y: np.ndarray) -> Numbers:
    """Return the share of each category but the lowest of each item, or its mean and sd."""
    design, labels = fit.design, fit.design.labels
    item, size = design.obs_item, len(design.items)
    n = np.bincount(item, minlength=size)
    if labels:
        share = np.bincount(item * len(labels) + y.astype(int), minlength=size * len(labels))
        each = share.reshape(size, -1)[:, 1:] / n[:, None]
        names = [f", {label}" for label in labels[1:]] if len(labels) > 2 else [""]
    else:
        mean = np.bincount(item, y, minlength=size) / n
        sd = np.sqrt(np.bincount(item, (y - mean[item]) ** 2, minlength=size) / n)
        each, names = np.column_stack([mean, sd]), [", mean", ", sd"]
    return {
        f"{label}{name}": float(value) for label, row in zip(design.items, each, strict=True)
        for name, value in zip(names, row, strict=True)
    }  # fmt: skip


def _item_total(fit: Fit, y: np.ndarray) -> Numbers:
    """Return the correlation of each item with the sum of the person's other responses."""
    design = fit.design
    rest = np.bincount(design.obs_person, y)[design.obs_person] - y
    item, size = design.obs_item, len(design.items)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(item, values, minlength=size) / np.bincount(item, minlength=size)

    a, b = y - mean(y)[item], rest - mean(rest)[item]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = mean(a * b) / np.sqrt(mean(a**2) * mean(b**2))
    return dict(zip(map(str, design.items), r.tolist(), strict=True))


def _pairs(fit: Fit, y: np.ndarray) -> Numbers:
    """Return the log odds ratio (each count plus a half) of binary pairs, else correlations."""
    design, binary = fit.design, fit.model.response.kind == "binary"
    table, mask = _table(design, y)
    both = mask.T @ mask
    one = table.T @ mask
    product = table.T @ table
    first, second = np.triu_indices(len(design.items), 1)
    n, s, t, st = (m[first, second] for m in (both, one, one.T, product))
    if binary:
        found = np.log((st + 0.5) * (n - s - t + st + 0.5) / ((s - st + 0.5) * (t - st + 0.5)))
    else:
        square = (table**2).T @ mask
        ss, tt = square[first, second], square.T[first, second]
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt((n * ss - s**2) * (n * tt - t**2))
            found = (n * st - s * t) / spread
    names = [f"{design.items[i]} ~ {design.items[j]}" for i, j in zip(first, second, strict=True)]
    return dict(zip(names, found.tolist(), strict=True))


def _table(design: Design, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return persons x items, the last of several responses, and where there are any."""
    table = np.zeros((len(design.persons), len(design.items)))
    mask = np.zeros_like(table)
    place = design.obs_person, design.obs_item
    table[place], mask[place] = y, 1.0
    return table, mask


NAMED: dict[str, Measure] = {
    "totals": _totals,
    "scores": _scores,
    "items": _items,
    "item_total": _item_total,
    "pairs": _pairs,
}
