"""eirt: explanatory item response theory on JAX."""

from eirt.certificate import Certificate
from eirt.datasets import datasets, describe, load
from eirt.dif import dif
from eirt.errors import ConvergenceWarning, DataError, FormulaError
from eirt.explanatory import bifactor, eirm, explain, mirt
from eirt.inference import compare
from eirt.likelihood import (
    AdaptiveQuadrature,
    Beta,
    Laplace,
    LogNormal,
    Nested,
    Normal,
    Quadrature,
    Reduced,
)
from eirt.models import lltm, one_pl, rasch, two_pl
from eirt.optimisers import LBFGS, Newton, QuasiNewton
from eirt.responses import Bernoulli, Cumulative, Guessing, Poisson
from eirt.results import Fit
from eirt.treatment import il_hte
from eirt.validation import CrossValidation, cross_validate
from eirt.variance import explained_variance

__version__ = "0.1.0"

__all__ = [
    "LBFGS",
    "AdaptiveQuadrature",
    "Bernoulli",
    "Beta",
    "Certificate",
    "ConvergenceWarning",
    "CrossValidation",
    "Cumulative",
    "DataError",
    "Fit",
    "FormulaError",
    "Guessing",
    "Laplace",
    "LogNormal",
    "Nested",
    "Newton",
    "Normal",
    "Poisson",
    "Quadrature",
    "Reduced",
    "QuasiNewton",
    "bifactor",
    "compare",
    "cross_validate",
    "datasets",
    "describe",
    "dif",
    "eirm",
    "explain",
    "explained_variance",
    "il_hte",
    "lltm",
    "load",
    "mirt",
    "one_pl",
    "rasch",
    "two_pl",
]
