"""Executables in files: written once, read back by other processes, some ahead of their use.

Reading one takes longer than a small fit. A process that fits again what an earlier one did needs
the same functions in the same order: each file has a neighbour that names its successor. What is
known to be asked for first, or else the first executable, brings along those that followed it.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
import pathlib
import pickle
from collections.abc import Callable

import jax
import numpy as np

SUFFIX, NEXT = ".executable", ".next"
LAPACK, PLAIN = b"L", b"-"  # first byte of a file: whether it calls LAPACK
MOST_AHEAD = 12


AHEAD: dict[pathlib.Path, tuple[bytes, concurrent.futures.Future]] = {}  # on their way
PATHS: list[pathlib.Path] = []  # that this process has used, in order


def read(path: pathlib.Path, device: jax.Device) -> Callable:
    """Return the executable kept in a file, as a function of arrays on a device.

    Raises:
        OSError: if there is no such file; other exceptions if it is damaged, or of no use here.
    """
    content, loading = AHEAD.pop(path, None) or (path.read_bytes(), None)
    if not PATHS:
        _read_ahead(path, device)
    if content[:1] == LAPACK:
        _find_lapack()  # while what is on its way is read
    if loading is None or loading.cancel():  # not begun: it is quicker here
        return _load(content, device)
    return loading.result()


def begin(path: pathlib.Path, device: jax.Device) -> None:
    """Start to read what followed `path`, which stands for a call, if no executable came before."""
    if not PATHS:
        _read_ahead(path, device)
        PATHS.append(path)


def note(path: pathlib.Path) -> None:
    """Remember that an executable follows the one noted before."""
    if PATHS and PATHS[-1] != path:
        link = PATHS[-1].with_suffix(NEXT)
        try:
            if not link.exists() or link.read_text() != path.name:
                link.write_text(path.name)
        except OSError:
            pass  # a folder that can only be read
    PATHS.append(path)


def write(path: pathlib.Path, found: jax.stages.Compiled) -> None:
    """Keep an executable, so that another process sees the file whole or not at all."""
    from jax.experimental.serialize_executable import serialize

    content, arguments, results = serialize(found)
    # trees themselves cannot be kept, but one whose leaves are numbers can
    skeleton = jax.tree.unflatten(results, range(results.num_leaves))
    lapack = LAPACK if "lapack" in (found.as_text() or "") else PLAIN
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(lapack + pickle.dumps((content, arguments.num_leaves, skeleton)))
    os.replace(partial, path)


@functools.cache
def _readers() -> concurrent.futures.Executor:
    return concurrent.futures.ThreadPoolExecutor(2)


def _load(content: bytes, device: jax.Device) -> Callable:
    from jax.experimental.serialize_executable import deserialize_and_load

    executable, n_leaves, results = pickle.loads(content[1:])
    arguments, client = jax.tree.structure(((0,) * n_leaves, {})), device.client
    return deserialize_and_load(
        executable, arguments, jax.tree.structure(results), client, [device]
    )


def _read_ahead(path: pathlib.Path, device: jax.Device) -> None:
    """Start to read what followed an executable in an earlier process, the largest first."""
    found = {}
    try:
        for _ in range(MOST_AHEAD):
            path = path.with_name(path.with_suffix(NEXT).read_text())
            found[path] = path.read_bytes()
    except OSError:
        pass  # the last one
    for path in sorted(found, key=lambda path: -len(found[path])):
        AHEAD[path] = found[path], _readers().submit(_load, found[path], device)


@functools.cache
def _find_lapack() -> None:
    """Let JAX look up its linear algebra, as it otherwise does when it lowers a function."""
    try:
        from jaxlib.lapack import prepare_lapack_call
    except ImportError:  # no public name; lowering takes longer
        jax.jit(jax.lax.linalg.cholesky).lower(np.eye(1))
    else:
        prepare_lapack_call("potrf_ffi", np.float64)
