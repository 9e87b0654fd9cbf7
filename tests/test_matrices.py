"""Matrices of right-hand sides: sums of columns of numbers are what formulaic makes of them."""

import formulaic
import numpy as np
import pandas as pd
import pytest

import eirt
from eirt.matrices import Plain, model_columns, model_matrix, plain

FRAME = pd.DataFrame(
    {"x": [0.5, -1.0, 2.0], "n": [1, 2, 3], "kind": ["a", "b", "a"], "yes": [True, False, True]}
)
ROWS = np.array([2, 0])


@pytest.mark.parametrize("text", ["1", "x", "x + n", "1 + n + x", "0 + x", " n+x ", "x + x"])
def test_plain_sums_agree_with_formulaic(text):
    values, names, spec = model_matrix(text, FRAME, ROWS)
    assert isinstance(spec, Plain)
    matrix = formulaic.Formula(text).get_model_matrix(FRAME.iloc[ROWS])
    np.testing.assert_array_equal(values, np.asarray(matrix))
    assert list(spec.column_names) == [str(name) for name in matrix.columns]
    theirs = matrix.model_spec.variable_indices.items()
    assert spec.variable_indices == {str(name): list(places) for name, places in theirs}
    assert names == tuple(name.replace("Intercept", "(Intercept)") for name in spec.column_names)


@pytest.mark.parametrize("text", ["kind", "yes", "x + kind", "x * n", "0", "np.log(n)", "x - 1"])
def test_all_else_is_formulaic_s(text):
    assert plain(text, FRAME) is None


def test_missing_values_and_unknown_columns_are_refused():
    _, names, spec = model_matrix("x + n", FRAME, ROWS)
    with pytest.raises(eirt.FormulaError, match="'x' has missing values"):
        model_columns(spec, FRAME.assign(x=np.nan), names)
    with pytest.raises(eirt.FormulaError, match="new data do not fit"):
        model_columns(spec, FRAME[["n"]], names)
    np.testing.assert_array_equal(model_columns(spec, FRAME, names)[:, 1], FRAME["x"])
