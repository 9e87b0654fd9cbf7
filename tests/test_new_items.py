"""Predictions for new items, and the variance that features explain."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

import eirt
from eirt.forecasts import forecast
from eirt.refits import with_free_items, without_features

FEATURES = ["btype", "situ", "mode"]
COLUMNS = {"person": "id", "item": "item", "response": "r2"}


@pytest.fixture(scope="module")
def items(va):
    return va.drop_duplicates("item")


@pytest.fixture(scope="module")
def both(va):
    """Return a fit whose easiness and log discrimination have correlated residuals."""
    return eirt.explain(
        va,
        easiness="~ btype + situ + mode + (1 | item)",
        discrimination="~ mode + (1 | item)",
        check=False,
        **COLUMNS,
    )


def bank(rng, n_templates=15, clones=4, n=250, template_sd=0.6, item_sd=0.3):
    """Return responses to clones of templates, with their templates' and items' own easiness."""
    template = np.repeat(np.arange(n_templates), clones)
    x = rng.normal(size=n_templates)[template]
    effect = template_sd * rng.normal(size=n_templates)
    easiness = 0.5 * x + effect[template] + item_sd * rng.normal(size=len(template))
    y = rng.random((n, len(x))) < 1 / (1 + np.exp(-rng.normal(size=(n, 1)) - easiness))
    frame = pd.DataFrame(
        {
            "id": np.repeat(np.arange(n), len(x)),
            "item": np.tile(np.arange(len(x)), n),
            "template": np.tile(template, n),
            "x": np.tile(x, n),
            "resp": y.ravel().astype(int),
        }
    )
    return frame, effect


@pytest.fixture(scope="module")
def cloned():
    frame, _ = bank(np.random.default_rng(4))
    fit = eirt.lltm(frame, "~ x + (1 | template) + (1 | item)", check=False)
    return frame.drop_duplicates("item"), fit


def test_prediction_is_x_beta_and_its_error_comes_from_the_covariance(lltm, items):
    found = lltm.predict_items(items, interval="normal")
    x = np.column_stack(
        [
            np.ones(24),
            items["btype"] == "scold",
            items["btype"] == "shout",
            items["situ"] == "self",
            items["mode"] == "do",
        ]
    ).astype(float)
    beta, vcov = lltm.fixed["estimate"].to_numpy(), lltm.vcov.to_numpy()[:5, :5]
    estimation = np.einsum("ij,jk,ik->i", x, vcov, x)
    tau2 = lltm.random.set_index("group").loc["item", "variance"]
    np.testing.assert_allclose(found["easiness"], x @ beta, atol=1e-12)
    np.testing.assert_allclose(found["difficulty"], -x @ beta, atol=1e-12)
    np.testing.assert_allclose(found["difficulty_se"], np.sqrt(estimation), rtol=1e-10)
    np.testing.assert_allclose(found["difficulty_sd"], np.sqrt(estimation + tau2), rtol=1e-10)
    half = norm.ppf(0.975) * np.sqrt(estimation + tau2)
    np.testing.assert_allclose(found["easiness_upper"], x @ beta + half, rtol=1e-10)
    np.testing.assert_allclose(found["difficulty_lower"], -x @ beta - half, atol=1e-9)
    np.testing.assert_allclose(found["difficulty_upper"], -x @ beta + half, atol=1e-9)
    assert list(found["item"]) == list(items["item"])
    assert "discrimination" not in found


def test_t_intervals_allow_for_the_number_of_items(lltm, items):
    normal = lltm.predict_items(items, level=0.9, interval="normal")
    wider = lltm.predict_items(items, level=0.9)
    ratio = t(24 - 5).ppf(0.95) / norm.ppf(0.95) * np.sqrt(24 / (24 - 5))
    widths = [f["easiness_upper"] - f["easiness_lower"] for f in (normal, wider)]
    np.testing.assert_allclose(widths[1] / widths[0], ratio, rtol=1e-12)
    np.testing.assert_allclose(wider["difficulty_upper"], -wider["easiness_lower"], atol=1e-8)


def test_covariates_of_persons_are_zero_and_not_asked_for(fits, items):
    fit = fits("nested_person")
    found = fit.predict_items(items[FEATURES])
    terms = fit.fixed.set_index("term")["estimate"]
    expected = terms["(Intercept)"] + terms["situ[self]"] * (items["situ"] == "self")
    expected += terms["mode[do]"] * (items["mode"] == "do")
    expected += terms["btype[scold]"] * (items["btype"] == "scold")
    expected += terms["btype[shout]"] * (items["btype"] == "shout")
    np.testing.assert_allclose(found["easiness"], expected, atol=1e-12)
    assert list(found["item"]) == list(range(1, 25))


def test_limits_of_difficulty_agree_with_simulation(both, items):
    """Quantiles of -e / a over normal errors and residuals of easiness and log discrimination."""
    found = both.predict_items(items, interval="normal")
    parts = forecast(both, items)
    rng = np.random.default_rng(0)
    for place in (0, 5, 20):
        draws = rng.multivariate_normal(parts.mean[place], parts.total[place], 400_000)
        difficulty = -draws[:, 0] * np.exp(-draws[:, 1])
        row = found.iloc[place]
        for limit, probability in (("lower", 0.025), ("upper", 0.975)):
            at = row[f"difficulty_{limit}"]
            assert np.mean(difficulty < at) == pytest.approx(probability, abs=1e-3)
        assert row["discrimination_lower"] == pytest.approx(
            np.quantile(np.exp(draws[:, 1]), 0.025), rel=5e-3
        )
        assert row["difficulty_sd"] == pytest.approx(difficulty.std(), rel=0.1)


def test_errors_of_the_mean_by_differences(both, items):
    """The delta method's standard errors equal those by differences in the parameters."""
    found = both.predict_items(items.iloc[:3])
    names = list(both.names)
    beta = [names.index(n) for n in ("(Intercept)", "btype[scold]", "btype[shout]")]
    steep = names.index("log_discrimination")

    def difficulty(full):
        easiness = full[beta[0]] + np.array([0.0, full[beta[1]], full[beta[2]]])
        return -easiness / np.exp(full[steep])

    full, step = both.full, 1e-6
    jacobian = np.stack(
        [
            (difficulty(full + step * e) - difficulty(full - step * e)) / (2 * step)
            for e in np.eye(len(full))
        ],
        axis=1,
    )
    se = np.sqrt(np.diagonal(jacobian @ both.vcov.to_numpy() @ jacobian.T))
    np.testing.assert_allclose(found["difficulty"], difficulty(full), rtol=1e-10)
    np.testing.assert_allclose(found["difficulty_se"], se, rtol=1e-6)


