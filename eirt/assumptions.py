"""From a design to what is assumed of its random terms: covariances, slopes, fixed scales."""

from __future__ import annotations

from eirt.covariances import Correlation, Covariance, Repeated, Standard, covariance_of
from eirt.design import Design
from eirt.effects import STEEP, Effect, Slope, Target, Unit
from eirt.terms import Term


def assume(design: Design, slope: Slope) -> tuple[tuple[Effect, ...], dict[str, float]]:
    """Return what is assumed of each random term, and which scales are fixed for that.

    Where slopes are free they carry the scale of ability, whose variance is then one.

    Args:
        design: the data.
        slope: how responses react to ability.
    """
    effects: list[Effect] = []
    anchors: dict[str, float] = {}
    several = any(part.target.place for part in design.parts if part.target.parameter == STEEP)
    used = 0
    for term in design.terms:
        q = len(term.effects)
        targets = term.targets
        if term.local and several:
            targets = tuple(Target(STEEP, used + d) for d in range(q))
        asked = term.asked
        covariance = covariance_of(asked.structure, q // term.blocks, asked.correlated, asked.rank)
        if term.blocks > 1:
            covariance = Repeated(covariance, term.blocks)
        elif term.local and slope.free and used == 0:
            covariance, fixed = _unit_scale(term, covariance)
            anchors |= fixed
        used += q if term.local else 0
        effects.append(Effect(covariance, targets, slope if term.local else Unit(), term.local))
    return tuple(effects), anchors


def _unit_scale(term: Term, covariance: Covariance) -> tuple[Covariance, dict[str, float]]:
    """Return a covariance whose scale is fixed: that of the intercept, or of every dimension."""
    q = len(term.effects)
    if q == 1:
        return Standard(1), {}
    if "(Intercept)" in term.effects:
        return covariance, {f"sd[{term.group}|(Intercept)]": 1.0}
    return Correlation(q) if term.asked.correlated else Standard(q), {}
