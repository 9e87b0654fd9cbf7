import dataclasses

import numpy as np
import pandas as pd
import pytest

import eirt
from eirt.report import frame_markdown, frame_text, markdown, text


@pytest.fixture(scope="module")
def graded(va):
    return eirt.eirm(va, "resp ~ btype + (1 | id)", family=eirt.Cumulative())


def line(summary: str, label: str) -> str:
    return next(row for row in summary.splitlines() if row.startswith(label))


# ---- the summary -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rasch", "two_pl", "lltm", "graded"])
def test_lines_are_narrow(name, request):
    assert max(map(len, text(request.getfixturevalue(name)).splitlines())) <= 100


def test_the_summary_is_printed(lltm, capsys):
    lltm.summary()
    assert capsys.readouterr().out == text(lltm) + "\n" == str(lltm) + "\n"


def test_the_data_are_stated(lltm):
    said = line(text(lltm), "Data").split(maxsplit=1)[1]
    assert said == "316 persons (id), 24 items (item), 7584 responses; r2: N = 0, Y = 1"


def test_the_likelihood_and_its_error_are_stated(lltm):
    assert "Nested, 61 nodes; quadrature error" in line(text(lltm), "Likelihood")
    assert "Laplace error 0.016 ± 0.002" in line(text(lltm), "Likelihood")
    assert "log-likelihood -4071.5635, AIC 8157.13" in line(text(lltm), "Fit")


def test_nodes_chosen_by_the_user_or_by_refinement(va):
    lsat = eirt.load("lsat6")
    fit = eirt.rasch(lsat, wide=True, likelihood=eirt.Quadrature(41), check=False)
    assert "Quadrature, 41 nodes; error not computed; call fit.check()" in text(fit)
    prior = {"easiness": eirt.Normal(0, 3)}
    fit = eirt.rasch(lsat, wide=True, likelihood=eirt.AdaptiveQuadrature(9), priors=prior)
    assert "AdaptiveQuadrature, 9 nodes; quadrature error" in text(fit)
    fit = eirt.rasch(lsat, wide=True, likelihood=eirt.Laplace())
    assert "Laplace; Laplace error" in text(fit)


def test_the_certificate_is_stated(lltm):
    found = lltm.certificate
    expected = f"converged: {found.iterations} iterations, gradient {found.gradient:.1e}"
    assert expected in line(text(lltm), "Certificate")


def test_each_failure_has_its_line(rasch):
    broken = dataclasses.replace(rasch.certificate, decrement=2.0, quadrature_error=0.5)
    summary = text(dataclasses.replace(rasch, certificate=broken)).splitlines()
    place = next(k for k, row in enumerate(summary) if row.startswith("Certificate"))
    assert "NOT converged" in summary[place]
    assert summary[place + 1].strip().startswith("about 1 log-likelihood units are still to gain")
    assert any(row.strip().startswith("the quadrature error is 0.5") for row in summary)


def test_estimates_at_a_bound_are_reported(rasch):
    psi = np.append(rasch.psi[:-1], 0.0)
    assert "At zero" not in text(rasch)
    assert "id|(Intercept)" in line(text(dataclasses.replace(rasch, psi=psi)), "At zero")


def test_ordered_responses_state_their_direction(graded):
    summary = text(graded)
    assert "resp: no = 0, perhaps = 1, yes = 2\n" in summary
    assert "predicts UP: P(y >= c)" in summary
    assert "316 persons (id), 7584 responses" in summary
    assert line(summary, "intercept[1]")


def test_other_groups_are_stated(lltm):
    fit = dataclasses.replace(lltm, design=dataclasses.replace(lltm.design, item=None))
    assert "316 persons (id), 24 item, 7584 responses" in line(text(fit), "Data")


def test_other_kinds_of_response_are_stated(rasch):
    model = dataclasses.replace(rasch.model, response=eirt.Poisson())
    design = dataclasses.replace(rasch.design, labels=())
    counts = dataclasses.replace(rasch, model=model, design=design)
    assert line(text(counts), "Data").endswith("7584 responses; r2 (count)")


