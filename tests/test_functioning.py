import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm, spearmanr

import eirt
from eirt.functioning.items import adjusted, ets_class
from eirt.plots.intervals import draw_intervals

dif_module = sys.modules["eirt.functioning"]  # eirt.dif is the function
VA = {"person": "id", "item": "item", "response": "r2"}
WEIGHTS = norm.pdf(np.linspace(-8, 8, 2001)) * 16 / 2000


def simulated(seed, n_persons=600, n_items=8, shift=0.0, n_groups=2):
    """Return responses to a Rasch test, the first item easier by `shift` in the last group."""
    rng = np.random.default_rng(seed)
    group = np.arange(n_persons) % n_groups
    ability = rng.normal(0.5 * group, 1 + 0.2 * group)
    easiness = np.linspace(-1.5, 1.5, n_items)
    eta = ability[:, None] + easiness
    eta[:, 0] += shift * (group == n_groups - 1)
    right = rng.random(eta.shape) < 1 / (1 + np.exp(-eta))
    frame = pd.DataFrame(right.astype(int), columns=[f"i{k}" for k in range(n_items)])
    return frame.assign(group=np.array(["a", "b", "c"])[group])


@pytest.fixture(scope="module")
def uniform(va):
    return eirt.dif(va, "Gender", purify=False, **VA)


@pytest.fixture(scope="module")
def shifted():
    return simulated(1, shift=0.8)


@pytest.fixture(scope="module")
def both(shifted):
    return eirt.dif(shifted, "group", model="2pl", items=["i0"], purify=False, wide=True)


EXERCISES = ["quad", "deriv", "elasticity", "integral", "payflow", "planning"]


@pytest.fixture(scope="module")
def exam():
    return eirt.dif(eirt.load("mathexam"), "group", wide=EXERCISES)


# ---- against models written out --------------------------------------------------------------


def test_a_uniform_test_is_an_interaction(uniform, va):
    formula = "r2 ~ 0 + item + Gender{} + (1 | id)"
    here = (va["item"] == "S2WantShout") & (va["Gender"] == "M")
    data = va.assign(studied=here.astype(float))
    small, large = (
        eirt.eirm(data, formula.format(more), ability_sd="~ Gender") for more in ("", " + studied")
    )
    row = uniform.table.set_index("item").loc["S2WantShout"]
    term = large.fixed.set_index("term").loc["studied"]
    assert row["chi2"] == pytest.approx(2 * (large.loglik - small.loglik), abs=1e-5)
    assert row["p"] == pytest.approx(chi2.sf(row["chi2"], 1))
    np.testing.assert_allclose(
        row[["effect", "se", "lower", "upper"]].astype(float),
        term[["estimate", "se", "lower", "upper"]].astype(float),
        rtol=1e-4,
    )
    assert uniform.baseline.loglik == pytest.approx(small.loglik, abs=1e-5)
    means = small.fixed.set_index("term").loc["Gender[M]"]
    assert uniform.groups["mean"][1] == pytest.approx(means["estimate"], abs=1e-4)
    assert uniform.groups["se"][1] == pytest.approx(means["se"], abs=1e-4)


def test_slopes_that_differ(both, shifted):
    long = shifted.assign(id=range(600)).melt(["id", "group"], None, "item", "resp")
    long["studied"] = ((long["item"] == "i0") & (long["group"] == "b")).astype(float)
    small, large = (
        eirt.explain(
            long,
            easiness=f"~ 0 + item{more}",
            discrimination=f"~ 0 + item{more}",
            discrimination_link="identity",
            group="group",
        )
        for more in ("", " + studied")
    )
    row = both.table.iloc[0]
    assert row["df"] == 2
    assert row["chi2"] == pytest.approx(2 * (large.loglik - small.loglik), abs=1e-4)
    found = dict(zip(large.names, large.full, strict=True))
    assert row["slope"] == pytest.approx(found["discrimination[studied]"], abs=1e-4)
    # the difference in logits, averaged over the focal group by numerical integration
    mean, sd = found["group[b]"], np.exp(found["log_sd[group[b]]"])
    theta = mean + sd * np.linspace(-8, 8, 2001)
    gap = found["studied"] + found["discrimination[studied]"] * theta
    assert row["effect"] == pytest.approx(np.sum(WEIGHTS * gap), abs=1e-4)
    # and by the delta method
    places = [large.names.index(k) for k in ("studied", "discrimination[studied]", "group[b]")]
    gradient = np.array([1.0, mean, found["discrimination[studied]"]])
    covariance = large.vcov.to_numpy()[np.ix_(places, places)]
    assert row["se"] == pytest.approx(np.sqrt(gradient @ covariance @ gradient), rel=1e-3)


