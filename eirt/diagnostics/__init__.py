"""Whether a fit describes the data: items, persons, pairs of items, the whole."""

from eirt.diagnostics.items import item_fit
from eirt.diagnostics.persons import person_fit

__all__ = ["item_fit", "person_fit"]
