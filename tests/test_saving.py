"""A fit that was written to a file and read is the same fit."""

import dataclasses
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

import eirt
from eirt._config import double_precision
from eirt.archive import Reader, Writer
from eirt.matrices import model_columns, model_matrix
from eirt.responses.every import RESPONSES

EVERY = [
    "rasch",
    "2pl",
    "rasch_cml",
    "nested_person",
    "laplace",
    "groups_2pl",
    "rasch_2d",
    "lltm_2pl",
]


def read_again(fit: eirt.Fit, path) -> eirt.Fit:
    fit.save(path / "fit.eirt")
    return eirt.load_fit(path / "fit.eirt")


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", EVERY)
def test_a_fit_is_read_as_it_was(name, fits, tmp_path):
    fit = fits(name)
    again = read_again(fit, tmp_path)
    for field in ("name", "names", "loglik", "certificate", "boundary", "likelihood"):
        assert getattr(again, field) == getattr(fit, field)
    assert str(again) == str(fit)
    for table in ("fixed", "random", "response_parameters", "vcov"):
        assert_same(getattr(again, table), getattr(fit, table))
    assert again.model == fit.model
    value = double_precision(again.objective.unpenalised.value_and_grad)(fit.psi)[0]
    assert value == pytest.approx(fit.loglik, abs=1e-7)


@pytest.mark.parametrize("name", ["rasch", "lltm_residuals"])
def test_what_follows_from_it_is_the_same(name, fits, tmp_path):
    fit = fits(name)
    again = read_again(fit, tmp_path)
    pd.testing.assert_frame_equal(again.items, fit.items, rtol=1e-6)
    np.testing.assert_allclose(again.items["easiness"], fit.items["easiness"], rtol=1e-12)
    assert_same(again.persons(), fit.persons())
    assert_same(again.effects("id"), fit.effects("id"))
    np.testing.assert_allclose(again.predict(), fit.predict(), rtol=1e-12)


def test_new_data_are_read_by_the_same_formulas(fits, va, tmp_path):
    fit = fits("nested_person")
    again = read_again(fit, tmp_path)
    new = va.iloc[::97]
    np.testing.assert_allclose(again.predict(new), fit.predict(new), rtol=1e-12)
    items = pd.DataFrame({"btype": ["curse", "shout"], "situ": "self", "mode": "do"})
    pd.testing.assert_frame_equal(again.predict_items(items), fit.predict_items(items), rtol=1e-6)
    with pytest.raises(eirt.FormulaError, match="has not seen"):
        again.predict_items(items.assign(btype="sing"))


def test_priors_and_anchors_are_kept(tmp_path):
    data = eirt.load("lsat7")
    fit = eirt.two_pl(data, wide=True, priors={"discrimination": eirt.LogNormal(0.0, 0.5)},
                      anchors={"item[Q1]": 1.8})  # fmt: skip
    again = read_again(fit, tmp_path)
    assert again.objective.priors[0][0] == eirt.LogNormal(0.0, 0.5)
    assert again.objective.penalty(fit.psi) == fit.objective.penalty(fit.psi)
    assert_same(again.fixed, fit.fixed)
    assert again.fixed.loc[0, "se"] == 0


FORMULAS = [
    "0 + `a b` * c",
    "poly(c, 2) + d",
    "center(c):d",
    "C(d, contr.sum) + e",
    "C(`a b`, contr.treatment('x')) + log(c)",
    "bs(c, df=4)",
    "c",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_put_together_again(text):
    frame = pd.DataFrame(
        {
            "a b": pd.Categorical(["x", "y", "z", "x", "y"], ["z", "x", "y"]),
            "c": [1.0, 2.0, 3.0, 5.0, 8.0],
            "d": ["u", "v", "u", "v", "v"],
            "e": [True, False, True, True, False],
        }
    )
    _, names, spec = model_matrix(text, frame, np.arange(5))
    writer = Writer()
    written = json.loads(json.dumps(writer.write(spec)))
    again = Reader(writer.arrays, frame.iloc[:1]).read(written)
    assert list(again.column_names) == list(spec.column_names)
    assert again.variable_indices == spec.variable_indices
    new = frame.iloc[[3, 1]]
    found, expected = (model_columns(each, new, names) for each in (again, spec))
    np.testing.assert_array_equal(found, expected)


def test_columns_of_every_kind_are_kept():
    frame = pd.DataFrame(
        {
            "text": ["a", "b", None],
            "words": pd.array(["a", pd.NA, "c"], dtype="string"),
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "real": [0.5, np.nan, np.inf],
            "flag": [True, False, True],
            "day": pd.to_datetime(["2020-01-01", "2021-01-01", None]),
            "level": pd.Categorical(["x", None, "y"], ["y", "x"], ordered=True),
            "mixed": np.array(["a", 1, 2.5], dtype=object),
            "number": pd.Categorical([3, 1, 3]),
        }
    )
    writer = Writer()
    written = json.loads(json.dumps(writer.write(frame), allow_nan=False))
    pd.testing.assert_frame_equal(Reader(writer.arrays).read(written), frame)


@pytest.mark.parametrize("response", RESPONSES, ids=lambda response: type(response).__name__)
def test_every_response_is_kept(response):
    writer = Writer()
    written = json.loads(json.dumps(writer.write(response)))
    assert Reader(writer.arrays).read(written) == response


def test_unknown_kinds_are_refused():
    with pytest.raises(eirt.DataError, match="This version of eirt cannot read 'picture'"):
        Reader([]).read({"picture": 1})


def test_what_cannot_be_written_is_refused():
    with pytest.raises(eirt.DataError, match="A function cannot be written to a file"):
        Writer().write(lambda: 1)
    with pytest.raises(eirt.DataError, match="A Timestamp cannot be written"):
        Writer().write(pd.DataFrame({"a": [pd.Timestamp("2020-01-01"), "x"]}, dtype=object))


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "eirt.__main__:app",
        "eirt.results:warn_caller",
        "eirt.results:Certificate",  # imported there, not defined
        "eirt.nowhere:Thing",
        "eirt.saving:load_fit",
    ],
)
def test_only_records_of_eirt_are_made(name):
    with pytest.raises(eirt.DataError, match="This version of eirt has no"):
        Reader([]).read({"class": name, "fields": {}})


def test_other_versions_are_refused(rasch, tmp_path):
    with pytest.raises(eirt.DataError, match=r"another eirt\.certificate:Certificate.*colour"):
        fields = dataclasses.asdict(rasch.certificate) | {"colour": "red"}
        Reader([]).read({"class": "eirt.certificate:Certificate", "fields": fields})
    rasch.save(tmp_path / "fit.eirt")
    with zipfile.ZipFile(tmp_path / "fit.eirt") as file:
        written = json.loads(file.read("fit.json")) | {"format": 0}
        arrays = file.read("arrays.npz")
    with zipfile.ZipFile(tmp_path / "fit.eirt", "w") as file:
        file.writestr("fit.json", json.dumps(written))
        file.writestr("arrays.npz", arrays)
    with pytest.raises(eirt.DataError, match="has format 0, and this version of eirt reads format"):
        eirt.load_fit(tmp_path / "fit.eirt")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    with pytest.raises(eirt.DataError, match=r"data\.csv holds no fit; write one with fit\.save"):
        eirt.load_fit(tmp_path / "data.csv")
    with pytest.raises(FileNotFoundError):
        eirt.load_fit(tmp_path / "none.eirt")
