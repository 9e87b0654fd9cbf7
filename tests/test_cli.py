"""The command line: what it fits, writes, prints and refuses."""

import dataclasses
import json
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

import eirt
from eirt.cli import app

RASCH = -2466.938  # LSAT 6, by marginal maximum likelihood


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def numbers(out):
    return json.loads((out / "fit.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """LSAT 6 in every form that the command reads: ids and items look like numbers."""
    folder = tmp_path_factory.mktemp("responses")
    wide = eirt.load("lsat6")
    wide.to_csv(folder / "wide.csv", index=False)
    long = wide.set_axis(range(1, 6), axis=1).rename_axis("id").reset_index()
    long = long.melt("id", var_name="item", value_name="resp")
    long["late"] = (long["item"] > 3).astype(int)
    long["group"] = long["id"] % 2
    long.to_csv(folder / "long.csv", index=False)
    long.assign(item=long["item"].astype(int)).to_parquet(folder / "long.parquet")
    words = long.assign(id=[f"{person:04}" for person in long["id"]])
    words["answer"] = words.pop("resp").map({0: "N", 1: "Y"})
    words.to_csv(folder / "words.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def rasch(folder):
    """The command that most tests look at: a Rasch model of a long CSV file."""
    out = folder / "rasch"
    return run("fit", folder / "long.csv", "--model", "rasch", "--out", out), out


def test_long_csv(rasch):
    result, out = rasch
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    found = numbers(out)
    assert found["loglik"] == pytest.approx(RASCH, abs=1e-3)
    assert found["aic"] == pytest.approx(-2 * RASCH + 12, abs=1e-2)
    assert (found["n_params"], found["n_obs"], found["converged"]) == (6, 5000, True)
    assert found["formula"] == "resp ~ 0 + `item` + (1 | id)"
    assert found["likelihood"] == "Quadrature"
    assert found["certificate"]["gradient"] < 1e-6


def test_prints_the_summary_and_difficulties(rasch):
    result, out = rasch
    assert "-2466.9" in result.stdout
    assert "Difficulties" in result.stdout
    assert (out / "summary.txt").read_text().strip() in result.stdout


def test_writes_tables_and_plots(rasch):
    _, out = rasch
    names = ["fixed", "random", "items", "difficulty", "persons", "effects_id"]
    tables = {name: pd.read_csv(out / f"{name}.csv") for name in names}
    plots = ["wright.png", "icc.png"]
    others = ["fit.json", "summary.txt", *plots]
    written = sorted(path.name for path in out.iterdir())
    assert written == sorted([*(f"{name}.csv" for name in names), *others])
    assert all((out / plot).stat().st_size > 1000 for plot in plots)
    assert len(tables["persons"]) == len(tables["effects_id"]) == 1000
    assert tables["difficulty"]["item"].tolist() == [1, 2, 3, 4, 5]
    easiness = tables["items"]["easiness"].tolist()
    assert tables["difficulty"]["difficulty"].tolist() == pytest.approx([-x for x in easiness])


@pytest.mark.parametrize(
    ("arguments", "loglik"),
    [
        (("wide.csv", "--wide", "--model", "2pl"), -2466.653),
        (("long.parquet", "--model", "1pl"), RASCH),
        (("long.csv", "--model", "rasch", "--device", "cpu"), RASCH),
    ],
)
def test_same_data_any_way(folder, tmp_path, arguments, loglik):
    result = run("fit", folder / arguments[0], *arguments[1:], "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert numbers(tmp_path)["loglik"] == pytest.approx(loglik, abs=1e-3)


def test_formula(folder, tmp_path):
    mixed = ("fit", folder / "long.csv", "--formula", "resp ~ 0 + item + (1 | id)")
    result = run(*mixed, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert numbers(tmp_path)["loglik"] == pytest.approx(RASCH, abs=1e-3)
    fixed = pd.read_csv(tmp_path / "fixed.csv")
    assert fixed["term"].tolist() == [f"item[{k}]" for k in range(1, 6)]  # labels, not a number


def test_lltm_with_ability(folder, tmp_path):
    arguments = ("--model", "lltm", "--formula", "~ late", "--ability", "~ group")
    result = run("fit", folder / "long.csv", *arguments, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert pd.read_csv(tmp_path / "fixed.csv")["term"].tolist() == ["(Intercept)", "late", "group"]


def test_words_as_responses_and_ids(folder, tmp_path):
    columns = ("--model", "rasch", "--response", "answer", "--person", "id", "--item", "item")
    result = run("fit", folder / "words.csv", *columns, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert numbers(tmp_path)["loglik"] == pytest.approx(RASCH, abs=1e-3)
    persons = pd.read_csv(tmp_path / "persons.csv", dtype=str)
    assert persons["id"].tolist()[:2] == ["0000", "0001"]
    assert "answer: N = 0, Y = 1" in result.stdout


@pytest.mark.parametrize(("file", "level"), [("words.csv", "Y"), ("long.csv", "1")])
def test_reference_turns_the_sign(folder, rasch, tmp_path, file, level):
    response = "answer" if file == "words.csv" else "resp"
    arguments = ("--model", "rasch", "--response", response, "--reference", level)
    result = run("fit", folder / file, *arguments, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    turned, straight = (pd.read_csv(out / "fixed.csv")["estimate"] for out in (tmp_path, rasch[1]))
    assert turned.tolist() == pytest.approx((-straight).tolist(), abs=1e-6)


def test_reference_of_wide_data(folder, tmp_path):
    arguments = ("--wide", "--model", "rasch", "--reference", "1", "--out", tmp_path)
    result = run("fit", folder / "wide.csv", *arguments)
    assert result.exit_code == 0, result.output
    assert (pd.read_csv(tmp_path / "difficulty.csv")["difficulty"] > 0).all()


def test_likelihood_link_and_family(folder, tmp_path):
    choice = ("--likelihood", "quadrature", "--nodes", "31", "--link", "probit")
    result = run("fit", folder / "long.csv", "--model", "rasch", *choice, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    expected = eirt.rasch(eirt.load("lsat6"), wide=True, family=eirt.Bernoulli("probit"))
    assert numbers(tmp_path)["loglik"] == pytest.approx(expected.loglik, abs=1e-3)
    assert "odds_ratio" not in pd.read_csv(tmp_path / "fixed.csv").columns


def test_graded_responses(tmp_path):
    file = tmp_path / "wine.csv"
    eirt.load("wine").to_csv(file, index=False)
    formula = "rating ~ temp + contact + (1 | judge)"
    choice = ("--family", "cumulative", "--likelihood", "adaptive", "--nodes", "9")
    result = run("fit", file, "--formula", formula, *choice, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    expected = eirt.eirm(eirt.load("wine"), formula, family=eirt.Cumulative())
    assert numbers(tmp_path)["loglik"] == pytest.approx(expected.loglik, abs=1e-3)
    assert len(pd.read_csv(tmp_path / "response_parameters.csv")) == 4
    assert not (tmp_path / "items.csv").exists()  # no items, no item tables


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--model"),
        (("--formula", "~ late"), "--model"),
        (("--model", "3pl"), "3pl"),
        (("--model", "lltm"), "--formula"),
        (("--model", "rasch", "--formula", "~ late"), "--formula"),
        (("--model", "lltm", "--formula", "~ late", "--wide"), "--wide"),
        (("--formula", "resp ~ late", "--ability", "~ group"), "--ability"),
        (("--formula", "resp ~ late", "--response", "late"), "--response"),
        (("--model", "rasch", "--nodes", "9"), "--nodes"),
        (("--model", "rasch", "--nodes", "0", "--likelihood", "nested"), "--nodes"),
        (("--model", "rasch", "--family", "poisson", "--link", "probit"), "poisson"),
    ],
)
def test_wrong_options(folder, arguments, message):
    result = run("fit", folder / "long.csv", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("file", "arguments", "message"),
    [
        ("absent.csv", ("--model", "rasch"), "There is no file"),
        ("long.csv", ("--model", "rasch", "--response", "rep"), "Did you mean 'resp'?"),
        ("long.csv", ("--model", "rasch", "--person", "late", "--item", "item"), "repeat a person"),
        ("long.csv", ("--model", "rasch", "--reference", "9"), "not a level of 'resp'"),
        ("long.csv", ("--model", "rasch", "--device", "xpu"), "No device 'xpu'"),
        ("long.csv", ("--formula", "resp ~ lat + (1 | id)"), "Did you mean 'late'?"),
        ("long.csv", ("--formula", "resp ~ (late + (1 | id)"), "brackets"),
        ("long.csv", ("--model", "lltm", "--formula", "resp ~ late"), "no left-hand side"),
        ("words.csv", ("--formula", "group ~ id2 + (1 | id)"), "'id2'"),
        ("notes.xlsx", ("--model", "rasch"), "neither CSV nor Parquet"),
        ("ragged.csv", ("--model", "rasch"), "Expected 1 fields"),
    ],
)
def test_unusable_data_or_formula(folder, file, arguments, message):
    (folder / "notes.xlsx").touch()
    (folder / "ragged.csv").write_text("id\n1\n1,2,3\n")
    result = run("fit", folder / file, *arguments)
    assert result.exit_code == 3, result.output
    assert message in result.stderr
    assert result.stderr.startswith("eirt: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_extreme_items(folder, tmp_path):
    long = pd.read_csv(folder / "long.csv")
    easy = long[long["item"] == 1].assign(item=6, resp=1)
    pd.concat([long, easy]).to_csv(tmp_path / "long.csv", index=False)
    command = ("fit", tmp_path / "long.csv", "--model", "rasch", "--extreme")
    refused = run(*command, "error")
    assert refused.exit_code == 3
    assert "same response 'resp' to item 6" in refused.stderr
    for choice, n_items in (("drop", 5), ("keep", 6)):
        result = run(*command, choice, "--out", tmp_path / choice)
        assert result.exit_code == 0, result.output
        assert len(pd.read_csv(tmp_path / choice / "items.csv")) == n_items


def test_a_folder_that_cannot_be_made(folder):
    result = run("fit", folder / "long.csv", "--model", "rasch", "--out", folder / "long.csv")
    assert result.exit_code == 3
    assert result.stderr.startswith("eirt: ")


def test_not_converged_writes_and_says_so(folder, tmp_path):
    coarse = ("--likelihood", "quadrature", "--nodes", "3")
    result = run("fit", folder / "long.csv", "--model", "rasch", *coarse, "--out", tmp_path)
    assert result.exit_code == 4, result.output
    assert result.stderr.startswith("eirt: Rasch did not converge: the quadrature error")
    assert result.stderr.count("\n") == 1
    assert numbers(tmp_path)["converged"] is False
    assert (tmp_path / "difficulty.csv").exists()


def test_interrupt(folder, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(eirt, "rasch", interrupted)
    result = run("fit", folder / "long.csv", "--model", "rasch")
    assert result.exit_code == 130
    assert result.stderr == "eirt: interrupted\n"


def test_interrupt_of_the_optimiser_keeps_the_best(folder, tmp_path, monkeypatch):
    found = eirt.rasch(eirt.load("lsat6"), wide=True)
    certificate = dataclasses.replace(found.certificate, interrupted=True, decrement=float("nan"))
    found = dataclasses.replace(found, certificate=certificate)
    monkeypatch.setattr(eirt, "rasch", lambda *args, **kwargs: found)
    result = run("fit", folder / "long.csv", "--model", "rasch", "--out", tmp_path)
    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    assert numbers(tmp_path)["certificate"]["decrement"] is None


def test_progress(folder):
    result = run("fit", folder / "long.csv", "--model", "rasch", "--progress")
    assert result.exit_code == 0, result.output
    assert "iteration" in result.stderr


def test_datasets_and_version():
    listed = run("datasets")
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == eirt.datasets()[
        "name"
    ].tolist()
    assert run("--version").stdout == f"eirt {eirt.__version__}\n"
    assert "fit" in run("--help").stdout


def test_module():
    command = [sys.executable, "-m", "eirt", "--version"]
    assert subprocess.run(command, capture_output=True, text=True).stdout.startswith("eirt ")


def test_remedies_are_options(tmp_path):
    frame = eirt.load("lsat6").astype(float)
    frame["Q1"] = 1.0
    frame.to_csv(tmp_path / "alike.csv", index=False)
    done = CliRunner().invoke(
        app, ["fit", str(tmp_path / "alike.csv"), "--wide", "--model", "rasch"]
    )
    assert done.exit_code == 3
    assert "--extreme drop" in done.stderr
    assert "extreme=" not in done.stderr
