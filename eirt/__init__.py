"""eirt: explanatory item response theory on JAX."""

from eirt.categories import gpcm, grm, nominal, pcm, rsm, sequential
from eirt.certificate import Certificate
from eirt.datasets import datasets, describe, load
from eirt.dif import dif
from eirt.errors import ConvergenceWarning, DataError, FormulaError
from eirt.explanatory import bifactor, eirm, explain, mirt
from eirt.inference import compare
from eirt.joint import joint_rt
from eirt.likelihood import (
    AdaptiveQuadrature,
    Beta,
    Conditional,
    Laplace,
    LogNormal,
    Nested,
    Normal,
    Quadrature,
    Reduced,
)
from eirt.models import lltm, one_pl, rasch, two_pl
from eirt.optimisers import LBFGS, Newton, QuasiNewton
from eirt.outcomes import four_pl, lognormal_rt, poisson_counts, three_pl
from eirt.proportionality import proportional_odds
from eirt.responses import (
    Adjacent,
    Bernoulli,
    BetaBinomial,
    BetaProportion,
    Binomial,
    Cumulative,
    Gamma,
    Gaussian,
    Guessing,
    Hurdle,
    LogGaussian,
    Mixed,
    NegativeBinomial,
    Nominal,
    Poisson,
    Sequential,
    Tobit,
    ZeroInflated,
)
from eirt.results import Fit
from eirt.simulation import simulate
from eirt.splits import SplitTest, andersen
from eirt.treatment import il_hte
from eirt.validation import CrossValidation, cross_validate
from eirt.variance import explained_variance

__version__ = "0.1.0"

__all__ = [
    "LBFGS",
    "AdaptiveQuadrature",
    "Adjacent",
    "Bernoulli",
    "Beta",
    "BetaBinomial",
    "BetaProportion",
    "Binomial",
    "Certificate",
    "Conditional",
    "ConvergenceWarning",
    "CrossValidation",
    "Cumulative",
    "DataError",
    "Fit",
    "FormulaError",
    "Gamma",
    "Gaussian",
    "Guessing",
    "Hurdle",
    "Laplace",
    "LogGaussian",
    "LogNormal",
    "NegativeBinomial",
    "Nested",
    "Newton",
    "Nominal",
    "Normal",
    "Poisson",
    "Quadrature",
    "QuasiNewton",
    "Reduced",
    "Sequential",
    "SplitTest",
    "Tobit",
    "ZeroInflated",
    "andersen",
    "bifactor",
    "compare",
    "cross_validate",
    "datasets",
    "describe",
    "dif",
    "eirm",
    "four_pl",
    "joint_rt",
    "Mixed",
    "three_pl",
    "poisson_counts",
    "lognormal_rt",
    "sequential",
    "rsm",
    "pcm",
    "nominal",
    "grm",
    "gpcm",
    "explain",
    "explained_variance",
    "il_hte",
    "lltm",
    "load",
    "mirt",
    "one_pl",
    "proportional_odds",
    "rasch",
    "simulate",
    "two_pl",
]
