"""lme4's grammar: "y ~ x + (z | g)" split into a fixed part and random terms.

A name before the bracket, "cs(z | g)", asks for a covariance structure, as in glmmTMB.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eirt.covariances import RANKED, STRUCTURES
from eirt.errors import FormulaError, listing, nearest

if TYPE_CHECKING:
    import pandas as pd

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


@dataclass(frozen=True)
class RandomTerm:
    """One `(effects | group)` or `structure(effects | group, rank)`.

    Attributes:
        effects: right-hand side of the effects, as text.
        group: names of the factors whose combinations are the levels.
        correlated: False for `||`, independent effects.
        structure: name of the covariance, a key of `STRUCTURES`, or None for a plain term.
        rank: number of factors, for the structures that have them.
    """

    effects: str
    group: tuple[str, ...]
    correlated: bool = True
    structure: str | None = None
    rank: int = 1

    @property
    def label(self) -> str:
        """The group as printed, "school:class"."""
        return ":".join(self.group)


@dataclass(frozen=True)
class Formula:
    """A formula, split.

    Attributes:
        response: name on the left, or None for a one-sided formula.
        fixed: right-hand side without the random terms.
        random: the random terms, in order.
        offsets: terms of the fixed part whose coefficient is one.
    """

    response: str | None
    fixed: str
    random: tuple[RandomTerm, ...]
    offsets: tuple[str, ...] = ()


def parse(text: str) -> Formula:
    """Split a formula of lme4's grammar.

    Args:
        text: "y ~ x + (1 | g)"; groups may be crossed (several terms), interactions
            `(1 | g1:g2)` or nested `(1 | g1/g2)`, which is `(1 | g1) + (1 | g1:g2)`;
            `||` makes the effects of a term independent. A name before the bracket makes them
            unstructured `us`, independent `diag` (`homdiag` with one standard deviation),
            equally correlated `cs` (`homcs`), autoregressive `ar1`, factor-analytic `fa` or of
            reduced rank `rr`; the last two take a rank, `fa(0 + wave | person, 2)`. The
            coefficient of `offset(x)` is one.

    Returns:
        The split formula.

    Raises:
        FormulaError: if brackets do not match, a term cannot be read, or a structure is unknown.

    Source: Bates, Maechler, Bolker & Walker (2015), table 2; Brooks et al. (2017) for the names.

    >>> parse("y ~ x + cs(0 + wave | g)").random
    (RandomTerm(effects='0 + wave', group=('g',), correlated=True, structure='cs', rank=1),)
    """
    left, tilde, right = text.partition("~")
    if not tilde:
        raise FormulaError(f"The formula {text!r} has no '~': write 'response ~ predictors'.")
    if not right.strip():
        raise FormulaError(f"Nothing stands right of '~' in {text!r}: write '~ 1' for none.")
    fixed: list[str] = []
    random: list[RandomTerm] = []
    offsets: list[str] = []
    for sign, piece in summands(right, text):
        if piece.startswith("offset(") and _inside_brackets(piece[6:]) and sign == "+":
            offsets.append(f"I({piece[7:-1].strip()})")
            fixed.append(f"+ {offsets[-1]}")
        elif "|" not in _QUOTED.sub("", piece):
            fixed.append(f"{sign} {piece}")
        elif sign == "-":
            raise FormulaError(f"A random term cannot be subtracted: - {piece}.")
        else:
            random.extend(_random_terms(piece))
    rest = " ".join(fixed).removeprefix("+ ")
    return Formula(left.strip() or None, rest or "1", tuple(random), tuple(offsets))


def one_sided(formula: str, parameter: str) -> Formula:
    """Read '~ features'.

    Raises:
        FormulaError: if there is a left-hand side.
    """
    found = parse(formula if "~" in formula else f"~ {formula}")
    if found.response is not None:
        raise FormulaError(f"{parameter}={formula!r} has no left-hand side: '~ {found.fixed}'.")
    return found


def summands(right: str, text: str = "") -> list[tuple[str, str]]:
    """Split at the + and - that stand outside all brackets."""
    pieces: list[tuple[str, str]] = []
    sign, start, depth = "+", 0, 0
    for place, character in enumerate(right + "+"):
        depth += (character in "([{") - (character in ")]}")
        if depth < 0 or (depth and place == len(right)):
            raise FormulaError(f"The brackets of {text!r} do not match.")
        if depth == 0 and character in "+-":
            piece = right[start:place].strip()
            if piece:
                pieces.append((sign, piece))
            sign, start = character, place + 1
    return pieces


def _inside_brackets(piece: str) -> str | None:
    """Return what stands between the outer brackets when they embrace the whole piece."""
    if not (piece.startswith("(") and piece.endswith(")")):
        return None
    depth = 0
    for place, character in enumerate(piece):
        depth += (character == "(") - (character == ")")
        if depth == 0 and place < len(piece) - 1:
            return None
    return piece[1:-1]


def _random_terms(piece: str) -> list[RandomTerm]:
    """Read `(effects | group)` or `structure(effects | group, rank)`, with `/` expanded."""
    name, bracket, rest = piece.partition("(")
    inner = _inside_brackets(bracket + rest)
    if inner is None or "|" not in inner:
        raise FormulaError(f"Put the random term in brackets: ({piece}).")
    match = re.fullmatch(r"([^|]+)(\|\|?)([^|,]+)(,[^|]*)?", inner)
    if match is None:
        raise FormulaError(f"The random term {piece} is not of the form (effects | group).")
    effects, bar, group, extra = (part and part.strip() for part in match.groups())
    structure = _structure(name.strip(), bar, piece)
    if not re.fullmatch(r"[\w.]+(\s*[:/]\s*[\w.]+)*", group):
        raise FormulaError(
            f"The group of {piece} must be column names joined by ':' or '/', not {group!r}."
        )
    nested = [tuple(name.strip() for name in part.split(":")) for part in group.split("/")]
    names = [tuple(name for part in nested[: k + 1] for name in part) for k in range(len(nested))]
    rank = _rank(structure, extra, piece)
    return [RandomTerm(effects, levels, bar == "|", structure, rank) for levels in names]


def _structure(name: str, bar: str, piece: str) -> str | None:
    """Return the covariance structure that stands before the bracket, None where none does."""
    if not name:
        return None
    if name not in STRUCTURES:
        raise FormulaError(
            f"{piece} asks for an unknown covariance structure {name!r}; there are "
            f"{listing(STRUCTURES, len(STRUCTURES))}.{nearest(name, STRUCTURES)}"
        )
    if bar == "||":
        raise FormulaError(f"Write {piece} with '|': {name} says how the effects correlate.")
    return name


def _rank(structure: str | None, extra: str | None, piece: str) -> int:
    """Return the number after the group, one where none is given."""
    if extra is None:
        return 1
    number = extra.removeprefix(",").strip()
    if structure not in RANKED or not re.fullmatch(r"[1-9]\d*", number):
        raise FormulaError(
            f"{piece}: after the group may stand the rank of {' or '.join(RANKED)}, a positive "
            "whole number, as in fa(effects | group, 2)."
        )
    return int(number)


def variables(text: str) -> tuple[str, ...]:
    """Return the column names that a right-hand side uses, in order.

    Functions, keywords, attributes and quoted strings are not columns; a name in backticks is,
    whatever it holds.

    >>> variables("np.log(rt) + C(group, Treatment('a')) * `my item`")
    ('rt', 'group', 'my item')
    """
    unquoted = _QUOTED.sub("", text)
    found = re.findall(r"`([^`]+)`|(?<![\w.])([A-Za-z_]\w*)(?!\w|\s*\(|\.\w|\s*=(?!=))", unquoted)
    names = [quoted or plain for quoted, plain in found]
    return tuple(dict.fromkeys(name for name in names if name not in {"True", "False", "None"}))


def offset_columns(formula: Formula, names: Sequence[str]) -> list[str]:
    """Return which columns of a design are offsets.

    Raises:
        FormulaError: if an offset is no column of numbers.
    """
    known = {"".join(name.split()): name for name in names}
    for text in formula.offsets:
        if "".join(text.split()) not in known:
            raise FormulaError(f"offset({text[2:-1]}) must be one column of numbers.")
    return [known["".join(text.split())] for text in formula.offsets]


def formula_columns(formula: Formula) -> tuple[str, ...]:
    """Return every column that a formula uses besides the response."""
    names = list(variables(formula.fixed))
    for term in formula.random:
        names += [*variables(term.effects), *term.group]
    return tuple(dict.fromkeys(names))


def require_variables(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Refuse a formula whose names the data lack.

    Raises:
        FormulaError: naming the first unknown variable and the nearest column.
    """
    columns = [str(column) for column in frame.columns]
    for name in names:
        if name not in columns:
            raise FormulaError(
                f"The formula names {name!r}, which is not a column; the columns are "
                f"{listing(columns, 12)}.{nearest(name, columns)}"
            )
