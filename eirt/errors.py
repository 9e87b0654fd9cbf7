"""Errors and warnings that speak to the person who typed the call."""

import difflib
import pathlib
import sys
import warnings
from collections.abc import Iterable


class DataError(ValueError):
    """The data cannot be used as they are; the message names the column, the value, the remedy."""


class FormulaError(ValueError):
    """The formula cannot be read, or asks for something that the data or the model lack."""


class ConvergenceWarning(UserWarning):
    """The optimiser stopped where its certificate does not hold."""


def nearest(name: str, options: Iterable[str]) -> str:
    """Return the words " Did you mean 'x'?" for the option nearest to `name`, or none.

    >>> nearest("mod", ["mode", "situ"])
    " Did you mean 'mode'?"
    """
    close = difflib.get_close_matches(str(name), [str(option) for option in options], n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def listing(values: Iterable[object], most: int = 5) -> str:
    """Return the first few values as text, with a count of the rest.

    >>> listing([1, 2, 3], most=2)
    '1, 2 and 1 more'
    """
    shown = [str(value) for value in values]
    rest = len(shown) - most
    return ", ".join(shown[:most]) + (f" and {rest} more" if rest > 0 else "")


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line outside this package that led here."""
    package = str(pathlib.Path(__file__).parent)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