@pytest.mark.slow
def test_kinds_add_up(both, shifted):
    """The joint test splits into the test of easiness, and that of slopes given easiness."""
    parts = [
        eirt.dif(shifted, "group", model="2pl", kind=kind, items=["i0"], purify=False, wide=True)
        for kind in ("uniform", "nonuniform")
    ]
    assert [part.table["df"][0] for part in parts] == [1, 1]
    total = sum(part.table["chi2"][0] for part in parts)
    assert total == pytest.approx(both.table["chi2"][0], abs=1e-5)
    assert "slope" not in parts[0].table and "slope" in parts[1].table


def test_several_groups():
    data = simulated(3, n_items=5, shift=1.2, n_groups=3)
    found = eirt.dif(data, "group", wide=True, items=["i0", "i1"], purify=False)
    assert found.table["focal"].tolist() == ["b", "c", "b", "c"]
    assert (found.table["df"] == 2).all()
    assert "i0" in found.flagged
    row = found.table.iloc[1]
    assert abs(row["effect"] - 1.2) < 3 * row["se"]
    assert found.groups["group"].tolist() == ["a", "b", "c"]
    assert found.plot("c").data["estimate"].max() == row["effect"]
    with pytest.raises(ValueError, match="No focal group 'a'; there are b, c"):
        found.plot("a")


# ---- against difR ----------------------------------------------------------------------------


def test_difr(uniform, reference):
    """Other methods condition on the number right or on two fits; they agree, not coincide."""
    difr = reference("verbagg_difr_eirm")["difR"]
    table = uniform.table
    # logistic regression on the number right: the same hypothesis, ability measured with error
    logistic = np.array(difr["logistic_udif"]["Logistik"])
    assert np.corrcoef(table["chi2"], logistic)[0, 1] > 0.99
    np.testing.assert_allclose(table["chi2"], logistic, atol=0.8)
    # the common odds ratio, in favour of the reference group (women)
    mantel = -np.log(difr["MH"]["alphaMH"])
    assert np.corrcoef(table["effect"], mantel)[0, 1] > 0.98
    np.testing.assert_allclose(table["effect"], mantel, atol=0.25)
    np.testing.assert_allclose(table["delta"], 2.35 * mantel, atol=0.6)
    # Lord's chi-square of difficulties from a fit to each group, sd of ability fixed at one
    lord = np.array(difr["Lord_1PL"]["LordChi"])
    assert spearmanr(table["chi2"], lord)[0] > 0.99
    both = np.array(difr["Lord_1PL"]["itemParInit"])[:, 0]
    easier = both[:24] - both[24:]
    assert np.corrcoef(table["effect"], easier)[0, 1] > 0.998


def test_difr_flags_the_same_items(uniform, reference):
    difr = reference("verbagg_difr_eirm")["difR"]
    ours = set(np.flatnonzero(uniform.table["p"] < 0.05) + 1)
    for method in ("MH_exact_nocorrect", "logistic_udif", "Lord_1PL", "Raju_1PL"):
        assert set(difr[method]["DIFitems"]) <= ours


# ---- purification and anchors ----------------------------------------------------------------


def test_purification_ends_where_it_confirms_itself(exam):
    assert exam.settled and exam.rounds == 3  # five of six are flagged at first
    assert exam.flagged == ["quad", "payflow", "planning"]
    assert exam.anchors == ("deriv", "elasticity", "integral")
    assert (exam.table["anchor"] == ~exam.table["flagged"]).all()


