"""Response families: p(y | eta, aux) for ONE observation."""

from .base import ABSENT, Response
from .binary import Bernoulli, Guessing
from .categories import Adjacent, Cumulative, Nominal, Sequential
from .continuous import BetaProportion, Gamma, Gaussian, LogGaussian, Tobit
from .counts import Hurdle, NegativeBinomial, Poisson, ZeroInflated
from .mixed import Mixed
from .proportions import BetaBinomial, Binomial

__all__ = [
    "ABSENT",
    "Adjacent",
    "Bernoulli",
    "BetaBinomial",
    "BetaProportion",
    "Binomial",
    "Cumulative",
    "Gamma",
    "Gaussian",
    "Guessing",
    "Hurdle",
    "LogGaussian",
    "Mixed",
    "NegativeBinomial",
    "Nominal",
    "Poisson",
    "Response",
    "Sequential",
    "Tobit",
    "ZeroInflated",
]
