"""Several families in one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import jax.numpy as jnp
import numpy as np

from eirt.responses.base import ABSENT, Response

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

    from eirt.responses.base import Aux, Real

HARMLESS = 0.5  # a response at which every family has a finite density


@dataclass(frozen=True)
class Mixed(Response):
    """Responses of several families, a column of the data naming the family of each.

        p(y | eta, aux) = p_k(y | eta, aux_k),   k as the column says

    Effects that families share, or that correlate between families, make the model joint. The
    level of each family belongs to easiness: give each a column, as by `0 + measure`, or each item.

    Args:
        families: the families by the names that the column holds.
        column: the column.

    Raises:
        ValueError: if there are no families, or a family is itself mixed.

    Source: Skrondal & Rabe-Hesketh (2004), section 2.3.

    >>> from eirt.responses import Bernoulli, LogGaussian
    >>> Mixed({"accuracy": Bernoulli(), "time": LogGaussian()}, "measure").raw_names
    ('log_sd[time]',)
    """

    families: Mapping[str, Response] | tuple[tuple[str, Response], ...]
    column: str
    kind = "mixed"

    def __post_init__(self) -> None:
        object.__setattr__(self, "families", self.named)  # which can be hashed
        if not self.members or any(len(family.members) > 1 for family in self.members):
            raise ValueError("Mixed needs the families by name: {'accuracy': eirt.Bernoulli()}.")

    @property
    def named(self) -> tuple[tuple[str, Response], ...]:
        """Names and families."""
        return tuple(dict(self.families).items())

    @property
    def names(self) -> tuple[str, ...]:
        """What the column holds."""
        return tuple(name for name, _ in self.named)

    @property
    def members(self) -> tuple[Response, ...]:
        return tuple(family for _, family in self.named)

    @property
    def quadratic(self) -> bool:
        return all(family.quadratic for family in self.members)

    @property
    def n_aux(self) -> int:
        return sum(family.n_aux for family in self.members)

    @property
    def aux_names(self) -> tuple[str, ...]:
        return tuple(f"{aux} of {name}" for name, f in self.named for aux in f.aux_names)

    @property
    def raw_names(self) -> tuple[str, ...]:
        return tuple(_inside(raw, name) for name, f in self.named for raw in f.raw_names)

    @property
    def later(self) -> tuple[int, ...]:
        return tuple(at + place for family, at in self._places() for place in family.later)

    @property
    def bounded(self) -> tuple[int, ...]:
        return tuple(at + place for family, at in self._places() for place in family.bounded)

    @property
    def given(self) -> tuple[str, ...]:
        more = [column for family in self.members for column in family.given]
        return (self.column, *dict.fromkeys(more))

    @property
    def levels(self) -> dict[str, tuple[str, ...]]:
        return {self.column: self.names}

    @property
    def support(self) -> str:
        return "; ".join(f"for {name} {family.support}" for name, family in self.named)

    def member_of(self, *given: np.ndarray) -> Int[np.ndarray, " n"]:
        return np.asarray(given[0], int)

    def impossible(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        code, odd = self.member_of(*given), np.zeros(np.shape(y), bool)
        for k, family in enumerate(self.members):
            here = code == k
            odd[here] = family.impossible(y[here], *self._given_to(family, given, here))
        return odd

    def bind_members(self, sizes: list[int]) -> Self:
        bound = [family.bind(n) for family, n in zip(self.members, sizes, strict=True)]
        return type(self)(tuple(zip(self.names, bound, strict=True)), self.column)

    def constrain(self, raw: Aux) -> Float[Array, " n"]:
        parts = [f.constrain(raw[at : at + f.n_aux]) for f, at in self._places()]
        return jnp.concatenate([jnp.zeros(0), *parts])

    def extra(self, raw: Aux, moved: Aux) -> Float[Array, " n"]:
        places = [(f, slice(at, at + f.n_aux)) for f, at in self._places()]
        return jnp.concatenate([jnp.zeros(0), *(f.extra(raw[s], moved[s]) for f, s in places)])

    def absent(self, y: np.ndarray, *given: np.ndarray) -> dict[int, float]:
        code = self.member_of(*given)
        found: dict[int, float] = {}
        for k, (family, at) in enumerate(self._places()):
            own = y[code == k]
            less = family.absent(own) if own.size else dict.fromkeys(range(family.n_aux), 0.0)
            if own.size and not family.has_intercept:
                less[family.origin(int(own.max()) + 1)] = 0.0  # easiness holds the level
            found |= {at + j: value for j, value in less.items()}
        return found

    def start_from(self, y: np.ndarray, *given: np.ndarray) -> np.ndarray:
        code, starts = self.member_of(*given), [np.zeros(0)]
        for k, family in enumerate(self.members):
            here = code == k
            if not here.any():
                starts.append(np.zeros(family.n_aux))
                continue
            start = family.start_from(y[here], *self._given_to(family, given, here))
            if not family.has_intercept:
                start = family.recentred(start, int(y[here].max()) + 1, 0.0)[1]
            starts.append(start)
        return np.concatenate(starts)

    def start_eta(self, mean: Array) -> Array:
        raise TypeError("The members of Mixed start apart.")

    def log_prob(self, y: Real, eta: Real, aux: Aux) -> Real:
        def of(family: Response, here: Array, own: Aux) -> Real:
            return family.log_prob(jnp.where(here, y, HARMLESS), jnp.where(here, eta, 0.0), own)

        return self._chosen(of, aux)

    def mean(self, eta: Real, aux: Aux) -> Real:
        return self._chosen(lambda f, here, own: f.mean(jnp.where(here, eta, 0.0), own), aux)

    def sample(self, key: Array, eta: Real, aux: Aux) -> Real:
        return self._chosen(lambda f, here, own: f.sample(key, jnp.where(here, eta, 0.0), own), aux)

    def information(self, eta: Real, aux: Aux) -> Real:
        return self._chosen(lambda f, here, own: f.information(jnp.where(here, eta, 0.0), own), aux)

    def thresholds(self, aux: Float[Array, " n"]) -> Float[Array, " k"]:
        width = max([0, *(family.n_aux for family in self.members if not family.has_intercept)])

        def padded(family: Response, here: Array, own: Aux) -> Array:
            found = jnp.zeros(1) if family.has_intercept else family.thresholds(own)
            return jnp.pad(found, (0, width - found.size), constant_values=-ABSENT)

        return self._chosen(padded, aux) if width else jnp.zeros(0)

    def _places(self) -> list[tuple[Response, int]]:
        """Return each family and where its extra parameters begin."""
        sizes = [family.n_aux for family in self.members]
        return list(zip(self.members, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))

    def _given_to(
        self, family: Response, given: tuple[np.ndarray, ...], rows: np.ndarray
    ) -> list[np.ndarray]:
        return [np.asarray(given[self.given.index(name)])[rows] for name in family.given]

    def _chosen(self, of: Callable[[Response, Array, Aux], Array], aux: Aux) -> Array:
        """Return what the family says that the column names.

        All families are evaluated: where one is not asked, at values that give it no trouble.
        """
        n = self.n_aux
        code, answer = aux[n], jnp.zeros(())
        for k, (family, at) in enumerate(self._places()):
            columns = [n + self.given.index(name) for name in family.given]
            own = jnp.concatenate([aux[at : at + family.n_aux], aux[np.array(columns, int)]])
            here = code == k
            answer = jnp.where(here, of(family, here, own), answer)
        return answer


def _inside(name: str, family: str) -> str:
    """Return the name of a parameter with its family's in brackets."""
    kind, _, inside = name.partition("[")
    return f"{kind}[{family}|{inside}" if inside else f"{kind}[{family}]"
