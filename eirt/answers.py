"""What a fit answers about its parameters and in simulations: each lives in its own room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    import os
    import pathlib

    import pandas as pd

    from eirt.averages import Effects as Levels
    from eirt.focus import ConditionalAIC
    from eirt.resampling import Bootstrap
    from eirt.results import Fit
    from eirt.simulation import Effects


class Answers:
    """Inference from a fit: covariances, tests, intervals, functions of parameters, simulation."""

    @property
    def _fit(self) -> Fit:
        return cast("Fit", self)

    def covariance(
        self, kind: str = "observed", cluster: Any = None, data: Any = None
    ) -> pd.DataFrame:
        """Return the covariance of the estimates; see `eirt.robust.covariance`."""
        from eirt.robust import covariance

        return covariance(self._fit, kind, cluster, data)

    def test(
        self,
        *hypotheses: str | Sequence[str] | Any,
        covariance: str | pd.DataFrame = "observed",
        df: Literal["items"] | None = None,
    ) -> pd.DataFrame:
        """Return Wald tests of terms and linear hypotheses; see `eirt.hypotheses.wald_test`."""
        from eirt.hypotheses import wald_test

        return wald_test(self._fit, *hypotheses, covariance=covariance, df=df)

    def score_test(self, *terms: str, data: Any) -> pd.DataFrame:
        """Return score tests of terms that are not in the fit; see `eirt.score_tests`."""
        from eirt.score_tests import score_test

        return score_test(self._fit, *terms, data=data)

    def transform(
        self,
        function: Callable[[pd.Series], Any],
        level: float = 0.95,
        covariance: str | pd.DataFrame = "observed",
    ) -> pd.DataFrame:
        """Return functions of the parameters with errors; see `eirt.hypotheses.transform`."""
        from eirt.hypotheses import transform

        return transform(self._fit, function, level, covariance)

    def confint(
        self,
        parameters: str | Sequence[str] | None = None,
        level: float = 0.95,
        method: Literal["wald", "profile", "bootstrap", "bootstrap-t"] = "wald",
        **options: Any,
    ) -> pd.DataFrame:
        """Return limits of parameters by one of four methods; see `eirt.limits.confint`."""
        from eirt.limits import confint

        return confint(self._fit, parameters, level, method, **options)

    def profile(
        self, parameters: str | Sequence[str] | None = None, level: float = 0.95
    ) -> pd.DataFrame:
        """Return profile-likelihood limits of parameters; see `eirt.profiles.profile`."""
        from eirt.profiles import profile

        return profile(self._fit, parameters, level)

    def bootstrap(
        self,
        n: int = 200,
        kind: Literal["parametric", "cluster"] = "parametric",
        seed: int = 0,
        cluster: Any = None,
        data: Any = None,
    ) -> Bootstrap:
        """Return estimates from resampled data; see `eirt.resampling.bootstrap`."""
        from eirt.resampling import bootstrap

        return bootstrap(self._fit, n, kind, seed, cluster, data)

    def icc(self, level: float = 0.95) -> pd.DataFrame:
        """Return intraclass correlations of the latent response; see `eirt.clustering.icc`."""
        from eirt.clustering import icc

        return icc(self._fit, level)

    def population_effects(self, level: float = 0.95) -> pd.DataFrame:
        """Return effects on average over persons; see `eirt.averages.population_effects`."""
        from eirt.averages import population_effects

        return population_effects(self._fit, level)

    def predict_intervals(
        self, new: Any = None, effects: Levels = "conditional", level: float = 0.95
    ) -> pd.DataFrame:
        """Return logits, odds and probabilities with limits; see `eirt.averages`."""
        from eirt.averages import predict_intervals

        return predict_intervals(self._fit, new, effects, level)

    def conditional_aic(self) -> ConditionalAIC:
        """Return Akaike's criterion for the same persons and items; see `eirt.focus`."""
        from eirt.focus import conditional_aic

        return conditional_aic(self._fit)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to one file, which `eirt.load_fit` reads; see `eirt.saving.save`."""
        from eirt.saving import save

        save(self._fit, path)

    def export(
        self, folder: str | os.PathLike[str], formats: str | Sequence[str] = "csv"
    ) -> list[pathlib.Path]:
        """Write every table as CSV, JSON, Markdown or LaTeX; see `eirt.export.export`."""
        from eirt.export import export

        return export(self._fit, folder, formats)

    def simulate(
        self,
        n: int = 1,
        seed: int = 0,
        effects: Effects = "new",
        parameters: Mapping[str, float] | None = None,
    ) -> pd.DataFrame:
        """Return responses drawn from the fit; see `eirt.simulation.simulate`."""
        from eirt.simulation import simulate

        return simulate(self._fit, n, seed, effects, parameters)
