"""The shipped data sets are what their notes say, and load with the levels the models rely on."""

import re

import numpy as np
import pandas as pd
import pytest

from eirt.datasets import datasets, describe, load

NAMES = [
    "conspiracist",
    "fhch2010",
    "grouseticks",
    "insteval",
    "lsat6",
    "lsat7",
    "mathexam",
    "verbagg",
    "wine",
]


def levels(frame: pd.DataFrame, column: str) -> list[str]:
    return frame[column].cat.categories.tolist()


def test_the_list_names_every_data_set_with_its_shape():
    table = datasets().set_index("name")
    assert table.index.tolist() == NAMES
    assert table.columns.tolist() == ["persons_or_rows", "columns", "description"]
    for name in NAMES:
        assert tuple(table.loc[name, ["persons_or_rows", "columns"]]) == load(name).shape
        assert table.loc[name, "description"]
        assert "\n" not in table.loc[name, "description"]


@pytest.mark.parametrize("name", NAMES)
def test_the_note_is_complete(name):
    note, frame = describe(name), load(name)
    assert note.startswith(f"# {name}: ")
    assert "\nSource: " in note
    assert "\nLicence: GPL" in note
    assert set(frame.columns) <= set(re.findall(r"`(\w+)`", note))


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_numbers_or_factors_and_no_value_lacks_its_level(name):
    frame = load(name)
    for column in frame:
        values = frame[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            assert values.notna().all(), column
            assert set(values.cat.categories) == set(values.unique()), column
            assert all(isinstance(level, str) for level in values.cat.categories), column
        else:
            assert values.dtype.kind in "bif", column
    if name != "conspiracist":
        assert frame.notna().all(axis=None)


@pytest.mark.parametrize("name", NAMES)
def test_the_levels_in_the_note_are_those_of_the_factors(name):
    """Rows of the note read `| column | type | meaning | levels |`."""
    frame = load(name)
    for line in describe(name).splitlines():
        if not line.startswith("| `"):
            continue
        columns, kind, _, stated = (cell.strip() for cell in line.strip("|").split(" | "))
        for column in re.findall(r"`(\w+)`", columns):
            dtype = frame[column].dtype
            assert isinstance(dtype, pd.CategoricalDtype) == ("factor" in kind), column
            if "factor" not in kind:
                if match := re.fullmatch(r"(-?[\d.]+) (?:\D+ )?to (-?[\d.]+)(?: \D+)?", stated):
                    found = frame[column].min(), frame[column].max()
                    np.testing.assert_allclose(found, [float(end) for end in match.groups()], 1e-3)
                continue
            assert dtype.ordered == kind.startswith("ordered"), column
            if count := re.match(r"([\d,]+) levels", stated):
                assert len(dtype.categories) == int(count[1].replace(",", "")), column
            if ends := re.search(r"(\d+) to (\d+)$", stated):
                assert (dtype.categories[0], dtype.categories[-1]) == ends.groups(), column
            elif not count:
                assert dtype.categories.tolist() == re.split(r" < |, ", stated), column


def test_verbagg():
    va = load("verbagg")
    assert va.shape == (7584, 9)
    assert levels(va, "btype") == ["curse", "scold", "shout"]
    assert levels(va, "situ") == ["other", "self"]
    assert levels(va, "mode") == ["want", "do"]
    assert levels(va, "Gender") == ["F", "M"]
    assert levels(va, "r2") == ["N", "Y"]
    assert levels(va, "resp") == ["no", "perhaps", "yes"]
    assert [column for column in va.select_dtypes("category") if va[column].cat.ordered] == ["resp"]
    assert levels(va, "id") == [str(person) for person in range(1, 317)]
    assert levels(va, "item") == va["item"].drop_duplicates().tolist()
    assert levels(va, "item")[0] == "S1WantCurse"
    assert ((va["resp"] > "no") == (va["r2"] == "Y")).all()
    assert va.groupby("id", observed=True).size().eq(24).all()
    assert (va["r2"] == "Y").sum() == 3611


def test_lsat_frequencies():
    assert load("lsat6").sum().tolist() == [924, 709, 553, 763, 870]
    assert load("lsat7").sum().tolist() == [828, 658, 772, 606, 843]


def test_facts_about_the_others():
    exam = load("mathexam")
    assert (exam.iloc[:, :13].sum(axis=1) == exam["nsolved"]).all()
    beliefs = load("conspiracist").filter(regex="^q")
    assert (beliefs.dtypes == "float64").all()
    assert beliefs.isna().to_numpy().sum() == 106
    naming = load("fhch2010")
    assert naming["correct"].dtype == bool
    assert (~naming["correct"]).sum() == 262
    persons = levels(naming, "id")
    assert persons == sorted(persons, key=lambda person: (person[0], int(person[1:])))
    wine = load("wine")
    assert wine["rating"].cat.ordered
    assert (wine["rating"].astype(int) == wine["response"] // 20 + 1).all()
    ticks = load("grouseticks")
    assert (ticks.groupby("BROOD", observed=True)["LOCATION"].nunique() == 1).all()
    ratings = load("insteval")
    assert levels(ratings, "s") == [str(student) for student in range(1, 2973)]
    assert not ratings.duplicated(["s", "d"]).any()


def test_options_go_to_the_reader():
    few = load("verbagg", nrows=5, usecols=["id", "r2"])
    assert few.shape == (5, 2)
    assert levels(few, "r2") == ["N", "Y"]


@pytest.mark.parametrize("function", [load, describe])
def test_an_unknown_name_suggests_the_nearest(function):
    with pytest.raises(ValueError, match=r"no data set 'VerbAg'\. Did you mean 'verbagg'\?.*wine"):
        function("VerbAg")
    with pytest.raises(ValueError, match=r"no data set 'zzzz'\. There are: conspiracist, "):
        function("zzzz")


@pytest.mark.parametrize("name", ["../pyproject", "", "verbagg.csv"])
def test_a_name_is_not_a_path(name):
    with pytest.raises(ValueError, match="no data set"):
        load(name)
