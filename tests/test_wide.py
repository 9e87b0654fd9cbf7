"""Tables of persons x items are read as they are, and say what the melted rows say."""

import numpy as np
import pandas as pd
import pytest

import eirt
from eirt.frames import melt
from eirt.observations import Listed, Tabulated
from eirt.wide import read_table

COLUMNS = ("id", "item", "resp")


def _table(size=300, missing=0.0, categories=2, seed=0):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(size, 1))
    y = np.round((categories - 1) / 2 + theta + rng.normal(size=(size, 6)))
    y = np.clip(y, 0, categories - 1)
    y[:, 1:][rng.random((size, 5)) < missing] = np.nan
    return pd.DataFrame(y, columns=list("cabdfe"))


def _listed(answers):
    return Listed(answers.n_persons, answers.n_rows, answers.person, answers.row)


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_sums_of_a_table_are_those_of_the_list(missing):
    answers = eirt.rasch(_table(missing=missing), wide=True).design.observations
    assert isinstance(answers, Tabulated)
    listed = _listed(answers)
    rng = np.random.default_rng(1)
    of_rows, of_persons = rng.normal(size=answers.n_rows), rng.normal(size=answers.n_persons)
    assert answers.n == listed.n
    np.testing.assert_array_equal(answers.counts, listed.counts)
    np.testing.assert_array_equal(answers.lengths, listed.lengths)
    np.testing.assert_allclose(answers.by_person(of_rows), listed.by_person(of_rows))
    np.testing.assert_allclose(answers.by_row(of_persons), listed.by_row(of_persons))
    some, same = answers.first(10), listed.first(10)
    np.testing.assert_allclose(some.by_person(of_rows), same.by_person(of_rows))
    np.testing.assert_array_equal(some.row, same.row)


DOORS = {
    "rasch": (eirt.rasch, 2),
    "two_pl": (eirt.two_pl, 2),
    "grm": (eirt.grm, 4),
    "pcm": (eirt.pcm, 3),
    "poisson_counts": (eirt.poisson_counts, 5),
}


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("door", DOORS)
def test_fits_of_a_table_are_those_of_its_rows(door, missing):
    fit, categories = DOORS[door]
    table = _table(missing=missing, categories=categories)
    table.insert(0, "id", [f"p{k}" for k in range(len(table))])
    wide = fit(table, wide=True)
    rows = melt(table, list("cabdfe"), *COLUMNS)
    long = fit(rows)
    assert isinstance(wide.design.observations, Tabulated)
    assert isinstance(long.design.observations, Listed)
    assert wide.loglik == pytest.approx(long.loglik, abs=1e-8)
    assert wide.design.dropped == long.design.dropped
    np.testing.assert_allclose(wide.vcov, long.vcov, rtol=1e-6, atol=1e-12)
    pd.testing.assert_frame_equal(wide.difficulty(), long.difficulty(), rtol=1e-6)
    pd.testing.assert_frame_equal(wide.items, long.items, rtol=1e-6)
    pd.testing.assert_frame_equal(wide.persons(), long.persons(), rtol=1e-6)


def test_several_dimensions_take_a_table():
    dimensions = {"one": ["a", "b", "c"], "two": ["d", "e", "f"]}
    table = _table()
    wide = eirt.mirt(table, dimensions, slopes="unit", wide=True)
    long = eirt.mirt(melt(table, list("cabdfe"), *COLUMNS), dimensions, slopes="unit")
    assert isinstance(wide.design.observations, Tabulated)
    assert wide.loglik == pytest.approx(long.loglik, abs=1e-8)


