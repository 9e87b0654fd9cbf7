"""Each bad input gets one sentence that names the column, the value and the remedy."""

import numpy as np
import pandas as pd
import pytest

import eirt
from tests.conftest import COLUMNS


@pytest.fixture
def long():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "id": np.repeat(np.arange(60), 6),
            "item": np.tile([f"i{k}" for k in range(6)], 60),
            "resp": rng.integers(0, 2, 360),
        }
    )
    frame["feature"] = frame["item"].isin(["i0", "i1", "i2"]).astype(float)
    frame["age"] = frame["id"] % 7.0
    return frame


def refused(says, call, *args, error=eirt.DataError, **options):
    with pytest.raises(error, match=says) as caught:
        call(*args, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_column(long):
    message = refused("no column 'answer'", eirt.rasch, long, response="answer")
    assert "id, item, resp" in message
    refused("Did you mean 'resp'", eirt.rasch, long, response="respp")


def test_response_with_other_values(long):
    long.loc[3, "resp"] = 2
    refused("'resp' must hold 0 and 1 but holds 2; recode", eirt.rasch, long)


def test_response_with_three_levels(va):
    message = refused("three|3", eirt.rasch, va, response="resp")
    assert "no, perhaps, yes" in message


def test_response_text_states_its_reference(long):
    long["resp"] = np.where(long["resp"] == 1, "right", "wrong")
    fit = eirt.rasch(long, reference="wrong")
    assert fit.design.labels == ("wrong", "right")
    assert "wrong = 0, right = 1" in str(fit)
    refused("reference 'bad' is not a level of 'resp'", eirt.rasch, long, reference="bad")


def test_boolean_and_numeric_responses_agree(long):
    as_bool = long.assign(resp=long["resp"] == 1)
    assert eirt.rasch(as_bool).loglik == pytest.approx(eirt.rasch(long).loglik, abs=1e-9)


@pytest.mark.parametrize("column", ["id", "item"])
def test_level_without_responses(long, column):
    level = long[column].iloc[0]
    long["resp"] = long["resp"].astype(float)
    long.loc[long[column] == level, "resp"] = np.nan
    message = refused(f"'{column}' has 1 level.* without any response", eirt.rasch, long)
    assert str(level) in message
    fit = eirt.rasch(long, missing="drop")
    assert fit.design.dropped[f"{column} without responses"] == 1
    assert f"1 {column} without responses" in str(fit)


def test_missing_responses_are_counted(long):
    long["resp"] = long["resp"].astype(float)
    long.loc[[5, 17], "resp"] = np.nan
    fit = eirt.rasch(long)
    assert fit.n_obs == 358
    assert fit.design.dropped == {"missing responses": 2}
    assert "2 missing responses" in str(fit)


def test_repeated_person_item_rows(long):
    twice = pd.concat([long, long.iloc[[7]]])
    message = refused("repeat a person and an item", eirt.rasch, twice)
    assert "i1" in message
    assert "duplicates='first'" in message
    assert eirt.rasch(twice, duplicates="first").n_obs == 360
    assert eirt.rasch(twice, duplicates="keep").n_obs == 361


def test_item_feature_that_varies_within_an_item(long):
    refused("'age' varies within item 'i0'", eirt.lltm, long, "~ age")


def test_collinear_features(long):
    long["twin"] = 1 - long["feature"]
    refused("'twin' is collinear.*feature", eirt.lltm, long, "~ feature + twin")


def test_constant_feature(long):
    long["same"] = 0.0
    refused("'?same'? is zero in every row", eirt.lltm, long, "~ feature + same")


@pytest.mark.parametrize("value", [0, 1])
def test_item_that_everybody_answered_alike(long, value):
    long.loc[long["item"] == "i2", "resp"] = value
    message = refused("difficulty is infinite", eirt.rasch, long)
    assert "i2" in message
    assert "extreme='drop'" in message
    fit = eirt.rasch(long, extreme="drop")
    assert len(fit.items) == 5
    assert fit.design.dropped == {"items with one response value": 1}


def test_prior_keeps_an_extreme_item(long):
    long.loc[long["item"] == "i2", "resp"] = 1
    fit = eirt.rasch(long, extreme="keep", priors={"easiness": eirt.Normal(0, 3)})
    easiness = fit.items.set_index("item")["easiness"]
    assert fit.converged
    assert 3 < easiness["i2"] < 10


def test_empty_data(long):
    refused("The data are empty", eirt.rasch, long.iloc[:0])


def test_all_responses_missing(long):
    refused("Every value of the response 'resp' is missing", eirt.rasch, long.assign(resp=np.nan))


def test_missing_covariate_is_refused_or_counted(long):
    long.loc[[0, 1, 2], "feature"] = np.nan
    message = refused("3 rows have a missing value in 'feature' .3.", eirt.lltm, long, "~ feature")
    assert "missing='drop'" in message
    fit = eirt.lltm(long, "~ feature", missing="drop")
    assert fit.n_obs == 357
    assert "3 rows with a missing covariate" in str(fit)


def test_unknown_name_in_a_formula(va):
    says = "names 'mod'.*Did you mean 'mode'"
    refused(says, eirt.lltm, va, "~ mod", error=eirt.FormulaError, **COLUMNS)
    refused(says, eirt.eirm, va, "r2 ~ mod + (1 | id)", error=eirt.FormulaError)
    refused("'idd'", eirt.eirm, va, "r2 ~ mode + (1 | idd)", error=eirt.FormulaError)


def test_sides_of_formulas(va):
    refused("no left-hand side", eirt.lltm, va, "r2 ~ mode", error=eirt.FormulaError, **COLUMNS)
    refused("left of '~'", eirt.eirm, va, "~ mode + (1 | id)", error=eirt.FormulaError)


def test_missing_file():
    refused("no file 'nothing.csv'", eirt.rasch, "nothing.csv")


def test_unknown_anchor_and_prior(long):
    refused("no parameter 'sd'", eirt.rasch, long, anchors={"sd": 1.0}, error=ValueError)
    priors = {"slope": eirt.Normal(0, 1)}
    refused("no parameter 'slope'", eirt.rasch, long, priors=priors, error=ValueError)


def test_wide_without_items(long):
    frame = long[["id"]].drop_duplicates()
    refused("no item columns", eirt.rasch, frame, wide=True)


def test_count_family_refuses_fractions(long):
    frame = long.assign(resp=0.5)
    says = "holds 0.5, which is not a count"
    refused(says, eirt.eirm, frame, "resp ~ 1 + (1 | id)", family=eirt.Poisson())


def test_a_subset_of_categories_is_no_trouble(va):
    half = va[va["situ"] == "self"]
    fit = eirt.rasch(half, **COLUMNS)
    assert len(fit.items) == 12
    explained = eirt.lltm(half, "~ btype + mode", **COLUMNS)
    assert len(explained.fixed) == 4


def test_responses_that_a_family_cannot_give(long):
    refused("holds 0, but responses of Gamma are positive numbers", eirt.rasch, long,
            family=eirt.Gamma())  # fmt: skip
    data = long.assign(tasks=2, resp=long["resp"] * 3)
    refused("whole numbers from 0 to the number of trials", eirt.rasch, data,
            family=eirt.Binomial("tasks"))  # fmt: skip
    refused("whole numbers from 0 to the number of trials", eirt.rasch, data,
            family=eirt.Hurdle(eirt.Binomial("tasks")))  # fmt: skip


def test_extra_parameters_of_items_need_items(va):
    refused("name their column", eirt.eirm, va, "resp ~ mode + (1 | id)",
            family=eirt.Cumulative(), by_item=True)  # fmt: skip


def test_unused_categories_of_an_item(va):
    lacking = va[~((va["item"] == "S1DoScold") & (va["resp"] == "perhaps"))]
    refused("Nobody gave 'perhaps' to item 'S1DoScold'", eirt.grm, lacking)


def test_thresholds_of_two_categories(va):
    with pytest.raises(eirt.FormulaError, match="Bernoulli has none"):
        eirt.eirm(va, "r2 ~ mode + (1 | id)", thresholds="~ mode")
