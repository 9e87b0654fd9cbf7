"""How the random effects of one level vary together.

Inside, random effects are spherical: b = Lambda(theta) u with u ~ N(0, I).
"""

from collections.abc import Callable

from eirt.covariances.base import Covariance
from eirt.covariances.loadings import Correlation, Factor, ReducedRank
from eirt.covariances.patterned import (
    AR1,
    CompoundSymmetry,
    HeterogeneousCompoundSymmetry,
    Repeated,
)
from eirt.covariances.plain import Diagonal, Scalar, Standard, Unstructured

COVARIANCES: tuple[type[Covariance], ...] = (
    Standard,
    Scalar,
    Diagonal,
    Unstructured,
    CompoundSymmetry,
    HeterogeneousCompoundSymmetry,
    AR1,
    ReducedRank,
    Factor,
    Correlation,
    Repeated,
)

RANKED: dict[str, Callable[[int, int], Covariance]] = {"fa": Factor, "rr": ReducedRank}
STRUCTURES: dict[str, Callable[..., Covariance]] = {
    "us": Unstructured,
    "diag": Diagonal,
    "homdiag": Scalar,
    "cs": HeterogeneousCompoundSymmetry,
    "homcs": CompoundSymmetry,
    "ar1": AR1,
    **RANKED,
}


def covariance_of(
    structure: str | None, dimension: int, correlated: bool = True, rank: int = 1
) -> Covariance:
    """Return the covariance that a term of a formula asks for.

    Args:
        structure: name before the bracket, a key of `STRUCTURES`; None for a plain `(z | g)`.
        dimension: number of effects per level.
        correlated: False for a plain `||`.
        rank: number of factors of `fa` and `rr`.

    Source: the names are glmmTMB's (Brooks et al., 2017; its vignette "Covariance structures").

    >>> covariance_of(None, 2), covariance_of("fa", 4, rank=1)
    (Unstructured(dimension=2), Factor(dimension=4, rank=1))
    """
    if structure in RANKED:
        return RANKED[structure](dimension, rank)
    if structure is not None:
        return STRUCTURES[structure](dimension)
    if dimension == 1:
        return Scalar(1)
    return Unstructured(dimension) if correlated else Diagonal(dimension)


__all__ = [
    "AR1",
    "COVARIANCES",
    "RANKED",
    "STRUCTURES",
    "CompoundSymmetry",
    "Correlation",
    "Covariance",
    "Diagonal",
    "Factor",
    "HeterogeneousCompoundSymmetry",
    "ReducedRank",
    "Repeated",
    "Scalar",
    "Standard",
    "Unstructured",
    "covariance_of",
]