REFUSED = {
    "names": lambda t: t.assign(a=np.where(t["a"] > 0, "yes", "no")),
    "fractions": lambda t: t.assign(a=t["a"] + 0.5),
    "far apart": lambda t: t.assign(a=t["a"] * 1000),
    "one response": lambda t: t.assign(a=1.0),
    "nothing at all": lambda t: t.assign(a=np.nan),
    "an empty person": lambda t: t.mask(np.tile(np.arange(len(t)) == 0, (6, 1)).T),
    "a name twice": lambda t: t.assign(id=0),
    "a missing name": lambda t: t.assign(
        id=np.where(np.arange(len(t)) > 0, np.arange(len(t)), np.nan)
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_whatever_needs_a_word_is_left_to_the_rows(what):
    assert read_table(REFUSED[what](_table()), list("abc"), *COLUMNS) is None


def test_whole_numbers_of_any_kind_are_a_table():
    for kind in (bool, np.int8, np.int64, np.uint8, np.float32, float):
        found = read_table(_table().astype(kind), list("abc"), *COLUMNS)
        assert found is not None
        assert found.rows.dtype == np.uint8
        np.testing.assert_array_equal(found.rows[:, 0] % 2, _table()["a"])
    low = read_table(_table() - 3, list("abc"), *COLUMNS)
    assert low.each["resp"].tolist() == [-3.0, -2.0] * 3


FEATURES = pd.DataFrame(
    {"item": list("abcdef"), "length": [1.0, 2.0, 4.0, 3.0, 2.0, 1.0], "kind": list("xyxyxx")}
)


@pytest.mark.parametrize("formula", ["~ length + kind", "~ length + (1 | item)"])
def test_features_of_items_come_in_a_table(formula):
    table = _table()
    wide = eirt.lltm(table, formula, features=FEATURES, wide=True)
    rows = melt(table, list("cabdfe"), *COLUMNS)
    long = eirt.lltm(rows.merge(FEATURES, on="item"), formula)
    listed = eirt.lltm(rows, formula, features=FEATURES)
    assert isinstance(wide.design.observations, Tabulated)
    for fit in (wide, listed):
        assert fit.loglik == pytest.approx(long.loglik, abs=1e-8)
        pd.testing.assert_frame_equal(fit.fixed, long.fixed, rtol=1e-5)


WRONG = {
    "no item": (FEATURES.drop(columns="item"), "There is no column 'item'"),
    "an item missing": (FEATURES[1:], "say nothing of item a"),
    "an item twice": (pd.concat([FEATURES, FEATURES[:1]]), "several rows for item 'a'"),
    "a column twice": (FEATURES.assign(id=1), "column 'id' is in the data and in features"),
}


@pytest.mark.parametrize("what", WRONG)
def test_tables_of_features_are_checked(what):
    features, message = WRONG[what]
    with pytest.raises(eirt.DataError, match=message):
        eirt.lltm(_table(), "~ length", features=features, wide=True)


@pytest.mark.parametrize("parts", [1, 3])
def test_parquet_is_read_with_a_byte_a_response(parts, tmp_path):
    table = _table().astype({name: "Int64" for name in "cabdfe"}).astype("int64")
    table.insert(0, "id", [f"p{k}" for k in range(len(table))])
    for k, rows in enumerate(np.array_split(np.arange(len(table)), parts)):
        table.iloc[rows].to_parquet(tmp_path / f"part{k}.parquet")
    path = tmp_path if parts > 1 else tmp_path / "part0.parquet"
    frame = eirt.frames.to_pandas(path)
    assert {str(kind) for kind in frame.dtypes[1:]} == {"int8"}
    pd.testing.assert_frame_equal(frame, table, check_dtype=False)
    fit = eirt.two_pl(str(path), wide=True)
    assert fit.loglik == pytest.approx(eirt.two_pl(table, wide=True).loglik, abs=1e-9)


def test_parquet_keeps_what_is_no_small_number(tmp_path):
    table = pd.DataFrame(
        {
            "large": [2**40, 1, 2],
            "middle": [300, 1, 2],
            "fraction": [0.5, 1.0, 2.0],
            "name": ["a", "b", "c"],
            "gap": pd.array([1, None, 2], "Int64"),
        }
    )
    table.to_parquet(tmp_path / "x.parquet")
    frame = eirt.frames.to_pandas(tmp_path / "x.parquet")
    kinds = [str(kind) for kind in frame.dtypes]
    assert kinds[:3] == ["int64", "int16", "float64"]
    assert frame["gap"].isna().tolist() == [False, True, False]
    pd.testing.assert_frame_equal(
        frame[["large", "middle", "fraction", "name"]], table.iloc[:, :4], check_dtype=False
    )
    with pytest.raises(eirt.DataError, match="holds no Parquet files"):
        (tmp_path / "empty").mkdir()
        eirt.frames.to_pandas(tmp_path / "empty")
