"""Likelihoods: how the random effects are eliminated."""

from .adaptive import AdaptiveQuadrature
from .base import Likelihood, Objective
from .conditional import Conditional
from .laplace import Laplace
from .nested import Nested
from .prior import Beta, LogNormal, Normal, Prior
from .quadrature import Quadrature
from .reduced import Reduced

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
