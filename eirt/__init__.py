"""eirt: explanatory item response theory on JAX.

The public names stand in `__init__.pyi`. Each is imported when it is first used, so that
`import eirt` takes no longer than it must.
"""

from typing import Any

import lazy_loader

from eirt._imports import no_collection
from eirt.datasets import datasets as datasets  # the module has the function's name

_find, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    with no_collection():
        return _find(name)