def test_the_last_round_frees_what_is_flagged(exam):
    data = eirt.load("mathexam")
    long = data.assign(id=range(len(data))).melt(["id", "group"], EXERCISES, "item", "resp")
    for item in exam.flagged:
        here = (long["item"] == item) & (long["group"] == "2")
        long[f"in_{item}"] = here.astype(float)
    free = " + ".join(f"in_{item}" for item in exam.flagged)
    fit = eirt.explain(long, easiness=f"~ 0 + item + {free}", group="group")
    assert exam.baseline.loglik == pytest.approx(fit.loglik, abs=1e-4)
    expected = fit.fixed.set_index("term").loc[[f"in_{item}" for item in exam.flagged]]
    rows = exam.table.set_index("item").loc[exam.flagged]
    np.testing.assert_allclose(rows["effect"], expected["estimate"], atol=1e-4)
    np.testing.assert_allclose(rows["se"], expected["se"], rtol=1e-3)


def test_named_anchors_stay_and_others_are_free(exam):
    data = eirt.load("mathexam")
    found = eirt.dif(data, "group", anchors=exam.anchors, test="Wald", wide=EXERCISES)
    assert found.anchors == exam.anchors and found.rounds == 1
    assert found.table["item"].tolist() == exam.flagged
    assert found.baseline.loglik == pytest.approx(exam.baseline.loglik, abs=1e-6)
    rows = exam.table.set_index("item").loc[exam.flagged]
    np.testing.assert_allclose(found.table["effect"], rows["effect"], atol=1e-5)
    squared = (found.table["effect"] / found.table["se"]) ** 2
    np.testing.assert_allclose(found.table["chi2"], squared, rtol=1e-8)
    np.testing.assert_allclose(found.table["chi2"], rows["chi2"], rtol=0.3)


@pytest.mark.parametrize(
    ("rounds", "n_rounds"),
    [(["a", "b", "a"], 3), (["abcd"] * 2, 2), ([chr(97 + k) for k in range(20)], 10)],
    ids=["in a circle", "more than half", "no end"],
)
def test_purification_that_does_not_settle_warns(rounds, n_rounds, monkeypatch):
    tables = iter(pd.DataFrame({"item": [*f], "flagged": True, "chi2": 5.0}) for f in rounds)
    monkeypatch.setattr(dif_module, "tested", lambda *_: (next(tables), None))
    n_items = 5 if len(rounds) < 5 else 30
    with pytest.warns(eirt.ConvergenceWarning, match="name anchors="):
        found = dif_module._search(None, [], frozenset(), [], None, True, n_items)
    assert found[:2] == (n_rounds, False)


# ---- simulation ------------------------------------------------------------------------------


def test_dif_is_found_where_it_is(shifted):
    found = eirt.dif(shifted, "group", wide=True)
    assert found.flagged == ["i0"]
    row = found.table.iloc[0]
    assert abs(row["effect"] - 0.8) < 3 * row["se"]
    assert row["ets"] in "BC" and (found.table["ets"][1:] == "A").all()
    mean = found.groups.iloc[1]
    assert abs(mean["mean"] - 0.5) < 3 * mean["se"]
    assert found.groups["sd"].tolist() == pytest.approx([1.0, 1.2], abs=0.2)


@pytest.mark.slow
def test_few_false_alarms():
    """Of 64 true hypotheses 3.2 are rejected at 5%, with sd 1.7 if the tests are independent."""
    tables = [
        eirt.dif(simulated(seed), "group", wide=True, purify=False).table for seed in range(8)
    ]
    p = pd.concat(tables, ignore_index=True)["p"]
    assert (p < 0.05).sum() <= 8
    assert 0.38 < p.mean() < 0.62


# ---- small functions -------------------------------------------------------------------------


def test_adjustments(uniform):
    p = uniform.table["p"].to_numpy()
    order = np.sort(p)
    assert adjusted(p, "holm").min() == pytest.approx(24 * order[0])
    assert adjusted(p, "none") is p
    assert (adjusted(p, "bh") <= adjusted(p, "holm") + 1e-12).all()
    np.testing.assert_allclose(uniform.table["p_adjusted"], adjusted(p, "holm"))


def test_classes_follow_the_sizes(uniform):
    table = uniform.table
    np.testing.assert_allclose(table["delta"], 2.35 * table["effect"])
    found = [
        ets_class(delta, 2.35 * se) for delta, se in zip(table["delta"], table["se"], strict=True)
    ]
    assert table["ets"].tolist() == found
    assert (table.loc[table["delta"].abs() < 1, "ets"] == "A").all()
    assert table.set_index("item").loc["S2WantShout", "ets"] == "C"


