"""Whether a fit describes the data: items, persons, pairs of items, the whole."""

from eirt.diagnostics.dependence import local_dependence, q3
from eirt.diagnostics.information import information_function
from eirt.diagnostics.items import item_fit
from eirt.diagnostics.persons import person_fit
from eirt.diagnostics.predictive import predictive_check
from eirt.diagnostics.whole import model_fit

__all__ = [
    "information_function",
    "item_fit",
    "local_dependence",
    "model_fit",
    "person_fit",
    "predictive_check",
    "q3",
]
