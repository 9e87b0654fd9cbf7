"""Response families: p(y | eta, aux) for ONE observation."""

from eirt.responses.base import ABSENT, Response
from eirt.responses.binary import Bernoulli, Guessing
from eirt.responses.categories import Adjacent, Cumulative, Nominal, Sequential
from eirt.responses.continuous import BetaProportion, Gamma, Gaussian, LogGaussian, Tobit
from eirt.responses.counts import Hurdle, NegativeBinomial, Poisson, ZeroInflated
from eirt.responses.mixed import Mixed
from eirt.responses.proportions import BetaBinomial, Binomial

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
