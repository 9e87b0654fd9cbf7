"""Andersen's test and Wald tests of single items in parts of the sample."""

import numpy as np
import pytest
import scipy.stats

import eirt
from eirt.refits import on_design
from eirt.samples import of_items, of_persons, with_responses
from tests.test_conditional import CML, simulated


def test_median_split_agrees_with_erm(fits, reference):
    test, there = eirt.andersen(fits("rasch_cml")), reference("verbagg_rasch")
    assert test.chi2 == pytest.approx(there["eRm_andersen_median"]["LR"], abs=1e-5)
    assert test.df == there["eRm_andersen_median"]["df"]
    assert test.p == pytest.approx(there["eRm_andersen_median"]["p"], rel=1e-5)


def test_split_by_a_column_agrees_with_erm(fits, va, reference):
    test, there = eirt.andersen(fits("rasch_cml"), "Gender", va), reference("verbagg_rasch")
    assert test.chi2 == pytest.approx(there["eRm_andersen_gender"]["LR"], abs=1e-5)
    assert list(test.fits) == ["F", "M"]
    # z of easiness there, so of the other sign; eRm's estimates are exact to about 3e-5
    z, p = np.array(there["eRm_wald_gender"]["table"]).T
    np.testing.assert_allclose(test.items["z"], -z, atol=3e-4)
    np.testing.assert_allclose(test.items["p"], p, atol=1e-4)
    np.testing.assert_allclose(test.items["chi2"], test.items["z"] ** 2, rtol=1e-9)


def test_groups_of_ones_own(fits, va):
    fit = fits("rasch_cml")
    gender = va.groupby("id", observed=True)["Gender"].first()
    by_column = eirt.andersen(fit, "Gender", va)
    by_mapping = eirt.andersen(fit, gender)
    by_array = eirt.andersen(fit, gender.loc[fit.design.persons].to_numpy())
    assert by_mapping.chi2 == by_array.chi2 == by_column.chi2


def test_several_groups_and_persons_without_one(fits):
    fit = fits("rasch_cml")
    group = np.resize(np.array(["a", "b", "c", None], object), len(fit.design.persons))
    test = eirt.andersen(fit, group)
    assert test.df == 2 * 23
    assert test.together.n_obs == (group != None).sum() * 24  # noqa: E711
    assert (test.items["df"] == 2).all()
    assert "difference" not in test.items
    assert len(test.difficulties) == 3 * 24
    with pytest.raises(ValueError, match="compares two groups"):
        test.plot()


def test_features_have_few_parameters(fits, va):
    test = eirt.andersen(fits("lltm_cml"), "Gender", va)
    assert test.df == 4
    assert test.chi2 > scipy.stats.chi2.isf(0.001, 4)


def test_items_without_finite_estimates_are_left_out():
    frame = simulated(400, np.array([[0.0], [0.5], [-0.5], [1.0], [0.2]]))
    late = frame["id"] >= 200
    frame.loc[late & (frame["item"] == "i04"), "resp"] = 1
    fit = eirt.rasch(frame, likelihood=CML)
    test = eirt.andersen(fit, np.arange(400) >= 200)
    assert test.left_out == ("i04",)
    assert "Left out, without finite estimates: i04" in str(test)
    without = eirt.rasch(frame[frame["item"] != "i04"], likelihood=CML)
    assert test.together.loglik == pytest.approx(without.loglik)
    assert test.df == 3


def test_categories_that_a_group_lacks_leave_an_item_out(va):
    test = eirt.andersen(eirt.pcm(va, likelihood=CML))
    assert test.left_out == ("S3DoShout",)
    assert test.df == 2 * 23 - 1
    assert list(test.items.columns[:2]) == ["item", "threshold"]


def test_graphical_check_draws_what_it_returns(fits, va):
    test = eirt.andersen(fits("rasch_cml"), "Gender", va)
    picture = test.plot()
    assert len(picture.data) == 24
    drawn = picture.figure.axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(drawn, picture.data[["difficulty, F", "difficulty, M"]])
    means = test.difficulties.groupby("group")["difficulty"].mean()
    np.testing.assert_allclose(means, 0.0, atol=1e-9)


def test_what_cannot_be_split_is_refused(fits, va):
    fit = fits("rasch_cml")
    with pytest.raises(ValueError, match="one distribution"):
        eirt.andersen(fits("rasch"))
    with pytest.raises(ValueError, match="No split 'medan'.*'median'"):
        eirt.andersen(fit, "medan")
    with pytest.raises(eirt.DataError, match="varies within id"):
        eirt.andersen(fit, "mode", va)
    with pytest.raises(eirt.DataError, match="one group"):
        eirt.andersen(fit, np.zeros(316))
    with pytest.raises(eirt.DataError, match="shape"):
        eirt.andersen(fit, np.zeros(3))


# ---- designs made from designs ---------------------------------------------------------------


def test_a_design_of_some_is_that_of_their_rows(va):
    frame = va.assign(x=va["Anger"] / 10)
    whole = eirt.eirm(frame, "r2 ~ 0 + item + x + (1 | id)", check=False, **{"item": "item"})
    items = whole.design.items[:10]
    chosen = np.arange(0, 300, 2)
    design = of_items(of_persons(whole.design, chosen), np.isin(whole.design.items, items))
    rows = frame["id"].isin(whole.design.persons[chosen]) & frame["item"].isin(items)
    direct = eirt.eirm(frame[rows], "r2 ~ 0 + item + x + (1 | id)", item="item", check=False)
    assert design.x_names == direct.design.x_names
    assert design.n_obs == direct.n_obs
    again = on_design(whole, design, "again")
    assert again.loglik == pytest.approx(direct.loglik, abs=1e-6)


def test_who_is_chosen_twice_counts_twice(fits):
    design = fits("rasch").design
    twice = of_persons(design, np.array([3, 3, 5]))
    assert twice.persons.tolist() == [0, 1, 2]
    own = design.y[design.obs_person == 3]
    np.testing.assert_array_equal(twice.y[twice.obs_person == 1], own)


def test_other_responses_in_the_same_order(fits):
    design = fits("rasch").design
    other = with_responses(design, 1.0 - design.y)
    np.testing.assert_array_equal(other.y, 1.0 - design.y)
    np.testing.assert_array_equal(other.obs_cell, design.obs_cell)


def test_the_test_keeps_its_level():
    """Where the Rasch model holds p is uniform (40 samples: a coarse check)."""
    easiness = np.linspace(-1, 1, 6)[:, None]
    found = [
        eirt.andersen(eirt.rasch(simulated(300, easiness, seed), likelihood=CML)).p
        for seed in range(40)
    ]
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.01
