"""Response families: p(y | eta, aux) for ONE observation."""

from eirt.links import LINKS
from eirt.responses.base import ABSENT, Response
from eirt.responses.binary import Bernoulli, Guessing
from eirt.responses.categories import Adjacent, Cumulative, Nominal, Sequential
from eirt.responses.continuous import BetaProportion, Gamma, Gaussian, LogGaussian, Tobit
from eirt.responses.counts import Hurdle, NegativeBinomial, Poisson, ZeroInflated
from eirt.responses.mixed import Mixed
from eirt.responses.proportions import BetaBinomial, Binomial

RESPONSES: tuple[Response, ...] = (
    *(Bernoulli(name) for name in LINKS),
    *(Guessing(lower, upper) for lower, upper in ((0.25, 1.0), (None, 1.0), (None, None))),
    *(Cumulative(name, 4) for name in LINKS),
    Adjacent(4),
    *(Sequential(name, 4) for name in LINKS),
    Nominal(4),
    *(
        family
        for base in (Poisson(), NegativeBinomial())
        for family in (base, ZeroInflated(base), Hurdle(base))
    ),
    *(
        family(trials, name)
        for family in (Binomial, BetaBinomial)
        for trials, name in ((7, "logit"), ("tasks", "logit"), ("tasks", "cloglog"))
    ),
    ZeroInflated(Binomial("tasks")),
    Gaussian(),
    LogGaussian(),
    Gamma(),
    BetaProportion(),
    Mixed({"right": Bernoulli(), "time": LogGaussian()}, "measure"),
    *(Tobit(lower, upper) for lower, upper in ((-1.0, None), (None, 2.0), (-1.0, 2.0))),
)

__all__ = [
    "ABSENT",
    "RESPONSES",
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
