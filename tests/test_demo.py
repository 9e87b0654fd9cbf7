"""The demonstration: its numbers, its words, its files."""

import contextlib
import io
import pathlib
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

import eirt
from eirt import demo
from eirt.cli import app


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "results"
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        fits = demo.run(out, quiet=True)
    return fits, text.getvalue(), out


@pytest.mark.parametrize(
    ("key", "loglik"),
    [
        ("rasch", -4036.905),
        ("1pl", -4036.905),
        ("2pl", -4016.427),
        ("lltm", -4116.613),
        ("lltm_residuals", -4071.563),
        ("explanatory", -4064.627),
    ],
)
def test_log_likelihoods(outcome, key, loglik):
    fits, text, _ = outcome
    assert fits[key].loglik == pytest.approx(loglik, abs=1e-3)
    assert fits[key].converged
    line = next(x for x in text.splitlines() if x.startswith(fits[key].name) and "converged" in x)
    assert float(line.split("converged")[0].split()[-2]) == pytest.approx(loglik, abs=1e-3)


def test_fits_a_terminal(outcome):
    assert max(map(len, outcome[1].splitlines())) <= 100 + len(str(outcome[2]))


def test_rasch_and_1pl_agree(outcome):
    fits, _, _ = outcome
    table = demo.difficulties(fits["rasch"], fits["1pl"])
    assert table["rasch_standardised"].tolist() == pytest.approx(table["1pl"].tolist(), abs=1e-8)
    sd = fits["rasch"].random["sd"][0]
    assert (table["rasch"] / sd).tolist() == pytest.approx(table["1pl"].tolist(), abs=1e-8)


def test_item_residuals_raise_the_standard_errors(outcome):
    fits, _, _ = outcome
    ratio = demo.standard_errors(fits["lltm"], fits["lltm_residuals"])["ratio"]
    assert ratio.between(2, 3).all()


def test_says_what_features_do(outcome):
    text = " ".join(outcome[1].split())
    assert "Shout rather than curse (btype) multiplies the odds" in text
    assert "by 0.12 (95% CI 0.08 to 0.18) and changes its probability by -33.6" in text
    assert "One unit more of Anger multiplies the odds" in text
    assert "0.94 to 2.01, which includes 1" in text


def test_writes(outcome):
    _, _, out = outcome
    for name in ("wright.png", "icc.png"):
        assert (out / name).stat().st_size > 1000
    assert "-4064.6" in (out / "summary.md").read_text()
    assert len(pd.read_csv(out / "comparison.csv")) == 6
    assert len(pd.read_csv(out / "difficulty.csv")) == len(pd.read_csv(out / "items.csv")) == 24
    assert len(pd.read_csv(out / "persons.csv")) == 316
    features = pd.read_csv(out / "features.csv").set_index("term")
    assert features["odds_ratio"]["btype[shout]"] == pytest.approx(0.1218, abs=1e-3)


def test_command(outcome, tmp_path, monkeypatch):
    asked = []

    def recorded(out, quiet):
        asked.append((out, quiet))
        return outcome[0]

    monkeypatch.setattr(demo, "run", recorded)
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path), "--quiet"])
    assert result.exit_code == 0, result.output
    assert asked == [(tmp_path, True)]


def test_shows_progress(monkeypatch, capsys):
    monkeypatch.setattr(eirt, "lltm", eirt.rasch)
    shown = []
    for name in ("rasch", "one_pl", "two_pl", "lltm"):
        monkeypatch.setattr(eirt, name, lambda *args, progress, **rest: shown.append(progress))
    monkeypatch.setattr(demo, "_line", lambda *args: "")
    demo._fit_all(eirt.load("verbagg"), quiet=False)
    assert shown == [True] * 6


def test_readme_prints_what_it_says():
    root = pathlib.Path(__file__).parents[1]
    text = (root / "README.md").read_text(encoding="utf-8")
    pairs = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", text, re.DOTALL)
    assert len(pairs) == text.count("```python") == 6
    names: dict = {}
    for code, expected in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert printed.getvalue().split() == expected.split()
