"""A fit: estimates with their covariance as tidy tables, and the certificate that it holds."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from eirt import components, tables
from eirt._config import double_precision
from eirt.answers import Answers
from eirt.certificate import Certificate, at_bounds
from eirt.design import Design
from eirt.errors import ConvergenceWarning, DataError, listing, warn_caller
from eirt.information import covariance
from eirt.likelihood import Likelihood, Objective
from eirt.likelihood.base import Moments
from eirt.model import Model, global_offsets
from eirt.restrictions import Restriction
from eirt.scored import Scored
from eirt.separable import Separable
from eirt.terms import Term

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float, Int

    from eirt.plots import Kind, Picture


@dataclass(frozen=True, eq=False)
class Fit(Scored, Answers):
    """A fitted model. Tables are data frames; `summary()` prints them.

    Attributes:
        name: the model, in words.
        loglik: maximised log-likelihood.
        certificate: what shows that it is the maximum.

    >>> import eirt
    >>> fit = eirt.two_pl(eirt.load("lsat7"), wide=True)
    >>> fit.converged, fit.n_params, round(fit.aic, 1), round(fit.bic, 1)
    (True, 10, 5337.6, 5402.8)
    >>> fit.fixed[["term", "estimate", "se"]].round(2).head(2)
           term  estimate    se
    0  item[Q1]      1.86  0.13
    1  item[Q2]      0.81  0.09
    >>> fit.items[["item", "easiness", "discrimination"]].round(2).head(2)
      item  easiness  discrimination
    0   Q1      1.86            0.99
    1   Q2      0.81            1.08
    >>> fit.random.loc[0, "sd"]
    np.float64(1.0)
    >>> list(fit.effects("id").columns)
    ['level', 'term', 'estimate', 'sd']
    """

    name: str
    model: Model
    design: Design
    likelihood: Likelihood
    objective: Objective
    restriction: Restriction
    names: tuple[str, ...]
    psi: np.ndarray
    information: np.ndarray | Separable
    loglik: float
    certificate: Certificate

    def __repr__(self) -> str:
        return (
            f"<{self.name}: log-likelihood {self.loglik:.4f}, {self.n_params} parameters, "
            f"{'converged' if self.converged else 'NOT converged'}>"
        )

    def warn(self) -> Self:
        """Warn when the certificate does not hold."""
        if not self.converged:
            text = "; ".join(self.certificate.failures)
            warn_caller(f"{self.name} did not converge: {text}.", ConvergenceWarning)
        return self

    # ---- numbers -------------------------------------------------------------------------

    @property
    def converged(self) -> bool:
        """Whether the certificate holds."""
        return self.certificate.converged

    @property
    def n_params(self) -> int:
        """Number of free parameters."""
        return len(self.psi)

    @property
    def n_obs(self) -> int:
        """Number of responses."""
        return self.design.n_obs

    @property
    def aic(self) -> float:
        """Akaike's information criterion, -2 log L + 2 k."""
        return -2 * self.loglik + 2 * self.n_params

    @property
    def bic(self) -> float:
        """Schwarz' criterion, -2 log L + k log n, n being the number of responses (as in lme4)."""
        return -2 * self.loglik + self.n_params * float(np.log(self.n_obs))

    @property
    def quadrature_error(self) -> float | None:
        """Log-likelihood on about twice the nodes, minus `loglik`; None where not computed."""
        return self.certificate.quadrature_error

    @property
    def laplace_error(self) -> float | None:
        """Log-likelihood by importance sampling, minus `loglik`; None where not computed."""
        return self.certificate.laplace_error

    @functools.cached_property
    def full(self) -> np.ndarray:
        """All parameters, fixed ones included, in the order of `names`."""
        return self.restriction.full(self.psi)

    @functools.cached_property
    def vcov(self) -> pd.DataFrame:
        """Covariance of all parameters, the inverse of the observed information.

        Rows and columns of fixed parameters are zero.

        Raises:
            DataError: if parameters are too many for a table; see `covariance_of`.
        """
        import pandas as pd

        covariance, select = self.free_covariance, self.select
        return pd.DataFrame(select @ covariance @ select.T, self.names, self.names)

    def covariance_of(self, places: Int[np.ndarray, "sets k"]) -> Float[np.ndarray, "sets k k"]:
        """Return the covariance within sets of parameters, by their places among `names`."""
        if isinstance(self.information, Separable):
            return self.information.covariance_of(np.asarray(self.restriction.source)[places])
        return self.vcov.to_numpy()[places[:, :, None], places[:, None, :]]

    @functools.cached_property
    def free_covariance(self) -> np.ndarray:
        """Covariance of the free parameters."""
        return covariance(self.information)

    @functools.cached_property
    def select(self) -> np.ndarray:
        """The derivative of the full vector in the free one."""
        return self.restriction.select

    @functools.cached_property
    def moments(self) -> Moments:
        """Posterior of the spherical random effects."""
        return double_precision(self.objective.moments)(self.psi)

    @property
    def boundary(self) -> tuple[str, ...]:
        """Names of the standard deviations estimated as zero, and of the correlations as +-1.

        Then of the extra parameters of the response that are at a bound of their range.
        """
        extra = self.model.bounded_places
        return at_bounds(self.random, {self.names[k]: float(self.full[k]) for k in extra})

    # ---- tables --------------------------------------------------------------------------

    @functools.cached_property
    def fixed(self) -> pd.DataFrame:
        """Fixed effects on the easiness side: estimate, se, z, p, 95% limits, odds ratio.

        Effects on other parameters follow, named after them; slopes of single items are in
        `items`. The odds ratio exp(estimate) is given for easiness in logit models.
        """
        import pandas as pd

        p = self.model.n_fixed
        places = np.concatenate([np.arange(p), *tables.explained_places(self)])
        se = np.sqrt(self.covariance_of(places[:, None]).ravel())
        table = tables.wald(self.full[places], se)
        table.insert(0, "term", [self.names[place] for place in places])
        if getattr(getattr(self.model.response, "distribution", None), "name", "") == "logit":
            table["odds_ratio"] = np.exp(table["estimate"]).where(places < p)
        return pd.DataFrame(table)

    @functools.cached_property
    def random(self) -> pd.DataFrame:
        """Variances, standard deviations and correlations of the random effects.

        A row per effect, with the standard error of its standard deviation, then a row per pair
        of correlated effects, with its covariance under `variance` and the standard error of the
        correlation. A standard deviation fixed by identification has no standard error.
        """
        import pandas as pd

        return pd.DataFrame(
            components.variance_components(self),
            columns=["group", "term", "variance", "sd", "correlation", "se"],
        )

    @functools.cached_property
    def response_parameters(self) -> pd.DataFrame:
        """Extra parameters of the response (intercepts of ordered categories, dispersion)."""
        import pandas as pd

        return pd.DataFrame(
            components.response_parameters(self), columns=["parameter", "estimate", "se"]
        )

    def effects(self, group: str) -> pd.DataFrame:
        """Return the random effects of a group: posterior means (or modes), and their sd.

        Args:
            group: a grouping factor of the model.

        Returns:
            Columns level, term, estimate, sd.

        Raises:
            ValueError: if the model has no random effects for the group.
        """
        import pandas as pd

        known = [term.group for term in self.design.terms]
        if group not in known:
            raise ValueError(
                f"There are no random effects for {group!r}; there are for {listing(known)}."
            )
        return pd.concat(tables.random_effects(self, group), ignore_index=True)

    @functools.cached_property
    def item_parameters(self) -> tables.ItemParameters:
        """Easiness and slope of every item with their joint covariance.

        Raises:
            ValueError: if the fit does not know which column holds the items, or integrates them
                as if they were persons.
        """
        self.require_items(first=False)
        return tables.item_parameters(self)

    @functools.cached_property
    def items(self) -> pd.DataFrame:
        """One row an item: responses, mean response, easiness with se, slope with se if free."""
        from eirt.items import items

        return items(self)

    def require_items(self, first: bool = True) -> None:
        """Refuse a fit that does not know the items or, unless `first`, integrates them first."""
        if self.design.item is None:
            raise DataError("This fit does not know the items; name their column: item='...'.")
        if self.design.items_first and not first:
            raise DataError(
                f"{self.name} integrates the items ({self.design.item}) first, as there are more "
                "of them than of persons: fit.items has their easiness; refit with "
                "person='...', the column of persons, for the rest."
            )

    @property
    def has_slopes(self) -> bool:
        """Whether discriminations are estimated."""
        return any(effect.slope.free for effect in self.model.effects)

    def global_place(self, term: Term) -> int:
        """Return where the effects of a global term begin in the vector u."""
        places = zip(self.design.terms, global_offsets(self.design), strict=False)
        return next(offset for other, offset in places if other is term)

    # ---- answers (each lives in its own room) ----------------------------------------------

    def difficulty(self, identification: str | None = None, scale: str = "model") -> pd.DataFrame:
        """Return item difficulties b = -easiness / slope; see `eirt.difficulty.difficulty`."""
        from eirt.difficulty import difficulty

        return difficulty(self, identification, scale)

    def predict(
        self, new: Any = None, scale: str = "probability", effects: str = "conditional"
    ) -> np.ndarray:
        """Return predictions, by default at the data; see `eirt.predictions.predict`."""
        from eirt.predictions import predict

        return predict(self, new, scale, effects)

    def predict_items(
        self, features: Any, level: float = 0.95, interval: Literal["t", "normal"] = "t"
    ) -> pd.DataFrame:
        """Return what features predict of new items; see `eirt.new_items.predict_items`."""
        from eirt.new_items import predict_items

        return predict_items(self, features, level, interval)

    def feature_effects(self) -> pd.DataFrame:
        """Return what each feature does in logits, odds and probability; see `eirt.predictions`."""
        from eirt.predictions import feature_effects

        return feature_effects(self)

    def feature_tests(self) -> pd.DataFrame:
        """Return t tests of item features where items are few; see `eirt.few_items`."""
        from eirt.few_items import feature_tests

        return feature_tests(self)

    def check(self) -> dict[str, float]:
        """Return the estimated errors of the likelihood, computed now."""
        return double_precision(self.objective.errors)(self.psi)

    def summary(self) -> None:
        """Print the fit: data, likelihood and its error, certificate, effects."""
        print(self)

    def __str__(self) -> str:
        from eirt.report import text

        return text(self)

    def plot(self, kind: Kind = "wright", **options: Any) -> Picture:
        """Draw the fit: items, persons, effects, fit; see `eirt.plots.plot` for the kinds."""
        from eirt.plots import plot

        return plot(self, kind, **options)
