"""The data sets that travel with the package: what there is, how to load one, what it means.

Each is a CSV file with a note beside it (`<name>.md`) that states its variables, source and
licence. Columns that are factors come as `pandas.Categorical` with the reference level first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_SEEN = "in order of first appearance"
_NUMBER = "in numeric order"

# How the levels of each factor are ordered: "a < b" is an ordered factor, "a, b" an unordered one.
_FACTORS: dict[str, dict[str, str]] = {
    "verbagg": {
        "Gender": "F, M",
        "item": _SEEN,
        "resp": "no < perhaps < yes",
        "id": _NUMBER,
        "btype": "curse, scold, shout",
        "situ": "other, self",
        "mode": "want, do",
        "r2": "N, Y",
    },
    "mathexam": {
        "gender": "female, male",
        "study": "155, 571",
        "attempt": _NUMBER,
        "group": "1, 2",
    },
    "conspiracist": {"area": "rural, suburban, urban", "gender": "male, female, other"},
    "fhch2010": {
        "id": _NUMBER,
        "task": "naming, lexdec",
        "stimulus": "word, nonword",
        "density": "low, high",
        "frequency": "low, high",
        "length": "4, 5, 6",
        "item": _SEEN,
    },
    "wine": {
        "rating": "1 < 2 < 3 < 4 < 5",
        "temp": "cold, warm",
        "contact": "no, yes",
        "bottle": _NUMBER,
        "judge": _NUMBER,
    },
    "grouseticks": {"INDEX": _NUMBER, "BROOD": _NUMBER, "YEAR": "95, 96, 97", "LOCATION": _NUMBER},
    "insteval": {
        "s": _NUMBER,
        "d": _NUMBER,
        "studage": "2 < 4 < 6 < 8",
        "lectage": "1 < 2 < 3 < 4 < 5 < 6",
        "service": "0, 1",
        "dept": "15, 5, 10, 12, 6, 7, 4, 8, 9, 14, 1, 3, 11, 2",
    },
}
# Items are floating point where some responses are missing, also the one item without any.
_NUMBERS = {"conspiracist": {f"q{item}": "float64" for item in range(1, 16)}}


def datasets() -> pd.DataFrame:
    """List the data sets.

    Returns:
        One row a data set: `name`, `persons_or_rows` (rows: persons where the data are wide,
        responses where they are long), `columns` (how many) and `description`.

    Examples:
        >>> datasets().set_index("name").loc["lsat6", ["persons_or_rows", "columns"]].tolist()
        [1000, 5]
    """
    import pandas as pd

    rows = []
    for name in _names():
        note = describe(name)
        shape = re.search(r"^Shape: ([\d,]+) rows × (\d+) columns", note, re.MULTILINE)
        if shape is None:
            raise ValueError(f"the note of data set {name!r} has no line 'Shape: ...'")
        count, columns = (int(number.replace(",", "")) for number in shape.groups())
        rows.append((name, count, columns, note.splitlines()[0].partition(": ")[2]))
    return pd.DataFrame(rows, columns=["name", "persons_or_rows", "columns", "description"])


def load(name: str, **options: Any) -> pd.DataFrame:
    """Load a data set.

    Args:
        name: One of the names listed by `datasets()`.
        **options: Passed on to `pandas.read_csv`, for example `nrows=100`.

    Returns:
        The data, factors as `pandas.Categorical` with the reference level first.

    Raises:
        ValueError: If there is no data set of that name.

    Examples:
        >>> load("lsat6").shape
        (1000, 5)
        >>> load("verbagg")["btype"].cat.categories.tolist()
        ['curse', 'scold', 'shout']
    """
    import pandas as pd

    path = _file(name, ".csv", ".csv.gz")
    factors = _FACTORS.get(name, {})
    # Only an empty field is missing: the likes of "null" and "NA" can be words of a data set.
    reading: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
    reading["dtype"] = dict.fromkeys(factors, str) | _NUMBERS.get(name, {})
    frame = pd.read_csv(path, **(reading | options))
    for column in factors.keys() & set(frame.columns):
        frame[column] = _factor(frame[column], factors[column])
    return frame


def describe(name: str) -> str:
    """Return the note of a data set (Markdown): variables, coding, shape, source and licence.

    Examples:
        >>> print(describe("wine").splitlines()[0])
        # wine: Bitterness of wine, 72 ordinal ratings of 8 bottles by 9 judges
    """
    return _file(name, ".md").read_text(encoding="utf-8")


def _factor(values: pd.Series, order: str) -> pd.Categorical:
    """Make a categorical of strings whose levels are in the given order."""
    import pandas as pd

    levels = values.dropna().unique().tolist()
    if order == _NUMBER:
        levels = sorted(levels, key=lambda level: (level.rstrip("0123456789"), len(level), level))
    elif order != _SEEN:
        levels = re.split(r" < |, ", order)
    return pd.Categorical(values, categories=levels, ordered=" < " in order)


def _folder() -> Path:
    """Return where the files are: in the installed package, or at the top of the repository."""
    package = Path(__file__).resolve().parent
    for folder in (package / "_datasets", package.parent / "datasets"):
        if (folder / "verbagg.md").is_file():
            return folder
    raise FileNotFoundError(f"the data sets are missing from this installation of eirt ({package})")


def _names() -> list[str]:
    return sorted(path.stem for path in _folder().glob("*.md"))


def _file(name: str, *suffixes: str) -> Path:
    """Return the file of a data set with one of these suffixes."""
    names = _names()
    if name not in names:
        import difflib

        near = difflib.get_close_matches(str(name).lower(), names)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(f"there is no data set {name!r}.{hint} There are: {', '.join(names)}.")
    paths = [_folder() / f"{name}{suffix}" for suffix in suffixes]
    return next(path for path in paths if path.is_file())
