"""Person abilities given the calibration."""

from eirt.scores.persons import persons
from eirt.scores.plausible import plausible_values
from eirt.scores.reliability import reliability
from eirt.scores.sums import sum_scores

__all__ = ["persons", "plausible_values", "reliability", "sum_scores"]