def test_known_groups_of_items_count_by_their_effect(cloned):
    items, fit = cloned
    known = fit.predict_items(items[["x", "template"]])
    unknown = fit.predict_items(items[["x"]])
    unnamed = fit.predict_items(items[["x", "template"]].assign(template=np.nan))
    modes = fit.effects("template").set_index("level")["estimate"]
    shift = known["easiness"].to_numpy() - unknown["easiness"].to_numpy()
    np.testing.assert_allclose(shift, modes.loc[items["template"]], atol=1e-10)
    variances = fit.random.set_index("group")["variance"]
    residual = unknown["easiness_sd"] ** 2 - unknown["easiness_se"] ** 2
    np.testing.assert_allclose(residual, variances["template"] + variances["item"], rtol=1e-9)
    residual = known["easiness_sd"] ** 2 - known["easiness_se"] ** 2
    np.testing.assert_allclose(residual, variances["item"], rtol=1e-9)
    pd.testing.assert_frame_equal(unnamed, unknown)
    assert (known["easiness_sd"] < unknown["easiness_sd"]).all()
    # x describes templates: 15 of them, less two coefficients, tell how new ones vary
    for table, levels in ((known, 60), (unknown, 15)):
        reach = (table["easiness_upper"] - table["easiness"]) / table["easiness_sd"]
        expected = t(levels - 2).ppf(0.975) * np.sqrt(levels / (levels - 2))
        np.testing.assert_allclose(reach, expected, rtol=1e-9)


def test_a_known_group_is_as_certain_as_its_items_say(cloned):
    """Mean and error of a known template equal those of least squares on calibrated items."""
    items, fit = cloned
    known = fit.predict_items(items[["x", "template"]].drop_duplicates())
    free = with_free_items(fit).items.set_index(items.index)
    variances = fit.random.set_index("group")["variance"]
    noise = np.mean(free["se"] ** 2)
    x = np.column_stack([np.ones(len(items)), items["x"]])
    group = pd.get_dummies(items["template"]).to_numpy(float)
    covariance = variances["template"] * group @ group.T
    covariance += np.diag(np.full(len(x), variances["item"] + noise))
    weights = np.linalg.inv(covariance)
    beta = np.linalg.solve(x.T @ weights @ x, x.T @ weights @ free["easiness"])
    blup = x @ beta + variances["template"] * group @ group.T @ weights @ (
        free["easiness"] - x @ beta
    )
    first = np.unique(items["template"], return_index=True)[1]
    np.testing.assert_allclose(known["easiness"], blup[first], atol=0.05)
    assert known["easiness_se"].between(0.1, 0.3).all()


