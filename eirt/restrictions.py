"""Which parameters are free: the others are fixed at a value, or tied to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np

from eirt.errors import nearest

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


class Restriction(NamedTuple):
    """Which parameters are free: full = free[source], or `value` where source is negative."""

    source: Int[Array | np.ndarray, " P"]
    value: Float[Array | np.ndarray, " P"]

    def expand(self, free: Float[Array, " F"]) -> Float[Array, " P"]:
        """Return the full parameter vector."""
        padded = jnp.append(free, 0.0)
        return jnp.where(self.source >= 0, padded[self.source], self.value)

    def full(self, free: np.ndarray) -> np.ndarray:
        """Return the full parameter vector, on the host."""
        source = np.asarray(self.source)
        return np.where(source >= 0, np.append(free, 0.0)[source], np.asarray(self.value))

    def free(self, full: np.ndarray) -> np.ndarray:
        """Return the free parameters of a full vector (the first of each tied set)."""
        _, first = np.unique(self.source, return_index=True)
        return full[first[np.asarray(self.source)[first] >= 0]]

    @property
    def select(self) -> Float[np.ndarray, "P F"]:
        """The derivative of the full vector in the free one."""
        source = np.asarray(self.source)
        return (source[:, None] == np.arange(source.max(initial=-1) + 1)).astype(float)

    def collect(self, derivatives: np.ndarray) -> np.ndarray:
        """Return derivatives in the free parameters from those in all, along every axis.

        >>> tied = restrict(("a", "b", "c"), {"b": 2.0, "c": "a"})
        >>> tied.collect(np.array([1.0, np.nan, 3.0])).tolist()
        [4.0]
        """
        source = np.asarray(self.source)
        kept = np.flatnonzero(source >= 0)
        untied = np.array_equal(source[kept], np.arange(len(kept)))
        for axis in range(derivatives.ndim):
            derivatives = derivatives.take(kept, axis)
            if not untied:
                summed = np.tensordot(self.select[kept], derivatives, (0, axis))
                derivatives = np.moveaxis(summed, 0, axis)
        return derivatives


def unrestricted(n: int) -> Restriction:
    """Return the restriction that leaves all n parameters free."""
    return Restriction(np.arange(n), np.zeros(n))


def restrict(
    names: tuple[str, ...], anchors: Mapping[str, float | str] | None = None
) -> Restriction:
    """Return the restriction that fixes or ties parameters.

    Args:
        names: parameter names, as from `parameter_names`.
        anchors: by parameter name, the value at which it is fixed, or the name of the parameter
            to which it is tied.

    Raises:
        ValueError: if a name is not a parameter, with the nearest name; if ties go in a circle.

    >>> restrict(("a", "b", "c"), {"b": 2.0, "c": "a"}).full(np.array([5.0])).tolist()
    [5.0, 2.0, 5.0]
    """
    value = np.zeros(len(names))
    leader = np.arange(len(names))
    for name, anchor in (anchors or {}).items():
        place = _place(name, names)
        if isinstance(anchor, str):
            leader[place] = _place(anchor, names)
        else:
            value[place], leader[place] = anchor, -1
    for place in np.flatnonzero(leader != np.arange(len(names))).tolist():
        root = _root(place, leader, names)
        leader[place] = leader[root]
        value[place] = value[root]
    free = leader == np.arange(len(names))
    number = np.cumsum(free) - 1
    source = np.where(leader >= 0, number[leader], -1)
    return Restriction(source, value)


def _place(name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise ValueError(f"There is no parameter {name!r} to anchor.{nearest(name, names)}")
    return names.index(name)


def _root(place: int, leader: np.ndarray, names: tuple[str, ...]) -> int:
    """Follow ties to a parameter that is free or fixed."""
    seen = [place]
    while leader[place] not in (place, -1):
        place = int(leader[place])
        if place in seen:
            raise ValueError(f"The ties of {names[place]!r} go in a circle.")
        seen.append(place)
    return place
