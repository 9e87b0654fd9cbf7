"""lme4's grammar."""

import pytest

from eirt.covariances import STRUCTURES
from eirt.errors import FormulaError
from eirt.formula import RandomTerm, parse, variables

TERMS = {
    "(1 | g)": [RandomTerm("1", ("g",))],
    "(x|g)": [RandomTerm("x", ("g",))],
    "(0 + x || g)": [RandomTerm("0 + x", ("g",), False)],
    "(1 | a:b)": [RandomTerm("1", ("a", "b"))],
    "(1 | a/b)": [RandomTerm("1", ("a",)), RandomTerm("1", ("a", "b"))],
    "(1 | a) + (1 + x | b)": [RandomTerm("1", ("a",)), RandomTerm("1 + x", ("b",))],
    "us(x | g)": [RandomTerm("x", ("g",), structure="us")],
    "ar1 ( 0 + C(w, levels=['a', 'b']) | a:b )": [
        RandomTerm("0 + C(w, levels=['a', 'b'])", ("a", "b"), structure="ar1")
    ],
    "diag(x | a/b)": [
        RandomTerm("x", ("a",), structure="diag"),
        RandomTerm("x", ("a", "b"), structure="diag"),
    ],
    "fa(0 + w | g)": [RandomTerm("0 + w", ("g",), structure="fa", rank=1)],
    "rr(0 + w | g, 2)": [RandomTerm("0 + w", ("g",), structure="rr", rank=2)],
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
        ("y ~ np.log(x) + C(a) + cs(x, df=4) + cs(x | g)", "np.log(x) + C(a) + cs(x, df=4)"),
        ("y ~ C(a, Treatment('p|q')) + (1 | g)", "C(a, Treatment('p|q'))"),
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
        ("y ~ (1 | g | h)", "not of the form"),
        ("y ~ (1 | g) * x", "in brackets"),
        ("y ~ ar(0 + w | g)", "'ar'; there are us, diag, homdiag, cs, .* Did you mean 'ar1'?"),
        ("y ~ cs(x || g)", "cs says how the effects correlate"),
        ("y ~ (x | g, 2)", "rank of fa or rr"),
        ("y ~ cs(x | g, 2)", "rank of fa or rr"),
        ("y ~ fa(x | g, 0)", "positive whole number"),
        ("y ~ fa(x | g, two)", "positive whole number"),
    ],
)
def test_unreadable_formulas_say_why(text, says):
    with pytest.raises(FormulaError, match=says):
        parse(text)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_structure_has_a_name_in_formulas(structure):
    (term,) = parse(f"y ~ {structure}(0 + w | g)").random
    assert term == RandomTerm("0 + w", ("g",), structure=structure)


def test_variables_of_a_formula():
    assert variables("a * b + np.log(c)") == ("a", "b", "c")


def test_offsets_are_terms_of_the_fixed_part():
    found = parse("y ~ x + offset(np.log(e)) + (1 | g)")
    assert found.fixed == "x + I(np.log(e))"
    assert found.offsets == ("I(np.log(e))",)
    assert parse("y ~ offset(e)").fixed == "I(e)"
    assert parse("y ~ offset(a) + offset(b)").offsets == ("I(a)", "I(b)")
