import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

import eirt

TAU, SD, CORRELATION = 0.4, 0.4, 0.5
N_PERSONS, N_ITEMS = 400, 30


def simulated(seed, sd=SD):
    """Return responses of persons half of whom are treated, and the effect on each item."""
    rng = np.random.default_rng(seed)
    shared = CORRELATION * sd
    easiness, effect = rng.multivariate_normal([0, TAU], [[1, shared], [shared, sd**2]], N_ITEMS).T
    ability, treat = rng.normal(0, 1, N_PERSONS), np.arange(N_PERSONS) % 2
    eta = ability[:, None] + easiness + effect * treat[:, None]
    right = rng.random(eta.shape) < 1 / (1 + np.exp(-eta))
    person, item = np.divmod(np.arange(right.size), N_ITEMS)
    frame = pd.DataFrame(
        {"id": person, "item": item, "treat": treat[person], "resp": right.ravel().astype(int)}
    )
    return frame, effect


@pytest.fixture(scope="module")
def truth():
    return simulated(7)[1]


@pytest.fixture(scope="module")
def data():
    return simulated(7)[0]


@pytest.fixture(scope="module")
def found(data):
    return eirt.il_hte(data, "treat")


@pytest.fixture(scope="module")
def written_out(data):
    return [
        eirt.eirm(data, f"resp ~ 1 + treat + (1 | id) + ({effects} | item)", person="id")
        for effects in ("1", "1 + treat")
    ]


def test_it_is_the_formula(found, written_out):
    constant, fit = written_out
    assert found.fit.loglik == fit.loglik and found.constant.loglik == constant.loglik
    term = fit.fixed.set_index("term").loc["treat"]
    for name in ("estimate", "se", "z", "p", "lower", "upper"):
        assert found.average[name] == term[name]
    random = fit.random[fit.random["group"] == "item"].set_index("term")
    assert found.spread["sd"] == random.loc["treat", "sd"]
    assert found.spread["se"] == random.loc["treat", "se"]
    pair = random.loc["(Intercept) ~ treat"]
    assert found.correlation.tolist() == [pair["correlation"], pair["se"]]
    test = eirt.compare(constant, fit).iloc[1]
    assert found.spread[["chi2", "df", "p"]].tolist() == test[["chi2", "df", "p"]].tolist()


def test_recovery(found):
    assert found.fit.converged
    assert abs(found.average["estimate"] - TAU) < 3 * found.average["se"]
    assert abs(found.spread["sd"] - SD) < 3 * found.spread["se"]
    assert abs(found.correlation["estimate"] - CORRELATION) < 3 * found.correlation["se"]
    assert found.spread["p"] < 0.001


def test_the_error_of_the_average_generalises(found):
    """It exceeds that of the model with one effect, by about sd^2 over the number of items."""
    se = found.constant.fixed.set_index("term").loc["treat", "se"]
    assert found.average["se"] > 1.05 * se
    together = np.hypot(se, found.spread["sd"] / np.sqrt(N_ITEMS))
    assert found.average["se"] == pytest.approx(together, rel=0.03)


def test_effects_of_items(found, written_out, truth):
    items = found.items
    deviations = written_out[1].effects("item")
    own = deviations[deviations["term"] == "treat"]
    average = found.average["estimate"]
    np.testing.assert_allclose(items["effect"], average + own["estimate"], atol=1e-8)
    # what is not known of the average and the variances widens the posterior
    assert (items["sd"].to_numpy() > own["sd"].to_numpy()).all()
    np.testing.assert_allclose(items["upper"] - items["lower"], 2 * norm.ppf(0.975) * items["sd"])
    inside = (items["lower"] < truth) & (truth < items["upper"])
    assert inside.sum() >= 26
    assert np.corrcoef(items["effect"], truth)[0, 1] > 0.6
    # shrunken: they spread less than the effects estimated one by one
    assert items["effect"].std() < found.spread["sd"]


def test_the_interval_of_a_new_item(found, truth):
    lower, upper = found.new_item
    half = t.ppf(0.975, N_ITEMS - 2) * np.hypot(found.average["se"], found.spread["sd"])
    assert (upper - lower) / 2 == pytest.approx(half)
    assert (upper + lower) / 2 == pytest.approx(found.average["estimate"])
    assert ((lower < truth) & (truth < upper)).mean() > 0.85


