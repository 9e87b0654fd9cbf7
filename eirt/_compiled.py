"""Compiled functions that outlive the process.

JAX's persistent cache keeps what XLA made, but a new process traces and lowers each function
again before it knows what to look for; for small data that takes longer than the fit. Here the
executable itself is kept next to it, under a name that holds all it depends on: the source of
eirt, JAX and its settings, the processor, the model, and the shapes of the arrays.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import hashlib
import os
import pathlib
import platform
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import jax
import numpy as np

from eirt import _executables
from eirt._config import enable_cache, uncached

_T = TypeVar("_T")

READY: dict[Any, Callable] = {}  # executables by function, model and shapes
# On processors code made in half the time runs as fast: what takes time are products and
# exponentials, which are quick in any case. What runs once on little is best not optimised at all.
QUICKLY: dict[str, dict[str, str | bool]] = {
    "cpu": {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": "1"}
}
AS_IT_IS: dict[str, str | bool] = {"xla_backend_optimization_level": "0"}
PLAIN = (str, int, float, bool, type(None), bytes, np.generic)


class Compiled(Generic[_T]):
    """A function compiled for each model and shape, once for all processes.

    Inside another traced function it is what `jax.jit` makes of it; with arguments whose
    description is not known to be complete (classes from outside eirt) no other process finds it.

    Args:
        function: what to compile.
        static: places of arguments that are known beforehand.
        once: whether it runs once on little, so that optimising it takes longer than it saves.

    >>> import jax.numpy as jnp
    >>> double = Compiled(lambda times, x: times * x, static=(0,))
    >>> float(double(2, jnp.ones(())))
    2.0
    """

    def __init__(
        self, function: Callable[..., _T], static: tuple[int, ...] = (), once: bool = False
    ):
        functools.update_wrapper(self, function)
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.static, self.once = static, once
        self.jitted = jax.jit(function, static_argnums=static)

    def __call__(self, *args: Any) -> _T:
        fixed = tuple(args[place] for place in self.static)
        moving = [arg for place, arg in enumerate(args) if place not in self.static]
        leaves, tree = jax.tree.flatten(moving)
        device = _device()
        if not all(_concrete(leaf, device) for leaf in leaves):
            return self.jitted(*args)
        double = jax.dtypes.canonicalize_dtype(float)
        key = fixed, tree, double, *((leaf.shape, leaf.dtype) for leaf in leaves)
        if (self, key) not in READY:
            READY[self, key] = self._prepare(key, args, leaves)
        return READY[self, key](*leaves)

    def _prepare(
        self, key: tuple, args: tuple, leaves: list[jax.Array | np.ndarray]
    ) -> Callable[..., _T]:
        """Return the executable, compiled only if no process did before and kept it."""
        path = self._path(key)
        if path is None:
            return self._compile(key[1], args, leaves)
        try:
            found = _executables.read(path, _device())
        except Exception:  # not there, written by a process that was killed, or of no use here
            with uncached():
                found = self._compile(key[1], args, leaves)
            with contextlib.suppress(ValueError, NotImplementedError, OSError):
                _executables.write(path, found)  # what can be stored is
        _executables.note(path)
        return found

    def _compile(
        self, tree: Any, args: tuple, leaves: list[jax.Array | np.ndarray]
    ) -> jax.stages.Compiled:
        """Return a new executable, made with the options of this kind of device."""
        lowered = jax.jit(self._flat(tree, args)).lower(*leaves)
        try:
            return lowered.compile(self._options())
        except jax.errors.JaxRuntimeError:  # this version of XLA has no such options
            return lowered.compile()

    def _options(self) -> dict[str, str | bool] | None:
        options = QUICKLY.get(_device().platform)
        return options | AS_IT_IS if options and self.once else options

    def _flat(self, tree: Any, args: tuple) -> Callable[..., _T]:
        """Return the function of the leaves of its arguments."""

        def flat(*leaves: jax.Array) -> _T:
            moving = iter(jax.tree.unflatten(tree, leaves))
            every = (arg if i in self.static else next(moving) for i, arg in enumerate(args))
            return self.jitted(*every)

        return flat

    def _path(self, key: tuple) -> pathlib.Path | None:
        """Return where the executable is kept, or None if it should not be."""
        folder = _folder()
        described = described_fully(key[0])
        if folder is None or described is None:
            return None
        about = (
            self.name,
            str(self._options()),
            _everything(),
            _settings(),
            described,
            str(key[1]),
            *map(str, key[2:]),
        )
        digest = hashlib.sha256("\n".join(about).encode()).hexdigest()
        return folder / f"{self.name}-{digest[:40]}{_executables.SUFFIX}"


def compiled(*static: int, once: bool = False) -> Callable[[Callable[..., _T]], Compiled[_T]]:
    """Compile a function as `jax.jit` would, with the arguments at `static` known beforehand."""
    return functools.partial(Compiled, static=static, once=once)


def expect(*about: object) -> None:
    """Start to read the executables that the same call needed in an earlier process."""
    folder, described = _folder(), described_fully(about)
    if folder is not None and described is not None:
        digest = hashlib.sha256(described.encode()).hexdigest()
        _executables.begin(folder / f"{digest[:40]}{_executables.SUFFIX}", _device())


def described_fully(thing: object) -> str | None:
    """Return a text that two things share only if they are equal, or None where none is known.

    Known are plain values, and dataclasses of eirt: their code is part of the name of a file.

    >>> described_fully((1, "logit")), described_fully(lambda: 1)
    ("(1,'logit')", None)
    """
    if isinstance(thing, enum.Enum):
        parts, name = [described_fully(thing.value)], type(thing).__qualname__
    elif isinstance(thing, PLAIN):
        return repr(thing)
    elif isinstance(thing, tuple):
        parts = [described_fully(part) for part in thing]
        name = "" if type(thing) is tuple else type(thing).__qualname__
    elif dataclasses.is_dataclass(thing) and type(thing).__module__.split(".")[0] == "eirt":
        fields = dataclasses.fields(thing)
        parts = [described_fully(getattr(thing, field.name)) for field in fields]
        name = f"{type(thing).__module__}.{type(thing).__qualname__}"
    else:
        return None
    if any(part is None for part in parts):
        return None
    return f"{name}({','.join(part for part in parts if part is not None)})"


def _concrete(leaf: object, device: jax.Device) -> bool:
    """Return whether a leaf is an array with values, on the device that is used by default."""
    if isinstance(leaf, np.ndarray):
        return True
    if isinstance(leaf, jax.core.Tracer) or not isinstance(leaf, jax.Array):
        return False
    return not leaf.weak_type and leaf.device == device


def _device() -> jax.Device:
    chosen = getattr(jax.config, "jax_default_device", None)
    return chosen if isinstance(chosen, jax.Device) else jax.local_devices(backend=chosen)[0]


def _folder() -> pathlib.Path | None:
    """Return the folder of JAX's cache, if it is on and on a disk."""
    chosen = getattr(jax.config, "jax_compilation_cache_dir", None) if enable_cache() else None
    return None if chosen is None or "://" in chosen else pathlib.Path(chosen)


@functools.cache
def _everything() -> str:
    """Return a digest of the code behind every executable: eirt's source, JAX, the processor."""
    digest = hashlib.sha256()
    for path in sorted(pathlib.Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    digest.update(_processor().encode())
    return f"{digest.hexdigest()} {jax.__version__}"


def _processor() -> str:
    """Return what tells one kind of processor from another: code may use all it can do."""
    try:
        with open("/proc/cpuinfo") as file:
            return next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return f"{platform.machine()} {platform.processor()}"


def _settings() -> str:
    """Return the device, and JAX's settings, which may change what is compiled."""
    return _described_settings(
        tuple(jax.config.values.items()), os.environ.get("XLA_FLAGS", ""), _device()
    )


@functools.lru_cache
def _described_settings(settings: tuple, flags: str, device: jax.Device) -> str:
    kept = sorted(f"{name}={value}" for name, value in settings if "cache" not in name)
    of = f"{device} of {len(jax.devices())} {device.client.platform_version}"
    return "\n".join([*kept, flags, of])
