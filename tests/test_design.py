"""Cells, terms, roles of columns, new data."""

import numpy as np
import pandas as pd
import pytest

from eirt.building import build
from eirt.errors import DataError, FormulaError
from eirt.factors import factor_codes
from eirt.formula import parse
from eirt.matrices import model_columns


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "id": np.repeat(["a", "b", "c"], 4),
            "item": pd.Categorical(np.tile(["i2", "i1", "i4", "i3"], 3), ["i1", "i2", "i3", "i4"]),
            "kind": np.tile(["u", "v", "u", "v"], 3),
            "age": np.repeat([20.0, 31.5, 47.25], 4),
            "y": [0, 1, 1, 0, 1, 1, 0, 0, 0, 1, 0, 1],
        }
    )


def design(frame, text, **options):
    parsed = parse(text)
    return build(frame, parsed, frame["y"].to_numpy(float), (0, 1), response="y", **options)


def test_cells_are_distinct_design_rows(frame):
    found = design(frame, "y ~ kind + (1 | id)")
    assert found.x.shape == (2, 2)
    assert found.x_names == ("(Intercept)", "kind[v]")
    assert len(found.row_cell) == 4
    np.testing.assert_array_equal(found.y, frame["y"])
    np.testing.assert_array_equal(found.x[found.obs_cell, 1], frame["kind"] == "v")


def test_items_make_cells_only_where_something_depends_on_them(frame):
    assert len(design(frame, "y ~ kind + (1 | id)", item="item").x) == 4
    assert len(design(frame, "y ~ kind + (1 | id) + (1 | item)", person="id").x) == 4


def test_covariates_of_persons_make_no_cells(frame):
    found = design(frame, "y ~ kind + age + (1 | id)", item="item")
    assert len(found.x) == 4
    assert found.roles == ("item", "item", "person")
    np.testing.assert_array_equal(found.person_x[:, 0], [20.0, 31.5, 47.25])
    whole = found.x_of(np.arange(found.n_obs))
    np.testing.assert_array_equal(whole[:, 2], frame["age"])


def test_covariates_of_persons_move_all_dimensions_where_each_cell_has_one(frame):
    found = design(frame, "y ~ age + (0 + kind | id)")
    assert found.person_x.shape == (3, 1)
    assert found.ability_places == (0, 1)
    assert len(found.x) == 2


def test_covariates_of_persons_stay_in_cells_without_an_intercept_to_move(frame):
    found = design(frame.assign(size=[1.0, 2.0, 3.0, 4.0] * 3), "y ~ age + (0 + size | id)")
    assert found.person_x.shape == (3, 0)
    assert found.ability_places == ()
    assert len(found.x) == 12


def test_interactions_stay_in_cells(frame):
    frame["old"] = np.where(frame["age"] > 40, 1.0, 0.0)
    found = design(frame, "y ~ kind * old + (1 | id)", item="item")
    assert found.roles == ("item", "item", "person", "both")
    assert len(found.x) == 6


def test_local_group_is_the_largest_or_the_named_one(frame):
    assert design(frame, "y ~ 1 + (1 | id) + (1 | item)").person == "item"
    assert design(frame, "y ~ 1 + (1 | id) + (1 | item)", person="id").person == "id"


def test_levels_keep_a_categorical_order_or_that_of_appearance(frame):
    assert list(factor_codes(frame, ["item"])[1]) == ["i1", "i2", "i3", "i4"]
    assert list(factor_codes(frame, ["kind"])[1]) == ["u", "v"]
    codes, labels = factor_codes(frame, ["kind", "id"])
    assert list(labels) == ["u:a", "v:a", "u:b", "v:b", "u:c", "v:c"]
    assert [labels[c] for c in codes[:2]] == ["u:a", "v:a"]


def test_completeness(frame):
    assert design(frame, "y ~ 1 + (1 | id)", item="item", person="id").complete
    assert not design(frame.iloc[1:], "y ~ 1 + (1 | id)", item="item").complete
    twice = pd.concat([frame.iloc[1:], frame.iloc[[1]]])
    assert not design(twice, "y ~ 1 + (1 | id)", item="item").complete


def test_transforms_of_the_whole_column_are_made_before_cells(frame):
    unbalanced = frame.iloc[:-2].assign(size=lambda f: np.where(f["kind"] == "u", 1.0, 4.0))
    found = design(unbalanced, "y ~ center(size) + (1 | id)")
    expected = unbalanced["size"] - unbalanced["size"].mean()
    np.testing.assert_allclose(found.x[found.obs_cell, 1], expected)


def test_new_rows(frame):
    found = design(frame, "y ~ kind + (1 | id)")
    rows = model_columns(found.spec, pd.DataFrame({"kind": ["v", "u"]}), found.x_names)
    np.testing.assert_array_equal(rows, [[1, 1], [1, 0]])


def test_refusals(frame):
    frame["both"] = (frame["kind"] == "v") * 2.0
    with pytest.raises(DataError, match="'both' is collinear.*kind"):
        design(frame, "y ~ kind + both + (1 | id)")
    with pytest.raises(FormulaError, match="cannot be evaluated"):
        design(frame, "y ~ np.nothing(age) + (1 | id)")