def test_an_effect_that_is_the_same_for_all():
    frame, _ = simulated(11, sd=0.0)
    found = eirt.il_hte(frame, "treat", check=False)
    assert found.spread["p"] > 0.05 and found.spread["sd"] < 0.15
    assert found.correlation["estimate"] ** 2 < 0.9 or np.isnan(found.correlation["se"])
    assert found.items["sd"].between(0.05, 0.3).all()


# ---- how treatment is coded --------------------------------------------------------------------


@pytest.mark.parametrize("recode", [lambda x: x == 1, lambda x: x.map({0: "a", 1: "drug"})])
def test_treatment_may_be_bool_or_words(recode, data, found):
    from eirt.treatment import _coded

    codes, treated = _coded(recode(data["treat"]), None)
    assert (codes == data["treat"]).all() and treated in (True, "drug")


def test_the_treated_level_is_chosen(data):
    from eirt.treatment import _coded

    words = data["treat"].map({0: "a", 1: "drug"})
    codes, treated = _coded(words, "a")
    assert (codes == 1 - data["treat"]).all() and treated == "a"
    codes, _ = _coded(words.mask(data.index == 0), None)
    assert np.isnan(codes[0]) and codes.notna().sum() == len(data) - 1


def test_errors(data):
    with pytest.raises(eirt.DataError, match="no column 'treatment' for treatment; .* 'treat'"):
        eirt.il_hte(data, "treatment")
    with pytest.raises(eirt.DataError, match="'treat' must have two levels but has 1"):
        eirt.il_hte(data[data["treat"] == 1], "treat")
    words = data.assign(treat=data["treat"].map({0: "placebo", 1: "drug"}))
    with pytest.raises(eirt.DataError, match="treated='plcebo' is no value .*'placebo'"):
        eirt.il_hte(words, "treat", treated="plcebo")
    with pytest.raises(eirt.FormulaError, match="no left-hand side"):
        eirt.il_hte(data, "treat", covariates="resp ~ age")


# ---- the docstring's example, covariates, printing, picture ------------------------------------


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(1)
    person, item = np.divmod(np.arange(1600), 8)
    treat = person % 2
    eta = rng.normal(size=200)[person] + treat * np.linspace(-0.5, 1.5, 8)[item]
    resp = (rng.random(1600) < 1 / (1 + np.exp(-eta))).astype(int)
    return pd.DataFrame({"id": person, "item": item, "treat": treat, "resp": resp})


def test_the_example(small):
    found = eirt.il_hte(small, "treat", likelihood=eirt.Laplace())
    assert repr(found) in eirt.il_hte.__doc__


def test_a_covariate_that_explains_ability(small):
    """With a name that needs quotes, and more precise than without."""
    ability = np.random.default_rng(1).normal(size=200)
    pretest = ability + np.random.default_rng(2).normal(size=200)
    odd = small.assign(pretest=pretest[small["id"]]).rename(columns={"treat": "new method"})
    options = {"likelihood": eirt.Laplace(), "check": False}
    found = eirt.il_hte(odd, "new method", covariates="~ pretest", **options)
    assert found.fit.fixed["term"].tolist() == ["(Intercept)", "new method", "pretest"]
    assert found.average["se"] < 0.216


def test_it_prints(found, capsys):
    found.summary()
    printed = capsys.readouterr().out
    assert printed.startswith("Effects of treat = 1 on 30 items")
    assert "Effect on a new item, 95%: " in printed


def test_the_picture(found, tmp_path):
    picture = found.plot()
    ordered = found.items.sort_values("effect", ascending=False)
    np.testing.assert_array_equal(picture.data["item"], ordered["item"])
    np.testing.assert_array_equal(picture.data["lower"], ordered["lower"])
    legend = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert legend == ["95% of new items", "average, 95%", "average"]
    picture.save(tmp_path / "effects.svg")
    assert "Effect of treat = 1" in (tmp_path / "effects.svg").read_text()
