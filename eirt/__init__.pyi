"""The public names of eirt, and where they live: read when one is used."""

from .categories import gpcm, grm, nominal, pcm, rsm, sequential
from .centering import center
from .certificate import Certificate
from .datasets import datasets, describe, load
from .errors import ConvergenceWarning, DataError, FormulaError
from .explanatory import bifactor, eirm, explain, mirt
from .functioning import dif
from .inference import compare
from .joint import joint_rt
from .likelihood import (
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
from .models import lltm, one_pl, rasch, two_pl
from .optimisers import LBFGS, Newton, QuasiNewton
from .outcomes import four_pl, lognormal_rt, poisson_counts, three_pl
from .planning import power
from .posterior import Posterior
from .proportionality import proportional_odds
from .rescaling import rescaled
from .responses import (
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
from .results import Fit
from .sampling import sample
from .saving import load_fit
from .simulation import simulate
from .splits import SplitTest, andersen
from .treatment import il_hte
from .validation import CrossValidation, cross_validate
from .variance import explained_variance

__version__: str

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
    "Posterior",
    "Quadrature",
    "QuasiNewton",
    "Reduced",
    "Sequential",
    "SplitTest",
    "Tobit",
    "ZeroInflated",
    "andersen",
    "bifactor",
    "center",
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
    "power",
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
    "load_fit",
    "mirt",
    "one_pl",
    "proportional_odds",
    "rasch",
    "rescaled",
    "sample",
    "simulate",
    "two_pl",
]
