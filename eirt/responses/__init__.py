"""Response families: p(y | eta, aux) for ONE observation."""

from eirt.links import LINKS
from eirt.responses.base import Response
from eirt.responses.binary import Bernoulli, Guessing
from eirt.responses.counts import Poisson
from eirt.responses.ordered import Cumulative

RESPONSES: tuple[Response, ...] = (
    *(Bernoulli(name) for name in LINKS),
    *(Guessing(lower, upper) for lower, upper in ((0.25, 1.0), (None, 1.0), (None, None))),
    *(Cumulative(name, 4) for name in LINKS),
    Poisson(),
)

__all__ = ["RESPONSES", "Bernoulli", "Cumulative", "Guessing", "Poisson", "Response"]
