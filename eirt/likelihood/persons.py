"""Sums over persons: in blocks that processors keep close, and over several devices."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from eirt._math import Grid, Tree
from eirt.devices import AXIS, Devices
from eirt.likelihood.sufficient import Canonical, by_person

if TYPE_CHECKING:
    from jax.sharding import PartitionSpec
    from jaxtyping import Array

CACHED = 2**18  # persons at a time x nodes: what processors keep close


@functools.partial(jax.tree_util.register_dataclass, data_fields=("who",), meta_fields=("devices",))
@dataclass(frozen=True)
class Spread:
    """Who answered what, persons spread over devices.

    Attributes:
        who: the persons of all devices; some without weight fill up the last.
        devices: the devices.
    """

    who: Any
    devices: Devices

    def map(self, of: Callable[[Any], Tree], out: PartitionSpec) -> Tree:
        """Return what each device finds of its own persons."""

        def own(parts: dict[str, Any]) -> Tree:
            return of(self.who._replace(**parts))

        mesh, split = self.devices.mesh, jax.sharding.PartitionSpec(AXIS)
        # sums over blocks begin with zeros, which are the same on all devices: no check
        mapped = jax.shard_map(own, mesh=mesh, in_specs=split, out_specs=out, check_vma=False)
        return mapped(by_person(self.who))


def placed(who: Any, devices: Devices | None) -> Any:
    """Return who answered what on the devices."""
    if devices is None:
        return jax.device_put(who)
    if isinstance(who, Canonical):  # of the persons of this process, which the host keeps
        who = who._replace(group=None)
    parts = devices.spread(by_person(who), len(who.weight))
    return Spread(devices.copied(who._replace(**dict.fromkeys(parts)))._replace(**parts), devices)


def stored(who: Any) -> Any:
    """Return who answered what, wherever it is."""
    return who.who if isinstance(who, Spread) else who


def of_process(who: Any) -> Any:
    """Return who answered what of the persons of this process, on its devices."""
    if not isinstance(who, Spread) or not who.devices.apart:
        return who
    rest = jax.tree.map(lambda leaf: leaf.addressable_data(0), who.who)
    parts = who.devices.view(by_person(who.who))
    return Spread(rest._replace(**parts), who.devices.here)


def lightened(who: Any) -> Any:
    """Return dense tables of counts in single precision."""
    if isinstance(who, Spread):
        return Spread(lightened(who.who), who.devices)
    return who._replace(counts=who.counts.astype(np.float32))


def fetched(who: Any) -> Any:
    """Return the same on the host, those without weight last."""
    if not isinstance(who, Spread):
        return who
    return who.who._replace(**who.devices.own(by_person(who.who)))


def sample_of(who: Any, every: int) -> Any:
    """Return one of so many persons that go in blocks, each standing for as many."""
    if isinstance(who, Spread):
        return Spread(who.who._replace(every=who.devices.copied(np.int32(every))), who.devices)
    return who._replace(every=jax.device_put(np.int32(every)))


def in_blocks(who: Any, grid: Grid) -> bool:
    """Return whether sums over persons go in blocks, on each device."""
    n_devices = len(who.devices.each) if isinstance(who, Spread) else 1
    return _close(stored(who), grid, n_devices) is not None


def over_persons(sums: Callable[[Any], Tree], who: Any, grid: Grid) -> Tree:
    """Return sums over all persons, of as many at a time as processors keep close.

    Args:
        sums: of some of the persons.
        who: the persons; others than `Canonical` are taken together.
        grid: the nodes.
    """
    if isinstance(who, Spread):

        def total(some: Any) -> Tree:
            return jax.lax.psum(over_persons(sums, some, grid), AXIS)

        return who.map(total, jax.sharding.PartitionSpec())
    size = _close(who, grid)
    if size is None:
        return sums(who)

    def add(i: Array, total: Tree) -> Tree:
        return jax.tree.map(jnp.add, total, sums(_block(who, i, size)))

    found = jax.eval_shape(lambda: sums(_block(who, jnp.int32(0), size)))
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), found)  # sums are in double
    # how many blocks is data: those of a sample compile nothing new
    blocks = -(-len(who.weight) // (size * who.every))
    return jax.lax.fori_loop(0, blocks, add, empty)


def _block(who: Canonical, i: Array, size: int) -> Canonical:
    """Return the persons of a block: one next to the other, or one of `every`."""
    n, each = len(who.weight), jnp.arange(size, dtype=jnp.int32)
    first = jnp.minimum(i * size, n - size)  # the last ones begin among those before
    rows = (i * size + each) * who.every

    def together(leaf: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(leaf, first, size)

    def apart(leaf: Array) -> Array:
        return leaf.at[rows].get(mode="clip")

    parts = by_person(who)
    parts = jax.lax.cond(
        who.every == 1,
        lambda: jax.tree.map(together, parts),
        lambda: jax.tree.map(apart, parts),
    )
    own = jnp.where(who.every == 1, first + each >= i * size, rows < n)
    weight = parts["weight"] * jnp.where(own, who.every, 0).astype(parts["weight"].dtype)
    return who._replace(**parts | {"weight": weight})


def each_person(of: Callable[[Any], Tree], who: Any, grid: Grid) -> Tree:
    """Return what is known of each person, of as many at a time as processors keep close."""
    if isinstance(who, Spread):
        each = functools.partial(each_person, of, grid=grid)
        return who.map(each, jax.sharding.PartitionSpec(AXIS))
    size, n = _close(who, grid), len(who.weight)
    if size is None or n % size:
        return of(who)
    blocks = n // size
    parts = jax.tree.map(lambda leaf: leaf.reshape(blocks, size, *leaf.shape[1:]), by_person(who))
    found = jax.lax.map(lambda part: of(who._replace(**part)), parts)
    return jax.tree.map(lambda leaf: leaf.reshape(n, *leaf.shape[2:]), found)


def _close(who: Any, grid: Grid, n_devices: int = 1) -> int | None:
    """Return how many persons at a time are kept close, a divisor if there is one; None for all."""
    if not isinstance(who, Canonical):
        return None
    n, most = len(who.weight) // n_devices, max(CACHED // len(grid.log_weights), 1)
    if n <= 2 * most:
        return None
    return next((size for size in range(most, most // 4, -1) if n % size == 0), most)
