"""Response families: p(y | eta, aux) for ONE observation.

The names stand in `__init__.pyi`; each family is imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