def test_free_items_equal_the_rasch_model(lltm, both, fits):
    calibrated = with_free_items(lltm)
    assert calibrated.loglik == pytest.approx(fits("rasch").loglik, abs=1e-7)
    np.testing.assert_allclose(
        calibrated.difficulty()["difficulty"], fits("rasch").difficulty()["difficulty"], atol=1e-6
    )
    assert with_free_items(both).loglik == pytest.approx(fits("2pl").loglik, abs=1e-6)


def test_without_features_is_the_null_model(lltm, va, fits):
    null = without_features(lltm)
    typed = eirt.lltm(va, "~ 1 + (1 | item)", check=False, **COLUMNS)
    assert null.loglik == pytest.approx(typed.loglik, abs=1e-8)
    kept = without_features(fits("nested_person"))
    assert list(kept.fixed["term"]) == ["(Intercept)", "Anger", "Gender[M]"]


def test_explained_variance_is_adjusted_r2_of_calibrated_items(lltm, rasch, items):
    """With 316 persons items are known well enough for regression to say nearly the same."""
    row = eirt.explained_variance(lltm).iloc[0]
    x = pd.get_dummies(items[FEATURES], drop_first=True).to_numpy(float)
    x = np.column_stack([np.ones(24), x])
    easiness = rasch.items["easiness"].to_numpy()
    rss = np.linalg.lstsq(x, easiness, rcond=None)[1][0]
    noise = np.mean(rasch.items["se"] ** 2)
    variance = np.var(easiness, ddof=1) - noise
    adjusted = 1 - (rss / (24 - 5) - noise) / variance
    assert row["r2"] == pytest.approx(adjusted, abs=0.02)
    assert row["lower"] < row["r2"] < row["upper"] < 1
    tau2 = lltm.random.set_index("group").loc["item", "variance"]
    assert row["reduction"] == pytest.approx(1 - tau2 / row["null"])
    assert row["residual"] > tau2
    wide, narrow = (eirt.explained_variance(lltm, level=p).iloc[0] for p in (0.99, 0.5))
    assert wide["lower"] < row["lower"] < narrow["lower"]


def test_explained_variance_does_not_depend_on_coding(va, lltm):
    other = eirt.lltm(
        va.assign(x=va["mode"].eq("do") * 10.0), "~ 0 + btype + situ + x + (1 | item)",
        check=False, **COLUMNS,
    )  # fmt: skip
    a, b = (eirt.explained_variance(fit).iloc[0, 1:].astype(float) for fit in (lltm, other))
    np.testing.assert_allclose(a, b, rtol=1e-5)


def test_explained_variance_of_discrimination(both):
    table = eirt.explained_variance(both, null=both).set_index("parameter")
    assert list(table.index) == ["easiness", "log_discrimination"]
    assert table.loc["log_discrimination", "features"] == 1
    assert table["r2"].between(0, 1).all()
    np.testing.assert_allclose(table["reduction"], 0.0)


def simulate(rng, n_items, n_persons, r2, p=4, more=20):
    """Return responses, features of new items and their easiness; var(x'beta) + tau^2 = 1."""
    x = rng.normal(size=(n_items + more, p))
    beta = np.array([1.0, 0.5, 0.5, 0.25])[:p]
    beta *= np.sqrt(r2) / np.std(x[:n_items] @ beta, ddof=1)
    easiness = x @ beta + np.sqrt(1 - r2) * rng.normal(size=len(x))
    ability = rng.normal(size=(n_persons, 1))
    y = rng.random((n_persons, n_items)) < 1 / (1 + np.exp(-ability - easiness[:n_items]))
    names = [f"x{j}" for j in range(p)]
    frame = pd.DataFrame(
        {
            "id": np.repeat(np.arange(n_persons), n_items),
            "item": np.tile(np.arange(n_items), n_persons),
            "resp": y.ravel().astype(int),
            **dict(zip(names, np.tile(x[:n_items].T, n_persons), strict=True)),
        }
    )
    return frame, pd.DataFrame(x[n_items:], columns=names), easiness[n_items:]


