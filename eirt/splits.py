"""Do items have the same difficulties in parts of the sample? Andersen's test, and item by item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt._config import double_precision
from eirt.design import Design
from eirt.errors import DataError, listing, nearest
from eirt.frames import values_of
from eirt.likelihood.booklets import informative
from eirt.plots.agreement import agreement
from eirt.plots.base import Picture
from eirt.refits import on_design
from eirt.report import frame_text
from eirt.results import Fit
from eirt.samples import of_items, of_persons

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, Int

SCORES = ("median", "mean")


@dataclass(frozen=True, eq=False)
class SplitTest:
    """One set of item parameters for all persons against one for each group of them.

    Attributes:
        chi2: 2 (sum of the groups' log-likelihoods - that of all together).
        df: how many more parameters the groups have.
        p: of chi2.
        items: Wald tests of each difficulty: item (and threshold), chi2, df, p and, with two
            groups, difference (first minus second group), se, z. Difficulties have mean zero in
            each group.
        difficulties: a row per group and difficulty, with se and 95% limits.
        fits: the fit of each group.
        together: the fit to all.
        left_out: items without finite estimates in some group.
    """

    chi2: float
    df: int
    p: float
    items: pd.DataFrame
    difficulties: pd.DataFrame
    fits: dict[str, Fit]
    together: Fit
    left_out: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"<{self.together.name} in {len(self.fits)} groups ({listing(self.fits)}): "
            f"chi2 {self.chi2:.3f}, df {self.df}, p {self.p:.3g}>"
        )

    def __str__(self) -> str:
        title = f"{self.together.name}: the same items in {listing(self.fits)}?"
        test = f"Andersen's test: chi2 {self.chi2:.3f}, df {self.df}, p {self.p:.3g}"
        lines = [title, "=" * len(title), test]
        if self.left_out:
            lines.append(f"Left out, without finite estimates: {listing(self.left_out)}")
        return "\n".join([*lines, "", "Items", frame_text(self.items, 3)])

    def summary(self) -> None:
        """Print the tests."""
        print(self)

    def plot(self) -> Picture:
        """Draw the difficulties of the second group against those of the first.

        Returns:
            The picture of the graphical model check (Rasch, 1960). Its data: a row per difficulty.

        Raises:
            ValueError: with more than two groups.
        """
        if len(self.fits) != 2:
            raise ValueError(
                f"The picture compares two groups, and there are {len(self.fits)}; the table "
                "`difficulties` has all."
            )
        first, second = self.fits
        return agreement(self.difficulties, first, second)


@double_precision
def andersen(fit: Fit, split: Any = "median", data: Any = None) -> SplitTest:
    """Test whether items have the same parameters in groups of persons.

        chi2 = 2 (sum_g log L_g - log L),   z_i = (b_i1 - b_i2) / sqrt(se_i1^2 + se_i2^2)

    Given scores, item parameters can be estimated in any part of the sample: where the Rasch model
    holds they agree but for chance. Split by score the test finds unequal discriminations, split
    by a covariate differential functioning. Items whose difficulties are not finite in some group
    are left out of all, and said; so are persons without a group.

    Args:
        fit: a fit with `likelihood=eirt.Conditional()`.
        split: "median" or "mean" (up to it, or above it, of the sum scores), the name of a column
            of `data`, or groups: one for each of `fit.design.persons`, or a mapping from persons.
        data: the frame with that column, one value for each person.

    Returns:
        The tests: chi2, df, p; `.items`, `.difficulties`, `.plot()`.

    Raises:
        DataError: if there is one group only, a column varies within a person, or fewer than two
            items have estimates in all groups.
        ValueError: if the likelihood is not conditional.

    Source: Andersen (1973); Fischer & Scheiblechner (1970) for single items.

    >>> import eirt
    >>> fit = eirt.rasch(eirt.load("lsat7"), wide=True, likelihood=eirt.Conditional())
    >>> test = andersen(fit, "mean")
    >>> test.df, round(test.chi2, 2)
    (4, 10.83)
    """
    import pandas as pd
    from scipy.special import chdtrc

    if not fit.likelihood.conditional:
        raise ValueError(
            f"Parts of the sample differ in ability, which {fit.likelihood.name} assumes to have "
            "one distribution; refit with likelihood=eirt.Conditional()."
        )
    group, names = _groups(fit, split, data)
    design = of_persons(fit.design, np.flatnonzero(group >= 0))
    group = group[group >= 0]
    kept = _estimable(fit, design, group)
    left_out = tuple(str(item) for item in fit.design.items[~kept])
    if left_out:
        labels = pd.Index(design.persons)
        design = of_items(design, kept)
        group = group[labels.get_indexer(design.persons)]
    whole = len(design.persons) == len(fit.design.persons) and not left_out
    together = fit if whole else on_design(fit, design, fit.name)
    fits = {
        name: on_design(fit, of_persons(design, np.flatnonzero(group == k)), f"{fit.name}, {name}")
        for k, name in enumerate(names)
    }
    chi2 = 2 * (sum(part.loglik for part in fits.values()) - together.loglik)
    df = sum(part.n_params for part in fits.values()) - together.n_params
    tables = [part.difficulty() for part in fits.values()]
    key = [name for name in ("item", "threshold") if name in tables[0]]
    kept_columns = [*key, "difficulty", "se", "lower", "upper"]
    difficulties = pd.concat(
        [table[kept_columns].assign(group=name) for name, table in zip(fits, tables, strict=True)]
    )
    return SplitTest(
        chi2=chi2,
        df=df,
        p=float(chdtrc(df, chi2)),
        items=_by_item(tables, key),
        difficulties=difficulties.reset_index(drop=True),
        fits=fits,
        together=together,
        left_out=left_out,
    )


def _groups(fit: Fit, split: Any, data: Any) -> tuple[Int[np.ndarray, " N"], list[str]]:
    """Return the group of each person, -1 for none, and the names of the groups."""
    import pandas as pd

    design = fit.design
    persons = len(design.persons)
    if isinstance(split, str) and data is None:
        if split not in SCORES:
            raise ValueError(
                f"No split {split!r}; there are 'median' and 'mean', or give data= with that "
                f"column.{nearest(split, SCORES)}"
            )
        score = np.bincount(design.obs_person, design.y, minlength=persons)
        cut = float(np.median(score) if split == "median" else np.mean(score))
        values = np.where(score > cut, f"score > {cut:.4g}", f"score <= {cut:.4g}")
    else:
        values = values_of(design.persons, str(design.person), split, data)
    codes, labels = pd.factorize(values, sort=True)
    if len(labels) < 2:
        raise DataError(f"All persons are in one group ({listing(labels)}): nothing to compare.")
    return codes, [str(label) for label in labels]


def _estimable(fit: Fit, design: Design, group: Int[np.ndarray, " N"]) -> Bool[np.ndarray, " I"]:
    """Return which items have finite estimates in every group.

    Without an item others have lowest or highest scores: this goes on until nothing changes.

    Raises:
        DataError: if fewer than two items have.
    """
    kept = np.ones(len(design.items), bool)
    own = any(name.startswith(f"{design.item}[") for name in design.x_names)
    if not (own or fit.model.aux_by_item):
        return kept
    everywhere = _answers(fit, design)
    parts = [of_persons(design, np.flatnonzero(group == k)) for k in range(group.max() + 1)]
    while True:
        before = kept.copy()
        for part in parts:
            some = of_items(part, kept[np.isin(design.items, part.items)])
            found = np.zeros_like(everywhere)
            found[np.isin(design.items, some.items)] = _answers(fit, some)
            if fit.model.aux_by_item:
                finite = np.all(found | ~everywhere, axis=1)
            else:
                finite = np.any(found[:, 1:], axis=1) & np.any(found[:, :-1], axis=1)
            kept &= finite
        if kept.sum() < 2:
            raise DataError(
                f"Only {kept.sum()} items have finite estimates in every group; take larger groups."
            )
        if np.array_equal(kept, before):
            return kept


def _answers(fit: Fit, design: Design) -> Bool[np.ndarray, "I C"]:
    """Return which categories of each item occur among persons whose scores tell something."""
    some = informative(fit.model, design)[design.obs_person]
    found = np.zeros((len(design.items), fit.design.n_categories), bool)
    found[design.obs_item[some], design.y[some].astype(int)] = True
    return found


def _by_item(tables: list[pd.DataFrame], key: list[str]) -> pd.DataFrame:
    """Return Wald tests of equal difficulties, and the difference between two groups.

    chi2 = sum_g (b_g - b)^2 / se_g^2,   b weighted by 1 / se_g^2
    """
    from scipy.special import chdtrc

    b = np.column_stack([table["difficulty"] for table in tables])
    se = np.column_stack([table["se"] for table in tables])
    weight = 1 / se**2
    centre = (weight * b).sum(axis=1) / weight.sum(axis=1)
    chi2, df = (weight * (b - centre[:, None]) ** 2).sum(axis=1), b.shape[1] - 1
    found = tables[0][key].copy()
    if df == 1:
        found["difference"], found["se"] = b[:, 0] - b[:, 1], np.hypot(*se.T)
        found["z"] = found["difference"] / found["se"]
    return found.assign(chi2=chi2, df=df, p=chdtrc(df, chi2))
