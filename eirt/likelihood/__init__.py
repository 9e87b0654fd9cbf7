"""Likelihoods: how the random effects are eliminated."""

from eirt.likelihood.adaptive import AdaptiveQuadrature
from eirt.likelihood.base import Likelihood, Objective
from eirt.likelihood.conditional import Conditional
from eirt.likelihood.laplace import Laplace
from eirt.likelihood.nested import Nested
from eirt.likelihood.prior import Beta, LogNormal, Normal, Prior
from eirt.likelihood.quadrature import Quadrature
from eirt.likelihood.reduced import Reduced

__all__ = [
    "AdaptiveQuadrature",
    "Beta",
    "Conditional",
    "Laplace",
    "Likelihood",
    "LogNormal",
    "Nested",
    "Normal",
    "Objective",
    "Prior",
    "Quadrature",
    "Reduced",
]
