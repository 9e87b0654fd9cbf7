"""The picture of residuals: of items, random effects and responses."""

import numpy as np
import pandas as pd
import pytest
from scipy import special

import eirt


def simulated(chance: float) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    eta = rng.normal(0, 1.8, 3000)[:, None] + np.linspace(-3, 2, 10)
    p = chance + (1 - chance) * special.expit(eta)
    right = (rng.random(p.shape) < p).astype(int)
    return pd.DataFrame(right, columns=[f"q{k}" for k in range(10)])


def panel(picture, name: str) -> pd.DataFrame:
    return picture.data[picture.data["panel"] == name].reset_index(drop=True)


def test_items_are_those_of_the_features(lltm, tmp_path):
    picture = lltm.plot("residuals")
    picture.save(tmp_path / "picture.png", dpi=40)
    items, features = panel(picture, "items"), lltm.plot("features").data
    np.testing.assert_allclose(items["residual"], features["residual"])
    np.testing.assert_allclose(items["expected"], features["predicted"])
    np.testing.assert_allclose(items["upper"] + items["expected"], features["upper"])
    assert len(picture.figure.axes) == 3


def test_free_items_stand_in_for_residuals(fits, rasch):
    here, given = fits("lltm").plot("residuals"), fits("lltm").plot("residuals", free=rasch)
    np.testing.assert_allclose(
        panel(here, "items")["residual"], panel(given, "items")["residual"], atol=1e-4
    )
    with pytest.raises(eirt.DataError, match="free= has no item"):
        fits("lltm").plot("residuals", free=eirt.rasch(eirt.load("lsat7"), wide=True))


def test_effects_are_standardised(lltm):
    effects = panel(lltm.plot("residuals"), "effects")
    assert effects.groupby("group").size().to_dict() == {"id": 316, "item": 24}
    persons = effects[effects["group"] == "id"]
    assert persons["residual"].std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(persons["expected"], persons["residual"])[0, 1] > 0.98
    table = lltm.effects("id").set_index("level")
    one = persons.iloc[0]
    moved = lltm.random.loc[0, "variance"] - table.loc[one["level"], "sd"] ** 2
    z = table.loc[one["level"], "estimate"] / np.sqrt(moved)
    assert one["residual"] == pytest.approx(z)


def test_responses_of_a_true_model_are_on_the_line():
    data = panel(eirt.rasch(simulated(0.0), wide=True).plot("residuals"), "responses")
    assert data["n"].sum() == 30000
    assert (data["residual"].abs() > data["upper"]).mean() < 0.17


def test_guessing_bends_the_line():
    fit = eirt.rasch(simulated(0.3), wide=True)
    data = panel(fit.plot("residuals"), "responses")
    assert (data["residual"].abs() > data["upper"]).mean() > 0.2
    assert data["residual"].iloc[:3].mean() > 0.02


def test_panels_without_anything_are_left_out(rasch, fits):
    assert set(rasch.plot("residuals").data["panel"]) == {"effects", "responses"}
    several = fits("nested_2d").plot("residuals").data
    assert set(several["group"].dropna()) == {"id, mode[want]", "id, mode[do]", "item"}
    data = pd.DataFrame({"g": np.repeat(np.arange(30), 4), "y": np.arange(120) % 4})
    counts = eirt.eirm(data, "y ~ 1 + (1 | g)", family=eirt.Poisson())
    with pytest.raises(eirt.DataError, match="no residuals to draw"):
        counts.plot("residuals")
