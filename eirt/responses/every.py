"""One of each family, with every kind of option: what tests go through."""

from eirt.links import LINKS
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
    Response,
    Sequential,
    Tobit,
    ZeroInflated,
)

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
