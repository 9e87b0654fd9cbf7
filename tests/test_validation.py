"""Cross-validation: what is held out, what is foreseen of it, and the scores."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import expit, log_expit
from scipy.stats import norm

import eirt
from eirt.densities import of_new_items, of_new_persons

COLUMNS = {"person": "id", "item": "item", "response": "r2"}
FORMULA = "~ btype + situ + mode + (1 | item)"


@pytest.fixture(scope="module")
def found(va):
    return eirt.cross_validate(eirt.lltm, va, FORMULA, folds=4, check=False, **COLUMNS)


@pytest.fixture(scope="module")
def small():
    """Return few responses to items with a strong feature, one that means nothing, and groups."""
    rng = np.random.default_rng(6)
    n, k = 80, 24
    x, empty = rng.normal(size=(2, k))
    easiness = x + 0.3 * rng.normal(size=k)
    y = rng.random((n, k)) < expit(rng.normal(size=(n, 1)) + easiness)
    return pd.DataFrame(
        {
            "id": np.repeat(np.arange(n), k),
            "item": np.tile([f"i{j}" for j in range(k)], n),
            "resp": y.ravel().astype(int),
            "x": np.tile(x, n),
            "empty": np.tile(empty, n),
            "part": np.tile(np.arange(k) % 3, n),
            "school": np.repeat(np.arange(n) % 4, k),
        }
    )


def test_every_item_is_held_out_once(found, va, fits):
    table = found.held_out
    assert sorted(table["item"]) == sorted(va["item"].unique())
    assert (table["n"] == 316).all()
    assert (table.groupby("fold").size() == 6).all()
    rasch = fits("rasch").difficulty().set_index("item").loc[list(table["item"])]
    np.testing.assert_allclose(table["calibrated"], rasch["difficulty"], atol=1e-6)
    np.testing.assert_allclose(table["calibrated_se"], rasch["se"], atol=1e-6)


def test_summary_follows_from_the_tables(found):
    table, row = found.held_out, found.summary.iloc[0]
    error = table["calibrated"] - table["predicted"]
    others = (table["calibrated"].sum() - table.groupby("fold")["calibrated"].transform("sum")) / 18
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert row["r2"] == pytest.approx(
        1 - (error**2).sum() / ((table["calibrated"] - others) ** 2).sum()
    )
    assert row["correlation"] == pytest.approx(
        np.corrcoef(table["calibrated"], table["predicted"])[0, 1]
    )
    assert row["coverage"] == table["covered"].mean()
    assert row["log_density"] == pytest.approx(table["log_density"].mean())
    assert row["log_density_se"] == pytest.approx(table["log_density"].std() / np.sqrt(24))
    assert row["r2"] > 0.75 and row["coverage"] > 0.85
    folds = found.folds
    assert folds["items"].sum() == 24 and folds["responses"].sum() == 7584
    assert np.average(folds["log_density"], weights=folds["responses"]) == pytest.approx(
        row["log_density"]
    )


def test_predictions_are_those_of_the_fit_to_the_other_items(found, va):
    out = found.held_out[found.held_out["fold"] == 1]
    held = va["item"].isin(list(out["item"]))
    fit = eirt.lltm(va[~held], FORMULA, check=False, **COLUMNS)
    table = fit.predict_items(va[held].drop_duplicates("item")).set_index("item")
    for name, column in (("predicted", ""), ("lower", "_lower"), ("upper", "_upper")):
        there = table.loc[list(out["item"]), f"difficulty{column}"]
        np.testing.assert_allclose(out[name], there, atol=1e-6)
    # the density of a few responses, by numerical integration over eta
    frame = va[held].groupby("item", observed=True).head(3)
    y = (frame["r2"] == "Y").to_numpy(float)
    density = of_new_items(fit, frame, y)
    people = fit.persons().set_index("id").loc[list(frame["id"])]
    rows = table.loc[list(frame["item"])]
    mean = rows["easiness"].to_numpy() + people["ability"].to_numpy()
    sd = np.hypot(rows["easiness_sd"].to_numpy(), people["se"].to_numpy())
    for j in range(len(y)):
        right = quad(lambda eta, j=j: expit(eta) * norm.pdf(eta, mean[j], sd[j]), -20, 20)[0]
        assert density[j] == pytest.approx(np.log(right if y[j] else 1 - right), abs=1e-7)


def test_densities_of_new_items_sum_to_one_with_random_slopes(small):
    seen = small["item"].isin([f"i{j}" for j in range(20)])
    fit = eirt.explain(
        small[seen], easiness="~ x + (1 | item)", discrimination="~ 1 + (1 | item)", check=False
    )
    frame = small[~seen].head(8)
    total = sum(np.exp(of_new_items(fit, frame, np.full(8, y))) for y in (0.0, 1.0))
    np.testing.assert_allclose(total, 1.0, atol=1e-9)
    # by simulation from the joint distribution of item, slope and person
    from eirt.forecasts import forecast

    people = fit.persons().set_index("id").loc[frame["id"]]
    parts, rng = forecast(fit, frame), np.random.default_rng(1)
    draws = np.stack([
        rng.multivariate_normal(m, v, 200_000) for m, v in zip(parts.mean, parts.total, strict=True)
    ])  # fmt: skip
    ability = rng.normal(
        people["ability"].to_numpy()[:, None], people["se"].to_numpy()[:, None], draws.shape[:2]
    )
    right = expit(draws[:, :, 0] + np.exp(draws[:, :, 1]) * ability).mean(axis=1)
    np.testing.assert_allclose(np.exp(of_new_items(fit, frame, np.ones(8))), right, atol=3e-3)


def test_unknown_persons_have_their_prior(small):
    fit = eirt.lltm(small[small["item"] != "i0"], "~ x + (1 | item)", check=False)
    frame = small[small["item"] == "i0"].iloc[:1].assign(id="nobody")
    row = fit.predict_items(frame).iloc[0]
    sd = np.hypot(row["easiness_sd"], fit.random["sd"][0])
    right = quad(lambda eta: expit(eta) * norm.pdf(eta, row["easiness"], sd), -20, 20)[0]
    assert of_new_items(fit, frame, np.ones(1))[0] == pytest.approx(np.log(right), abs=1e-7)


def test_density_of_a_new_person_is_the_integral_over_ability(small):
    fit = eirt.rasch(small[small["id"] >= 3], check=False)
    new = small[small["id"] < 3]
    person, density = of_new_persons(fit, new, new["resp"].to_numpy(float))
    easiness = fit.items.set_index("item")["easiness"].loc[new["item"].iloc[:24]].to_numpy()
    sd = fit.random["sd"][0]
    assert list(np.unique(person)) == [0, 1, 2]
    for p in range(3):
        sign = 2 * new["resp"].to_numpy()[person == p] - 1

        def joint(theta, sign=sign):
            return np.exp(log_expit(sign * (theta + easiness)).sum()) * norm.pdf(theta, 0, sd)

        assert density[p] == pytest.approx(np.log(quad(joint, -8, 8, epsabs=0)[0]), abs=1e-6)


def test_features_that_matter_and_features_that_do_not(small):
    good, bad = (
        eirt.cross_validate(eirt.lltm, small, f"~ {x} + (1 | item)", folds=3, check=False)
        for x in ("x", "empty")
    )
    assert good.summary["r2"][0] > 0.7 > 0.1 > bad.summary["r2"][0]
    assert good.summary["log_density"][0] > bad.summary["log_density"][0] + 0.03


def test_persons_and_groups(small):
    by_school = eirt.cross_validate(eirt.rasch, small, by="person", groups="school", check=False)
    assert list(by_school.folds["fold"]) == ["0", "1", "2", "3"]
    assert (by_school.folds["persons"] == 20).all()
    assert set(by_school.held_out.columns) == {"id", "fold", "n", "log_density"}
    assert -0.7 < by_school.summary["log_density"][0] < -0.4
    by_part = eirt.cross_validate(
        eirt.eirm, small, "resp ~ x + (1 | id) + (1 | item)", groups="part", check=False
    )
    parts = small.drop_duplicates("item").set_index("item")["part"].astype(str)
    table = by_part.held_out
    assert (table["fold"].to_numpy() == parts.loc[table["item"]].to_numpy()).all()
    with pytest.raises(ValueError, match="held-out items only"):
        by_school.plot()


def test_the_split_depends_on_the_seed_alone(small):
    splits = [
        eirt.cross_validate(
            eirt.rasch, small.sample(frac=1, random_state=order), by="person", folds=2,
            seed=seed, check=False,
        )
        for order, seed in ((None, 0), (None, 0), (None, 1))
    ]  # fmt: skip
    folds = [split.held_out.set_index("id")["fold"].sort_index() for split in splits]
    assert (folds[0] == folds[1]).all() and not (folds[0] == folds[2]).all()


def test_picture(found, tmp_path):
    picture = found.plot()
    assert list(picture.data["item"]) == list(found.held_out["item"])
    assert "logits" in picture.figure.axes[0].get_xlabel()
    picture.save(tmp_path / "held_out.png")
    assert (tmp_path / "held_out.png").stat().st_size > 5000


def test_refusals(small, va):
    def run(*args, door=eirt.lltm, data=small, **options):
        return eirt.cross_validate(door, data, *args, check=False, **options)

    with pytest.raises(TypeError, match="the function that fits"):
        run("~ x", door=eirt.lltm(small, "~ x", check=False))
    with pytest.raises(ValueError, match="Did you mean 'person'"):
        run("~ x", by="persons")
    with pytest.raises(ValueError, match="folds=25 must be between 2 and 24"):
        run("~ x + (1 | item)", folds=25)
    with pytest.raises(eirt.DataError, match="gives every item its own easiness"):
        run(door=eirt.rasch)
    with pytest.raises(eirt.DataError, match="wide"):
        run(door=eirt.rasch, data=eirt.load("lsat6"), by="person", wide=True)
    with pytest.raises(eirt.DataError, match="i3: everybody answered alike"):
        run("~ x + (1 | item)", data=small.assign(resp=small["resp"] | (small["item"] == "i3")))
    with pytest.raises(eirt.DataError, match="'school' varies within item"):
        run("~ x", groups="school")
    with pytest.raises(eirt.DataError, match="Did you mean 'part'"):
        run("~ x", groups="parts")
    with pytest.raises(eirt.FormulaError, match="Fold doing: .*'do'} are levels"):
        run("~ mode", data=va.assign(group=va["mode"].map({"do": "doing", "want": "wanting"})),
            groups="group", **COLUMNS)  # fmt: skip
