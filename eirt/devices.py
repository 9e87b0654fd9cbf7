"""On which devices a model is fitted: one, or persons spread over several, of several processes.

Each device sums over its own persons; parameters, cells and nodes are on every device.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import jax
import numpy as np

from eirt._math import rounded_up
from eirt.errors import nearest

if TYPE_CHECKING:
    from jax.sharding import Sharding
    from jaxtyping import Array, PyTree

AXIS = "persons"
NAMES = ("cpu", "gpu", "tpu", "all")

_T = TypeVar("_T")


@dataclass(frozen=True)
class Devices:
    """Devices that share the work, in the order in which persons are spread over them.

    Attributes:
        each: the devices, those of one process next to each other.
    """

    each: tuple[jax.Device, ...]

    @functools.cached_property
    def mesh(self) -> jax.sharding.Mesh:
        """The devices as a line."""
        return jax.sharding.Mesh(np.array(self.each), (AXIS,))

    @property
    def here(self) -> Devices:
        """Those of this process."""
        own = (device for device in self.each if device.process_index == jax.process_index())
        return Devices(tuple(own))

    @property
    def apart(self) -> bool:
        """Whether they belong to several processes, each with persons of its own."""
        return len(self.here.each) < len(self.each)

    def spread(self, by_person: PyTree, n: int) -> PyTree:
        """Return arrays that have a row for each person with the rows spread over the devices.

        Rows of zeros follow, so that all devices have as many, a number that has divisors.

        Args:
            by_person: arrays of the persons of this process.
            n: how many these are.
        """
        here = len(self.here.each)
        each = rounded_up(-(-n // here))
        each = max(gathered(each)) if self.apart else each

        def place(leaf: np.ndarray) -> Array:
            padded = np.pad(leaf, [(0, each * here - n)] + [(0, 0)] * (np.ndim(leaf) - 1))
            size = each * len(self.each), *padded.shape[1:]
            return jax.make_array_from_process_local_data(self._sharding(AXIS), padded, size)

        return jax.tree.map(place, by_person)

    def copied(self, tree: PyTree) -> PyTree:
        """Return arrays that are the same in all processes, on every device."""

        def place(leaf: Array) -> Array:
            values = np.asarray(leaf)
            shape = values.shape
            return jax.make_array_from_process_local_data(self._sharding(), values, shape)

        return jax.tree.map(place, tree)

    def own(self, by_person: PyTree) -> PyTree:
        """Return the rows of the persons of this process on the host."""

        def collect(leaf: Array) -> np.ndarray:
            return np.concatenate([np.asarray(part) for part in _own_parts(leaf)])

        return jax.tree.map(collect, by_person)

    def view(self, by_person: PyTree) -> PyTree:
        """Return the rows of the persons of this process, where they are."""
        sharding = self.here._sharding(AXIS)

        def collect(leaf: Array) -> Array:
            parts = _own_parts(leaf)
            shape = sum(map(len, parts)), *leaf.shape[1:]
            return jax.make_array_from_single_device_arrays(shape, sharding, parts)

        return jax.tree.map(collect, by_person)

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum what each process has."""
        return np.sum(gathered(values), axis=0) if self.apart else values

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Return the largest of what each process has."""
        return np.max(gathered(values), axis=0) if self.apart else values

    def _sharding(self, *axes: str) -> Sharding:
        return jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec(*axes))


def _own_parts(leaf: Array) -> list[Array]:
    shards = sorted(leaf.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return [shard.data for shard in shards]


def chosen(device: str | jax.Device | Sequence[jax.Device] | None) -> Devices | None:
    """Return the devices that were asked for, None for the one that JAX uses by default.

    Args:
        device: "cpu", "gpu" or "tpu" for the first of a kind in this process; "all" for all that
            JAX has, those of other processes included where `jax.distributed` joins them; a
            device of JAX, or several of one kind.

    Raises:
        ValueError: if there are no such devices.

    >>> chosen(None), len(chosen("cpu").each)
    (None, 1)
    """
    if device is None:
        return None
    if isinstance(device, str):
        found = _named(device)
    else:
        found = [device] if isinstance(device, jax.Device) else list(device)
    if not found or not all(isinstance(one, jax.Device) for one in found):
        raise ValueError(
            f"device={device!r} holds no devices; give one of {', '.join(map(repr, NAMES))}, or "
            "some of jax.devices()."
        )
    if len({one.platform for one in found}) > 1:
        raise ValueError(
            f"device={device!r} mixes {_kinds(found)}; persons are spread over devices of one "
            "kind: leave the others out."
        )
    processes = {one.process_index for one in found}
    if processes not in ({jax.process_index()}, set(range(jax.process_count()))):
        raise ValueError(
            f"device={device!r} has devices of some processes only; give those of this process, "
            "jax.local_devices(), or all, device='all'."
        )
    return Devices(tuple(sorted(found, key=lambda one: one.process_index)))


def _named(name: str) -> list[jax.Device]:
    if name not in NAMES:
        known = ", ".join(map(repr, NAMES))
        raise ValueError(f"No device {name!r}; there are {known}.{nearest(name, NAMES)}")
    if name == "all":
        return jax.devices()
    try:
        return jax.local_devices(backend=name)[:1]
    except RuntimeError:
        raise ValueError(
            f"JAX finds no {name!r} on this machine, only {_kinds(jax.local_devices())}: install "
            "JAX for it (for NVIDIA, pip install 'jax[cuda12]'), or leave device= out."
        ) from None


def _kinds(devices: Sequence[jax.Device]) -> str:
    return ", ".join(sorted({repr(device.platform) for device in devices}))


@contextlib.contextmanager
def on(devices: Devices | None) -> Iterator[None]:
    """Compute on the first of the devices by default, where JAX would choose another."""
    first = None if devices is None else devices.here.each[0]
    if first is None or first == jax.local_devices()[0]:
        yield
        return
    with jax.default_device(first):
        yield


def gathered(thing: _T) -> list[_T]:
    """Return what each process passed, in their order; all of them have to call this.

    >>> gathered("alone")
    ['alone']
    """
    if jax.process_count() == 1:
        return [thing]
    from jax.experimental.multihost_utils import process_allgather

    content = np.frombuffer(pickle.dumps(thing), np.uint8)
    sizes = np.ravel(process_allgather(np.array([len(content)], np.int32)))
    padded = np.pad(content, (0, int(sizes.max()) - len(content)))
    rows = np.asarray(process_allgather(padded)).reshape(len(sizes), -1)
    return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]
