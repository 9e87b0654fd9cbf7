"""Imports that cost no more than they must: Python's garbage collector waits for them to end.

Importing JAX makes half a million objects, none of which is garbage; looking through them again
and again takes a quarter of the time. So does looking for cycles among them when Python exits.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
from collections.abc import Iterator

atexit.register(gc.freeze)  # what is left then goes with the process


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector waiting; what was made meanwhile counts as old.

    >>> with no_collection():
    ...     gc.isenabled()
    False
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()  # into the oldest generation, which is seldom looked through
            gc.enable()
