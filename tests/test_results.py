"""Tables of a fit: their columns are public."""

import numpy as np
import pytest

import eirt
from tests.conftest import COLUMNS


def test_information_criteria(fits):
    fit = fits("nested")
    assert fit.n_params == 7
    assert fit.aic == pytest.approx(-2 * fit.loglik + 14)
    assert fit.bic == pytest.approx(-2 * fit.loglik + 7 * np.log(7584))


def test_fixed_table(fits):
    table = fits("lltm").fixed
    wald = ["term", "estimate", "se", "z", "p", "lower", "upper", "odds_ratio"]
    assert list(table.columns) == wald
    names = ["(Intercept)", "btype[scold]", "btype[shout]", "situ[self]", "mode[do]"]
    assert list(table["term"]) == names
    np.testing.assert_allclose(table["z"], table["estimate"] / table["se"])
    np.testing.assert_allclose(
        table["upper"] - table["estimate"], 1.959964 * table["se"], rtol=1e-6
    )
    np.testing.assert_allclose(table["odds_ratio"], np.exp(table["estimate"]))
    assert "odds_ratio" not in fits("lltm_probit").fixed


def test_random_table(fits):
    table = fits("laplace_slope").random
    assert list(table.columns) == ["group", "term", "variance", "sd", "correlation", "se"]
    assert list(table["group"]) == ["id", "id", "id", "item"]
    assert table["term"][2] == "mode[want] ~ mode[do]"
    np.testing.assert_allclose(table["variance"].dropna()[[0, 1]], table["sd"][[0, 1]] ** 2)
    assert 0 < table["se"][2] < 0.1


def test_standard_ability_has_no_error(fits):
    table = fits("2pl").random
    assert table["sd"][0] == 1.0
    assert np.isnan(table["se"][0])


def test_effects(fits):
    fit = fits("nested")
    persons, items = fit.effects("id"), fit.effects("item")
    assert list(items.columns) == ["level", "term", "estimate", "sd"]
    assert len(persons) == 316
    assert abs(persons["estimate"].mean()) < 0.02
    with pytest.raises(ValueError, match="there are for id, item"):
        fit.effects("school")


def test_items_table(fits):
    items = fits("rasch").items
    assert list(items.columns) == ["item", "n", "mean", "easiness", "se"]
    assert set(items["n"]) == {316}
    more = ["item", "n", "mean", "easiness", "se", "discrimination", "discrimination_se"]
    assert list(fits("2pl").items.columns) == more


def test_items_of_an_explained_test_are_its_features(fits):
    fit = fits("lltm")
    items = fit.items.set_index("item")["easiness"]
    beta = fit.fixed.set_index("term")["estimate"]
    expected = beta["(Intercept)"] + beta["btype[shout]"] + beta["situ[self]"] + beta["mode[do]"]
    assert items["S3DoShout"] == pytest.approx(expected)


def test_items_with_residuals_lie_between_features_and_free_estimates(fits):
    explained, free = fits("lltm").items["easiness"], fits("rasch").items["easiness"]
    shrunken = fits("nested").items["easiness"]
    assert np.corrcoef(shrunken, free)[0, 1] > np.corrcoef(explained, free)[0, 1]
    errors = fits("nested").items["se"]
    np.testing.assert_allclose(errors, fits("rasch").items["se"], rtol=0.15)


def test_items_need_an_item_column(va):
    fit = eirt.eirm(va, "r2 ~ mode + (1 | id)")
    with pytest.raises(ValueError, match="name their column"):
        _ = fit.items


def test_fit_is_a_value_with_a_readable_face(fits):
    assert repr(fits("rasch")) == "<Rasch: log-likelihood -4036.9049, 25 parameters, converged>"


def test_summary_prints(fits, capsys):
    fits("nested").summary()
    text = capsys.readouterr().out
    for part in ("316", "24", "7584", "Nested", "-4071.56", "converged", "btype[scold]", "item"):
        assert part in text


def test_polars_and_arrow_and_files(va, tmp_path, fits):
    import polars as pl

    small = va[["id", "item", "r2"]].astype(str)
    frames = [pl.from_pandas(small), pl.from_pandas(small).to_arrow(), pl.from_pandas(small).lazy()]
    small.to_parquet(tmp_path / "va.parquet")
    small.to_csv(tmp_path / "va.csv", index=False)
    for data in [*frames, tmp_path / "va.parquet", str(tmp_path / "va.csv")]:
        fit = eirt.rasch(data, **COLUMNS)
        assert fit.loglik == pytest.approx(fits("rasch").loglik, abs=1e-8)


def test_wide_data_equal_long_data(va, fits):
    wide = va.pivot(index="id", columns="item", values="r2").reset_index()
    wide.columns = [str(name) for name in wide.columns]
    fit = eirt.rasch(wide, wide=True)
    assert fit.loglik == pytest.approx(fits("rasch").loglik, abs=1e-8)
    array = (wide.drop(columns="id") == "Y").to_numpy().astype(float)
    assert eirt.rasch(array, wide=True).loglik == pytest.approx(fit.loglik, abs=1e-8)


def test_wide_data_with_covariates():
    exam = eirt.load("mathexam")
    items = list(exam.columns[:13])
    fit = eirt.rasch(exam, wide=items, ability="~ gender")
    assert len(fit.items) == 13
    assert fit.fixed["term"].iloc[-1].startswith("gender[")
    assert fit.converged


def test_permuting_persons_items_and_rows_changes_nothing(va, fits):
    shuffled = va.sample(frac=1.0, random_state=1)
    for name, call in {
        "2pl": lambda: eirt.two_pl(shuffled, **COLUMNS),
        "nested": lambda: eirt.eirm(
            shuffled, "r2 ~ btype + situ + mode + (1 | id) + (1 | item)", check=False
        ),
    }.items():
        fit = call()
        assert fit.loglik == pytest.approx(fits(name).loglik, abs=1e-8)
        old = fits(name).items.set_index("item")["easiness"]
        new = fit.items.set_index("item")["easiness"]
        np.testing.assert_allclose(new[old.index], old, atol=1e-8)
