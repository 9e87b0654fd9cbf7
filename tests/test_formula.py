"""lme4's grammar."""

import pytest

from eirt.errors import FormulaError
from eirt.formula import RandomTerm, parse, variables

TERMS = {
    "(1 | g)": [RandomTerm("1", ("g",))],
    "(x|g)": [RandomTerm("x", ("g",))],
    "(0 + x || g)": [RandomTerm("0 + x", ("g",), False)],
    "(1 | a:b)": [RandomTerm("1", ("a", "b"))],
    "(1 | a/b)": [RandomTerm("1", ("a",)), RandomTerm("1", ("a", "b"))],
    "(1 | a) + (1 + x | b)": [RandomTerm("1", ("a",)), RandomTerm("1 + x", ("b",))],
}


@pytest.mark.parametrize("text", TERMS)
def test_random_terms(text):
    found = parse(f"y ~ x + {text} + z")
    assert list(found.random) == TERMS[text]
    assert found.fixed == "x + z"
    assert found.response == "y"


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("y ~ 1", "1"),
        ("y ~ (1 | g)", "1"),
        ("y ~ 0 + x + (1|g)", "0 + x"),
        ("y ~ x - 1 + (1|g)", "x - 1"),
        ("y ~ (a + b)**2 + (1 | g)", "(a + b)**2"),
        ("~ I(a + b) * c", "I(a + b) * c"),
    ],
)
def test_fixed_part(text, fixed):
    assert parse(text).fixed == fixed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("y x", "has no '~'"),
        ("y ~", "right of '~'"),
        ("y ~ x + 1 | g", "in brackets"),
        ("y ~ x + (1 | g", "do not match"),
        ("y ~ x + (1 | )", "column names"),
        ("y ~ x + (1 | f(g))", "column names"),
        ("y ~ x - (1 | g)", "cannot be subtracted"),
    ],
)
def test_unreadable_formulas_say_why(text, says):
    with pytest.raises(FormulaError, match=says):
        parse(text)


def test_variables_of_a_formula():
    assert variables("a * b + np.log(c)") == ("a", "b", "c")