def test_it_prints(uniform, capsys):
    uniform.summary()
    printed = capsys.readouterr().out
    assert "Differential item functioning by Gender" in printed and "S2WantShout" in printed
    assert max(map(len, printed.splitlines())) <= 100
    assert repr(uniform) == "<DIF by Gender: 1 of 24 items flagged>"


# ---- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"items": ["S1DoCurs"]}, "items names 'S1DoCurs', which is no item. Did you mean"),
        ({"anchors": []}, "anchors is empty"),
        ({"anchors": ["S1DoCurse"], "items": ["S1DoCurse"]}, "No anchor is left"),
        ({"model": "3pl"}, "No model '3pl'; there are rasch, 2pl"),
        ({"test": "LRT"}, "No test 'LRT'"),
        ({"kind": "nonuniform"}, "slopes do not differ"),
        ({"ability_sd": "~ Gender"}, "The option 'ability_sd' is set by eirt.dif"),
        ({"family": eirt.Cumulative()}, "takes binary responses with the logit link"),
        ({"family": eirt.Bernoulli("probit")}, "takes binary responses with the logit link"),
        ({"response": "r3"}, "There is no column 'r3'"),
    ],
)
def test_errors(va, options, message):
    with pytest.raises(ValueError, match=message):
        eirt.dif(va, "Gender", **(VA | options))


def test_groups_that_cannot_be_compared(va):
    women = va[va["Gender"] == "F"]
    with pytest.raises(eirt.DataError, match="holds F; comparing takes two groups"):
        eirt.dif(women, "Gender", **VA)
    alike = va.assign(r2=va["r2"].mask((va["item"] == "S1DoCurse") & (va["Gender"] == "M"), "Y"))
    with pytest.raises(eirt.DataError, match="'S1DoCurse' has fewer than two .* in group 'M'"):
        eirt.dif(alike, "Gender", **VA)
    with pytest.raises(eirt.DataError, match="'btype' varies within persons"):
        eirt.dif(va, "btype", **VA)


# ---- pictures --------------------------------------------------------------------------------


def many(n):
    rng = np.random.default_rng(n)
    estimate, half = rng.normal(0, 0.5, n), rng.uniform(0.3, 0.8, n)
    half[: n > 1] = 30.0
    return pd.DataFrame(
        {
            "item": [f"a long name of item {k}" for k in range(n)],
            "estimate": estimate,
            "lower": estimate - half,
            "upper": estimate + half,
            "marked": np.abs(estimate) > half,
        }
    )


@pytest.mark.parametrize("n", [1, 5, 41, 200])
def test_every_item_has_a_readable_label(n):
    picture = draw_intervals(many(n), label="effect", marked="flagged")
    picture.figure.draw_without_rendering()
    labels = [text for axes in picture.figure.axes for text in axes.get_yticklabels()]
    assert len(labels) == n and all(text.get_fontsize() >= 6 for text in labels)
    for axes in picture.figure.axes:
        boxes = [text.get_window_extent() for text in axes.get_yticklabels()]
        assert all(a.y0 >= b.y1 for a, b in zip(boxes[:-1], boxes[1:], strict=True))
        assert all(box.x0 >= 0 for box in boxes)
        assert axes.get_xlim()[1] < 10
    assert picture.data["estimate"].is_monotonic_decreasing


def test_a_long_test_shows_the_largest_and_says_so():
    data = many(300)
    picture = draw_intervals(data, label="effect", marked="flagged")
    assert len(picture.data) == 240
    assert "(240 of 300 items)" in picture.figure.get_supxlabel()
    left_out = data[~data["item"].isin(picture.data["item"])]
    assert left_out["estimate"].abs().max() <= picture.data["estimate"].abs().min()


def test_the_picture_of_dif(uniform, tmp_path):
    picture = uniform.plot()
    table = uniform.table.sort_values("effect", ascending=False)
    assert picture.data["item"].tolist() == table["item"].tolist()
    assert picture.data.loc[picture.data["marked"], "item"].tolist() == ["S2WantShout"]
    legend = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert legend == ["negligible (|ETS delta| < 1)", "not flagged", "flagged"]
    picture.save(tmp_path / "dif.png", dpi=50)
    assert (tmp_path / "dif.png").stat().st_size > 1000
