"""Person abilities."""

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("quick_compilation")


def test_eap_columns_and_scale(fits):
    table = fits("rasch").persons()
    assert list(table.columns) == ["id", "n", "score", "ability", "se"]
    assert len(table) == 316
    # EAPs of equal scores are equal in the Rasch model, and rise with the score
    by_score = table.groupby("score")["ability"].agg(["min", "max"])
    np.testing.assert_allclose(by_score["min"], by_score["max"], atol=1e-8)
    assert by_score["min"].is_monotonic_increasing


def test_eap_variance_and_error_add_up(fits):
    fit = fits("rasch")
    table = fit.persons()
    total = table["ability"].var() + (table["se"] ** 2).mean()
    assert total == pytest.approx(fit.random["variance"][0], rel=0.02)
    assert table.attrs["reliability"] == pytest.approx(0.874, abs=2e-3)


def test_map_maximises_the_posterior(fits):
    fit = fits("rasch")
    table = fit.persons("MAP")
    easiness, sd = fit.items["easiness"].to_numpy(), fit.random["sd"][0]
    theta = table["ability"].to_numpy()
    p = 1 / (1 + np.exp(-theta[:, None] - easiness))
    np.testing.assert_allclose(table["score"] - p.sum(1) - theta / sd**2, 0.0, atol=1e-7)
    np.testing.assert_allclose(table["se"] ** -2, (p * (1 - p)).sum(1) + sd**-2, rtol=1e-7)


def test_scales_of_rasch_and_one_pl(fits):
    rasch, one = fits("rasch").persons(), fits("1pl").persons()
    sd = fits("rasch").random["sd"][0]
    np.testing.assert_allclose(one["ability"] * sd, rasch["ability"], atol=1e-7)


def test_ability_includes_what_covariates_predict(fits):
    fit = fits("latreg_rasch")
    table, residual = fit.persons(), fit.effects("id")
    beta = fit.fixed.set_index("term")["estimate"]
    predicted = fit.design.person_x @ beta[["Anger", "Gender[M]"]].to_numpy()
    np.testing.assert_allclose(table["ability"], residual["estimate"] + predicted)


def test_several_dimensions_get_a_row_each(fits):
    table = fits("laplace_slope").persons()
    assert list(table["dimension"][:2]) == ["mode[want]", "mode[do]"]
    assert len(table) == 632


def test_unknown_method(fits):
    with pytest.raises(ValueError, match="'EAP' and 'MAP'"):
        fits("rasch").persons("BLUP")
