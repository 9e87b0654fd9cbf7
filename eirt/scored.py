"""Scores of persons and statistics of fit, as methods of a fit; each lives in its own room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from eirt.diagnostics.moments import Statistic
    from eirt.diagnostics.predictive import Statistic as OfData
    from eirt.diagnostics.residuals import Ability
    from eirt.results import Fit
    from eirt.scores.persons import Method
    from eirt.simulation import Effects


class Scored:
    """What a fit says of persons, and of itself."""

    @property
    def _fit(self) -> Fit:
        return cast("Fit", self)

    def persons(self, method: Method | None = None, new: Any = None) -> pd.DataFrame:
        """Return person abilities with standard errors; see `eirt.scores.persons`."""
        from eirt.scores import persons

        return persons(self._fit, method, new)

    def plausible_values(self, n: int = 5, seed: int = 0) -> pd.DataFrame:
        """Return draws from each person's posterior; see `eirt.scores.plausible_values`."""
        from eirt.scores import plausible_values

        return plausible_values(self._fit, n, seed)

    def sum_scores(self) -> pd.DataFrame:
        """Return what each sum score says of ability; see `eirt.scores.sum_scores`."""
        from eirt.scores import sum_scores

        return sum_scores(self._fit)

    def reliability(self) -> pd.DataFrame:
        """Return marginal, empirical and separation reliability; see `eirt.scores.reliability`."""
        from eirt.scores import reliability

        return reliability(self._fit)

    def item_fit(self, method: Ability | None = None) -> pd.DataFrame:
        """Return infit, outfit and S-X2 of each item; see `eirt.diagnostics.item_fit`."""
        from eirt.diagnostics import item_fit

        return item_fit(self._fit, method)

    def person_fit(self, method: Ability | None = None) -> pd.DataFrame:
        """Return infit, outfit, lz and lz* of each person; see `eirt.diagnostics.person_fit`."""
        from eirt.diagnostics import person_fit

        return person_fit(self._fit, method)

    def model_fit(self, statistic: Statistic | None = None) -> pd.DataFrame:
        """Return M2 or C2 with RMSEA, SRMSR, CFI and TLI; see `eirt.diagnostics.model_fit`."""
        from eirt.diagnostics import model_fit

        return model_fit(self._fit, statistic)

    def q3(self, method: Ability | None = None) -> pd.DataFrame:
        """Return correlations of residuals between items; see `eirt.diagnostics.q3`."""
        from eirt.diagnostics import q3

        return q3(self._fit, method)

    def local_dependence(self) -> pd.DataFrame:
        """Return chi-square tests of pairs of items; see `eirt.diagnostics.local_dependence`."""
        from eirt.diagnostics import local_dependence

        return local_dependence(self._fit)

    def information_function(
        self, theta: np.ndarray | None = None, items: bool = False
    ) -> pd.DataFrame:
        """Return the information of the test or of its items; see `eirt.diagnostics`."""
        from eirt.diagnostics import information_function

        return information_function(self._fit, theta, items)

    def predictive_check(
        self,
        statistics: str | Sequence[str] | OfData | Mapping[str, OfData] | None = None,
        n: int = 200,
        seed: int = 0,
        level: float = 0.95,
        effects: Effects = "new persons",
    ) -> pd.DataFrame:
        """Compare the data with simulated ones; see `eirt.diagnostics.predictive_check`."""
        from eirt.diagnostics import predictive_check

        return predictive_check(self._fit, statistics, n, seed, level, effects)