def test_what_was_dropped_is_stated(va):
    gaps = va.assign(r2=va["r2"].where(va.index % 1000 != 0))
    fit = eirt.lltm(gaps, "~ btype", response="r2")
    assert line(text(fit), "Dropped").split(maxsplit=1)[1] == "8 missing responses"


def test_tables_match_the_fit(lltm):
    summary = text(lltm)
    row = line(summary, "mode[do]").split()
    assert row[1:4] == ["-0.7076", "0.1531", "-4.62"]
    assert row[4] == "<0.001"
    assert line(summary, "item ").split() == ["item", "(Intercept)", "0.1200", "0.3464", "0.0600"]


def test_long_tables_are_cut():
    rng = np.random.default_rng(2)
    right = (rng.random((200, 45)) < rng.uniform(0.3, 0.7, 45)).astype(int)
    wide = pd.DataFrame(right, columns=[f"i{k}" for k in range(45)])
    fit = eirt.rasch(wide, wide=True)
    summary = text(fit)
    assert "... 25 more rows in fit.fixed" in summary
    assert "item[i19]" in summary and "item[i20]" not in summary


# ---- the report ------------------------------------------------------------------------------


def test_markdown_has_every_part(lltm, rasch):
    report = markdown([lltm, rasch], eirt.compare(lltm, rasch))
    heads = [row for row in report.splitlines() if row.startswith("#")]
    effects = ["### Random effects", "### Fixed effects (easiness)"]
    assert heads == [
        "# LLTM + item residuals, Rasch",
        "## Comparison",
        "## LLTM + item residuals",
        *effects,
        "## Rasch",
        *effects,
        "## Item difficulty (Rasch)",
    ]
    assert "| S3DoShout | 2.9756 |" in report
    assert "- **Certificate**: converged" in report


def test_markdown_tables_are_rectangular(two_pl, graded):
    report = markdown([two_pl, graded])
    assert "## Comparison" not in report
    assert "### Response parameters" in report
    assert "| item | discrimination | discrimination_se |" in report
    blocks = [block for block in report.split("\n\n") if block.startswith("|")]
    for block in blocks:
        assert len({row.count("|") for row in block.splitlines()}) == 1


def test_markdown_without_free_items_has_no_difficulties(lltm):
    assert "Item difficulty" not in markdown([lltm])


# ---- tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("p", 1e-9, "<0.001"),
        ("p", 0.0456, "0.046"),
        ("se", np.nan, ""),
        ("against", None, ""),
        ("estimate", -0.00001, "-1.00e-05"),
        ("odds_ratio", 4.85e8, "4.85e+08"),
        ("estimate", 0.0, "0.0000"),
        ("n", 12, "12"),
        ("df", 18.0, "18"),
        ("z", 2.345, "2.35"),
        ("keep", True, "True"),
        ("estimate", np.float32(0.5), "0.5000"),
    ],
)
def test_numbers(column, value, shown):
    assert frame_text(pd.DataFrame({column: [value]})).partition("\n")[2].strip() == shown


def test_numbers_align_right_and_words_left():
    frame = pd.DataFrame({"term": ["a", "long"], "estimate": [-1.0, 10.0]})
    assert frame_text(frame, digits=1).splitlines() == [
        "term  estimate",
        "a         -1.0",
        "long      10.0",
    ]


def test_long_words_are_cut_to_the_width():
    frame = pd.DataFrame({"item": ["x" * 90], "other": ["y" * 90], "n": [1]})
    rows = frame_text(frame, width=60).splitlines()
    assert max(map(len, rows)) == 60
    assert rows[1].count("…") == 2
    assert len(frame_text(frame, width=5).splitlines()[1]) == 25


def test_empty_tables():
    assert frame_text(pd.DataFrame({"a": [], "b": []})) == "a  b"
    assert frame_markdown(pd.DataFrame({"a": []})).splitlines()[0] == "| a |"


def test_the_summary_says_where_items_are_few(fits):
    assert "fit.feature_tests() has t on 19 df." in str(fits("lltm_residuals"))
    assert "feature_tests" not in str(fits("lltm"))
