"""Item-level heterogeneous treatment effects: does a treatment move all items alike?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eirt import frames, tables
from eirt._math import spread
from eirt.certificate import BOUNDARY
from eirt.errors import DataError, listing, nearest
from eirt.explanatory import eirm
from eirt.formula import one_sided
from eirt.inference import likelihood_ratio
from eirt.plots.intervals import Band, draw_intervals
from eirt.report import frame_text
from eirt.results import Fit

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

    from eirt.plots import Picture

STEP = 0.01  # of the differences, in standard errors


@dataclass(frozen=True, eq=False)
class TreatmentEffects:
    """The effect of a treatment on each item and on items like them.

    Attributes:
        average: the effect on the average item: estimate, se, z, p, lower, upper. The standard
            error generalises over items: it is that of a mean of sampled items.
        spread: sd of the items' effects, its se, and the likelihood-ratio test that it is zero:
            chi2, df, p.
        correlation: of the items' effects with their easiness without treatment: estimate, se
            (none where the estimate is 1 or -1, as happens when effects hardly differ).
        new_item: 95% limits of the effect on another item of this kind.
        items: a row per item: item, effect (shrunken to the average), sd, lower, upper.
        fit: the fit with an effect of each item.
        constant: the fit with one effect for all.
        treatment: the column.
        treated: its value that counts as treated.
    """

    average: pd.Series
    spread: pd.Series
    correlation: pd.Series
    new_item: tuple[float, float]
    items: pd.DataFrame
    fit: Fit
    constant: Fit
    treatment: str
    treated: Any

    def __repr__(self) -> str:
        estimate, se = self.average["estimate"], self.average["se"]
        return (
            f"<Effects of {self.treatment} = {self.treated} on {len(self.items)} items: "
            f"average {estimate:.3f} (se {se:.3f}), sd {self.spread['sd']:.3f}>"
        )

    def __str__(self) -> str:
        title = f"Effects of {self.treatment} = {self.treated} on {len(self.items)} items"
        return "\n".join(
            [title, "=" * len(title), "Average effect", frame_text(self.average.to_frame().T), "",
             "Sd of item effects, tested against one effect for all",
             frame_text(self.spread.to_frame().T), "", "Correlation with easiness",
             frame_text(self.correlation.to_frame().T), "",
             f"Effect on a new item, 95%: {self.new_item[0]:.3f} to {self.new_item[1]:.3f}", "",
             "Effects of items", frame_text(self.items, 3)]
        )  # fmt: skip

    def summary(self) -> None:
        """Print the effects."""
        print(self)

    def plot(self) -> Picture:
        """Draw every item's effect with its 95% interval, the average and the range of new items.

        Returns:
            The picture. Its data: item, estimate, lower, upper.
        """
        return draw_intervals(
            self.items.rename(columns={"effect": "estimate"}),
            label=f"Effect of {self.treatment} = {self.treated}",
            bands=[
                Band(*self.new_item, "95% of new items"),
                Band(self.average["lower"], self.average["upper"], "average, 95%"),
            ],
            lines=[(self.average["estimate"], "average"), (0.0, "")],
        )


def il_hte(
    data: Any,
    treatment: str,
    *,
    treated: Any = None,
    person: str = "id",
    item: str = "item",
    response: str = "resp",
    covariates: str | None = None,
    **options: Any,
) -> TreatmentEffects:
    """Estimate how the effect of a treatment varies over items.

        logit P(y_pi = 1) = b + tau T_p + theta_p + e_i + d_i T_p,
        theta_p ~ N(0, sigma^2),   (e_i, d_i) ~ N(0, Sigma)

    tau is the effect on the average item, tau + d_i that on item i. With one effect for all
    items (d = 0), the standard error of tau holds for these items only.

    Args:
        data: one row a response.
        treatment: the column of treatment: 0/1, bool, or two levels.
        treated: the value that counts as treated; by default the second level, 1 or True.
        person: the person column.
        item: the item column.
        response: the response column.
        covariates: formula of further fixed effects, "~ pretest + age".
        **options: see `eirt.doors.Options`.

    Returns:
        The effects. Items' effects are posterior means; their sd counts the uncertainty of the
        parameters. The interval for a new item takes the t distribution on (items - 2) degrees of
        freedom with variance se^2 + sd^2.

    Raises:
        DataError: if the treatment has not two levels, or `treated` is none of them.

    Source: Gilbert, Kim & Miratrix (2023); Gilbert (2024). Test at the boundary, Stram & Lee
    (1994); interval for a new item, Higgins, Thompson & Spiegelhalter (2009).

    >>> import eirt, numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> person, item = np.divmod(np.arange(1600), 8)
    >>> treat = person % 2
    >>> eta = rng.normal(size=200)[person] + treat * np.linspace(-0.5, 1.5, 8)[item]
    >>> resp = (rng.random(1600) < 1 / (1 + np.exp(-eta))).astype(int)
    >>> data = pd.DataFrame({"id": person, "item": item, "treat": treat, "resp": resp})
    >>> eirt.il_hte(data, "treat", likelihood=eirt.Laplace())  # doctest: +SKIP
    <Effects of treat = 1 on 8 items: average 0.485 (se 0.216), sd 0.383>
    """
    frame = frames.to_pandas(data)
    roles = {treatment: "treatment", person: "persons", item: "items", response: "responses"}
    for column, role in roles.items():
        frames.require_columns(frame, [column], role)
    codes, treated = _coded(frame[treatment], treated)
    frame = frame.assign(**{treatment: codes})
    more = f" + {one_sided(covariates, 'covariates').fixed}" if covariates else ""
    start = f"{response} ~ 1 + `{treatment}`{more} + (1 | {person})"
    options = {"name": "Effects by item", "person": person, "item": item, **options}
    fit = eirm(frame, f"{start} + (1 + `{treatment}` | {item})", **options)
    options["name"] = "One effect for all items"
    constant = eirm(frame, f"{start} + (1 | {item})", **options)
    return _described(fit, constant, item, treatment, treated)


def _coded(column: pd.Series, treated: Any) -> tuple[pd.Series, Any]:
    """Return 1.0 where treated, 0.0 where not, and which value counts as treated.

    Raises:
        DataError: if there are not two levels, or `treated` is none of them.
    """
    import pandas as pd

    levels = list(pd.Categorical(column).remove_unused_categories().categories)
    if len(levels) != 2:
        raise DataError(
            f"The treatment {column.name!r} must have two levels but has {len(levels)} "
            f"({listing(levels)}); keep the rows of two of them."
        )
    chosen = levels[1] if treated is None else treated
    if chosen not in levels:
        raise DataError(
            f"treated={chosen!r} is no value of {column.name!r}, which holds {listing(levels)}."
            + nearest(chosen, map(str, levels))
        )
    return (column == chosen).astype(float).where(column.notna()), chosen


def _described(
    fit: Fit, constant: Fit, item: str, treatment: str, treated: Any
) -> TreatmentEffects:
    """Return what two fits say of a treatment's effects."""
    import pandas as pd
    from scipy.stats import t

    fixed = fit.fixed.set_index("term").loc[treatment]
    average = fixed[["estimate", "se", "z", "p", "lower", "upper"]].astype(float)
    random = fit.random[fit.random["group"] == item].set_index("term")
    test = likelihood_ratio(constant, fit)
    sd = random.loc[treatment, ["sd", "se"]].to_dict()
    spread = pd.Series(sd | {name: test[name] for name in ("chi2", "df", "p")}, dtype=float)
    pair = random.loc[f"(Intercept) ~ {treatment}"]
    inside = abs(pair["correlation"]) < 1 - BOUNDARY
    error_of_pair = pair["se"] if inside else np.nan
    correlation = pd.Series({"estimate": pair["correlation"], "se": error_of_pair}, dtype=float)
    effect, error = _item_effects(fit, item, treatment)
    limits = tables.wald(effect, error)
    names = fit.effects(item).query("term == @treatment")["level"]
    items = pd.DataFrame({"item": names.to_numpy(), "effect": effect, "sd": error,
                          "lower": limits["lower"], "upper": limits["upper"]})  # fmt: skip
    far = t.ppf((1 + tables.LEVEL) / 2, len(items) - 2) * np.hypot(average["se"], spread["sd"])
    centre = average["estimate"]
    return TreatmentEffects(
        average=average,
        spread=spread,
        correlation=correlation,
        new_item=(float(centre - far), float(centre + far)),
        items=items,
        fit=fit,
        constant=constant,
        treatment=treatment,
        treated=treated,
    )


def _item_effects(
    fit: Fit, item: str, treatment: str
) -> tuple[Float[np.ndarray, " I"], Float[np.ndarray, " I"]]:
    """Return the effect on each item and its standard deviation.

        Var(tau + d_i) = Var(d_i | psi) + J_i Cov(psi) J_i',   J_i = d(tau + d_i) / d psi

    What is not known of tau and of the variances is part of what is not known of an item.

    Source: Kass & Steffey (1989).
    """
    place = fit.names.index(treatment)

    def effects(psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved = replace(fit, psi=psi)
        table = moved.effects(item)
        own = table[table["term"] == treatment]
        return moved.full[place] + own["estimate"].to_numpy(), own["sd"].to_numpy()

    se = np.sqrt(np.diagonal(fit.free_covariance))
    steps = STEP * np.where(np.isfinite(se) & (se > 0), se, STEP)
    derivative = tables.difference(lambda psi: effects(psi)[0], fit.psi, steps)
    effect, sd = effects(fit.psi)
    shared = spread(derivative, fit.free_covariance)
    return effect, np.sqrt(sd**2 + shared)
