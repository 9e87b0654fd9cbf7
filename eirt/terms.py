"""Random terms as data: which level and which covariates belong to each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from eirt.effects import STEEP, Target
from eirt.errors import FormulaError
from eirt.factors import constant_within, factor_codes, level_codes
from eirt.formula import Formula, RandomTerm, variables
from eirt.matrices import model_columns, model_matrix

if TYPE_CHECKING:
    import pandas as pd

MOST_BLOCKS = 60  # parts of a person (testlets, waves) that are integrated with the person
FEW_BLOCKS = 12  # so few parts that `person:part` is taken to be inside persons


class Explained(NamedTuple):
    """A parameter and the formula that explains it.

    Attributes:
        parameter: as in `Target`.
        label: how names of its coefficients begin; empty for easiness.
        formula: fixed part and random terms.
        places: the dimensions or extra parameters, each with coefficients of its own; every
            dimension when empty.
    """

    parameter: str
    label: str
    formula: Formula
    places: tuple[int, ...] = (0,)


class Source(NamedTuple):
    """How to build the covariates of some effects of a term.

    Attributes:
        names: the columns.
        spec: how to build them for new data.
        within: columns and levels of what repeats the effects inside a person, if anything.
        copies: how many parameters each effect has a copy for.
    """

    names: tuple[str, ...]
    spec: Any
    within: tuple[tuple[str, ...], np.ndarray] | None
    copies: int

    def columns(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the covariates for new rows."""
        return self.spread(model_columns(self.spec, frame, self.names), frame)

    def spread(self, z: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
        """Repeat covariates for each part of a person and each parameter."""
        if self.within is not None:
            factors, levels = self.within
            inside = level_codes(frame, factors, levels)[:, None] == np.arange(len(levels))
            z = (inside[:, :, None] * z[:, None, :]).reshape(len(z), -1)
        return np.tile(z, self.copies)


@dataclass(frozen=True, eq=False)
class Term:
    """The data of one random term.

    Attributes:
        group: name of the grouping factor, as printed.
        factors: the columns whose combinations are the levels.
        effects: names of the effects of one level.
        targets: what each effect moves; of local effects, the discrimination that carries it.
        levels: labels of the levels.
        index: level of each cell; None for the local group, whose level is the person.
        z: covariates of the effects, per cell.
        sources: how to build z for new data.
        asked: the term of the formula (the first, where several share the group).
        blocks: how often the effects are repeated inside a person.
    """

    group: str
    factors: tuple[str, ...]
    effects: tuple[str, ...]
    targets: tuple[Target, ...]
    levels: np.ndarray
    index: np.ndarray | None
    z: np.ndarray
    sources: tuple[Source, ...]
    asked: RandomTerm
    blocks: int = 1

    @property
    def local(self) -> bool:
        """Whether the term belongs to the local group."""
        return self.index is None

    def at(self, cells: np.ndarray) -> Self:
        """Return the term at some of its cells."""
        index = None if self.index is None else self.index[cells]
        return replace(self, index=index, z=self.z[cells])

    def columns(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the covariates of the effects for new rows."""
        return np.concatenate([source.columns(frame) for source in self.sources], axis=1)


class Place(NamedTuple):
    """Where a random term belongs: in a person (repeated `within`), or across persons."""

    local: bool
    within: tuple[str, ...] = ()


def local_group(
    frame: pd.DataFrame, terms: Sequence[RandomTerm], item: str | None
) -> tuple[str, ...]:
    """Return the factors of the group to integrate first: the one with most levels.

    A group of persons' parts (`person:testlet`) is inside persons where there are few parts, or
    items belong to them.
    """
    sizes = {term.group: len(factor_codes(frame, term.group)[1]) for term in terms}
    best = max(sizes, key=lambda group: sizes[group])
    for group in sorted(sizes, key=lambda group: -sizes[group]):
        rest = tuple(name for name in best if name not in group)
        if set(group) < set(best):
            codes, parts = factor_codes(frame, rest)
            of_items = item is not None and constant_within(codes, factor_codes(frame, [item])[0])
            if len(parts) <= FEW_BLOCKS or (of_items and len(parts) <= MOST_BLOCKS):
                return group
    return best


def place_of(frame: pd.DataFrame, term: RandomTerm, person: tuple[str, ...]) -> Place:
    """Return where a random term belongs."""
    if term.group == person:
        return Place(True)
    rest = tuple(name for name in term.group if name not in person)
    if set(person) < set(term.group) and len(factor_codes(frame, rest)[1]) <= MOST_BLOCKS:
        return Place(True, rest)
    return Place(False)


def term_columns(term: RandomTerm, place: Place) -> tuple[str, ...]:
    """Return the columns on which a term depends from cell to cell."""
    return (*variables(term.effects), *(place.within if place.local else term.group))


def build_terms(
    frame: pd.DataFrame, first: np.ndarray, asked: Sequence[Explained], person: tuple[str, ...]
) -> tuple[Term, ...]:
    """Return the terms of all formulas; those of one group in several formulas become one.

    Effects of the same level on several parameters (easiness and discrimination of an item) thus
    correlate, unless either is written with `||`.

    Args:
        frame: the checked data.
        first: a row of each cell.
        asked: the formulas, that of easiness first.
        person: factors of the local group.

    Raises:
        FormulaError: if effects of persons are asked for a parameter of items.
    """
    terms: list[Term] = []
    for explained in asked:
        n_local = sum(len(term.effects) for term in terms if term.local)
        explained = explained._replace(places=explained.places or tuple(range(n_local)))
        for source in explained.formula.random:
            term = _term(frame, first, source, explained, place_of(frame, source, person))
            same = [
                k
                for k, other in enumerate(terms)
                if _joinable(other) and _joinable(term) and other.group == term.group
                and not set(other.targets) & set(term.targets)
            ]  # fmt: skip
            if same:
                terms[same[0]] = _join(terms[same[0]], term)
            else:
                terms.append(term)
    return tuple(terms)


def _term(
    frame: pd.DataFrame, first: np.ndarray, asked: RandomTerm, explained: Explained, place: Place
) -> Term:
    if place.local and explained.parameter != "easiness":
        raise FormulaError(
            f"({asked.effects} | {asked.label}) cannot explain {explained.label}: persons' effects "
            "belong to ability; write the term in the formula of easiness."
        )
    z, names, spec = model_matrix(asked.effects, frame, first)
    within, effects, factors = None, names, asked.group
    if place.within:
        parts = factor_codes(frame, place.within)[1]
        within = (place.within, parts)
        effects = tuple(_inside(str(part), name) for part in parts for name in names)
        factors = tuple(name for name in asked.group if name not in place.within)
    codes, levels = factor_codes(frame, factors)
    copies = 1 if place.local else len(explained.places)
    source = Source(names, spec, within, copies)
    targets = [Target(STEEP)] * len(effects)
    if not place.local:
        targets = [Target(explained.parameter, p) for p in explained.places for _ in names]
        suffixes = [f"|{p + 1}" if copies > 1 else "" for p in explained.places]
        effects = tuple(coefficient_name(explained.label, n, s) for s in suffixes for n in names)
    return Term(
        asked.label,
        factors,
        effects,
        tuple(targets),
        levels,
        None if place.local else codes[first],
        source.spread(z, frame.iloc[first]),
        (source,),
        asked,
        len(within[1]) if within else 1,
    )


def _inside(part: str, name: str) -> str:
    return part if name == "(Intercept)" else f"{part}:{name}"


def coefficient_name(label: str, column: str, suffix: str = "") -> str:
    """Name a coefficient: "mode[do]" of easiness, "discrimination[mode[do]]" of anything else."""
    if not label:
        return column
    inner = "" if column == "(Intercept)" else column
    inner = (inner + suffix).removeprefix("|")
    return f"{label}[{inner}]" if inner else label


def _joinable(term: Term) -> bool:
    return not term.local and term.asked.correlated and term.asked.structure is None


def _join(one: Term, other: Term) -> Term:
    """Return one term with the effects of both."""
    return replace(
        one,
        effects=one.effects + other.effects,
        targets=one.targets + other.targets,
        z=np.concatenate([one.z, other.z], axis=1),
        sources=one.sources + other.sources,
    )


def whole(local: Sequence[Term]) -> tuple[int, ...]:
    """Return the local effects that together are an intercept: alone, or a dimension per cell."""
    names = [name for term in local for name in term.effects]
    if "(Intercept)" in names:
        return (names.index("(Intercept)"),)
    seen = 0
    for term in local:
        q = len(term.effects)
        if np.all(term.z.sum(axis=1) == 1.0) and set(np.unique(term.z)) <= {0.0, 1.0}:
            return tuple(range(seen, seen + q))
        seen += q
    return ()