def coverage(seed, sets, n_items, n_persons, r2):
    """Return the shares of intervals that cover: of R2, and of new items by t and normal."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(sets):
        frame, new, easiness = simulate(rng, n_items, n_persons, r2)
        fit = eirt.lltm(frame, "~ x0 + x1 + x2 + x3 + (1 | item)", check=False)
        row = eirt.explained_variance(fit, null=fit).iloc[0]
        table = fit.predict_items(new)
        off = np.abs(easiness - table["easiness"])
        by_t = off < table["easiness_upper"] - table["easiness"]
        by_normal = off < norm.ppf(0.975) * table["easiness_sd"]
        inside = row["lower"] <= r2 <= row["upper"]
        found.append((inside, by_t.mean(), by_normal.mean(), row["r2"]))
    return np.mean(found, axis=0)


def test_intervals_cover_in_a_small_simulation():
    r2_inside, by_t, by_normal, r2 = coverage(3, 8, 24, 150, 0.6)
    assert r2_inside >= 7 / 8
    assert 0.88 <= by_t <= 1
    assert by_normal < by_t
    assert r2 == pytest.approx(0.6, abs=0.12)


@pytest.mark.slow
@pytest.mark.parametrize("r2", [0.0, 0.6])
def test_intervals_cover(r2):
    """Over 60 data sets of 24 items: within two or three Monte-Carlo errors of 95%."""
    r2_inside, by_t, by_normal, mean = coverage(17, 60, 24, 200, r2)
    assert r2_inside >= 0.88
    assert 0.925 <= by_t <= 0.975
    assert by_normal < 0.93
    assert mean == pytest.approx(r2, abs=0.08)


def test_refusals(fits, lltm, items):
    with pytest.raises(eirt.DataError, match="gives every item its own easiness"):
        fits("rasch").predict_items(items)
    with pytest.raises(eirt.DataError, match="gives every item its own discrimination"):
        fits("lltm_2pl").predict_items(items)
    with pytest.raises(eirt.FormulaError, match="Did you mean 'mod'"):
        lltm.predict_items(items.rename(columns={"mode": "mod"}))
    with pytest.raises(eirt.FormulaError, match="'think'} are levels that the fit has not seen"):
        lltm.predict_items(items.assign(mode="think"))
    with pytest.raises(ValueError, match="Did you mean 'normal'"):
        lltm.predict_items(items, interval="norm")
    with pytest.raises(ValueError, match="level=95 is no probability"):
        lltm.predict_items(items, level=95)
    with pytest.raises(eirt.DataError, match="no random residual of items on easiness"):
        eirt.explained_variance(fits("lltm"))
    with pytest.raises(eirt.DataError, match="explains nothing of items"):
        eirt.explained_variance(without_features(lltm))


def test_items_integrated_first_are_refused(va, items):
    fit = eirt.eirm(va, "r2 ~ mode + (1 | item)", check=False)
    with pytest.raises(eirt.DataError, match="integrates the items"):
        fit.predict_items(items)


def test_too_few_items_are_refused(va):
    few = va[va["item"].isin(list(va["item"].cat.categories[[0, 1, 2, 3]]))]
    few = few.assign(a=few["item"].cat.codes % 2, b=few["item"].cat.codes // 2)
    fit = eirt.lltm(few, "~ a * b", check=False, **COLUMNS)
    with pytest.raises(eirt.DataError, match=r"4 items \(or groups of them\) and 4 coefficients"):
        fit.predict_items(few)
    assert len(fit.predict_items(few.drop_duplicates("item"), interval="normal")) == 4


def test_ordered_responses(va, items):
    some = va[va["id"].cat.codes < 60]
    formula = "resp ~ mode + (1 | id) + (1 | item)"
    ordered = eirt.eirm(some, formula, family=eirt.Cumulative(), check=False)
    found = ordered.predict_items(items)
    free = with_free_items(ordered).difficulty()["difficulty"]
    shrunken = ordered.difficulty()["difficulty"]
    assert abs(free.mean() - shrunken.mean()) < 0.05 and np.corrcoef(free, shrunken)[0, 1] > 0.99
    term = ordered.fixed.set_index("term")["estimate"]["mode[do]"]
    np.testing.assert_allclose(found["easiness"], term * (items["mode"] == "do"), atol=1e-12)
    assert (found["difficulty"] == -found["easiness"]).all()


def test_several_dimensions_have_no_difficulty(fits, items):
    found = fits("laplace_slope").predict_items(items)
    assert "easiness_upper" in found and "difficulty" not in found
