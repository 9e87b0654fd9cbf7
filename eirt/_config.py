"""Double precision and the compilation cache, without touching the caller's own settings."""

import contextlib
import functools
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import jax

CACHE_VARIABLE = "EIRT_CACHE_DIR"
THREADED = 48, 1500  # rows of matrices whose products are threaded, but not worth it

_P = ParamSpec("_P")
_T = TypeVar("_T")


def cache_directory() -> pathlib.Path | None:
    """Return where compiled functions are kept, or None where the user switched the cache off.

    The environment variable ``EIRT_CACHE_DIR`` moves it; set to ``off`` it disables it.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen is not None:
        return None if chosen.lower() in {"", "0", "off", "none"} else pathlib.Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return pathlib.Path(base).expanduser() / "eirt"


@functools.cache
def enable_cache() -> bool:
    """Turn on JAX's persistent compilation cache once; False where it is off or not writable."""
    if getattr(jax.config, "jax_compilation_cache_dir", None) is not None:
        return True
    directory = cache_directory()
    if directory is None:
        return False
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK):
            return False
    except OSError:
        return False
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return True


@contextlib.contextmanager
def uncached() -> Iterator[None]:
    """Compile afresh: an executable that JAX has read from its cache cannot be written again."""
    from jax.experimental.compilation_cache.compilation_cache import reset_cache

    before = getattr(jax.config, "jax_enable_compilation_cache", True)
    jax.config.update("jax_enable_compilation_cache", False)
    reset_cache()  # JAX asks its settings once
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        reset_cache()


@contextlib.contextmanager
def calm_linear_algebra(size: int) -> Iterator[None]:
    """Keep numpy's and SciPy's linear algebra to one thread, where matrices are of middling size.

    Its threads spin for a while after each product, and take the processor from compiled code.
    Smaller products have no threads, and larger ones need them.

    Args:
        size: rows of the matrices.
    """
    if not THREADED[0] <= size <= THREADED[1]:
        yield
        return
    import threadpoolctl

    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        yield


def double_precision(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Run `function` in float64 and leave JAX's global precision setting as it was.

    >>> import jax.numpy as jnp
    >>> double_precision(lambda: str(jnp.ones(1).dtype))()
    'float64'
    """

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        enable_cache()
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return wrapped
