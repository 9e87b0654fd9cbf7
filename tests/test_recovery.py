"""Recovery in simulation: what was put in comes out."""

import numpy as np
import pandas as pd
import pytest

import eirt


def bernoulli(rng, eta):
    return (rng.uniform(size=eta.shape) < 1 / (1 + np.exp(-eta))).astype(int)


def test_two_pl_recovers_items_and_persons():
    rng = np.random.default_rng(11)
    theta = rng.normal(size=2000)
    slope, difficulty = rng.lognormal(0, 0.3, 30), rng.normal(size=30)
    y = bernoulli(rng, slope * (theta[:, None] - difficulty))
    fit = eirt.two_pl(y, wide=True)
    table = fit.difficulty()
    assert fit.converged
    assert np.corrcoef(table["difficulty"], difficulty)[0, 1] > 0.99
    assert np.corrcoef(table["discrimination"], slope)[0, 1] > 0.95
    z = (table["difficulty"] - difficulty) / table["se"]
    assert 0.6 < z.std() < 1.4
    assert np.corrcoef(fit.persons()["ability"], theta)[0, 1] > 0.9


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_lltm_intervals_cover(link):
    """Bias within 3 Monte-Carlo errors and 95% intervals that cover, over 60 data sets."""
    rng = np.random.default_rng(5)
    n, k, beta = 150, 12, np.array([0.3, 0.8, -0.5])
    features = np.stack([np.ones(k), np.arange(k) % 2, np.linspace(-1, 1, k)], axis=1)
    inside, estimates = [], []
    for _ in range(60):
        eta = 1.1 * rng.normal(size=(n, 1)) + features @ beta
        noise = rng.normal(size=eta.shape) if link == "probit" else rng.logistic(size=eta.shape)
        frame = pd.DataFrame(
            {
                "id": np.repeat(np.arange(n), k),
                "item": np.tile([f"i{j}" for j in range(k)], n),
                "resp": (eta + noise > 0).astype(int).ravel(),
                "a": np.tile(features[:, 1], n),
                "b": np.tile(features[:, 2], n),
            }
        )
        fit = eirt.lltm(frame, "~ a + b", family=eirt.Bernoulli(link))
        inside.append((fit.fixed["lower"] < beta) & (beta < fit.fixed["upper"]))
        estimates.append(fit.fixed["estimate"])
    estimates = np.array(estimates)
    error = estimates.std(axis=0) / np.sqrt(len(estimates))
    assert np.all(np.abs(estimates.mean(axis=0) - beta) < 3 * error)
    assert 0.90 <= np.mean(inside) <= 0.99


def test_crossed_model_recovers_both_variances():
    rng = np.random.default_rng(8)
    n, k = 400, 60
    feature = rng.normal(size=k)
    easiness = 0.2 + 0.7 * feature + 0.6 * rng.normal(size=k)
    y = bernoulli(rng, 1.2 * rng.normal(size=(n, 1)) + easiness)
    frame = pd.DataFrame(
        {
            "id": np.repeat(np.arange(n), k),
            "item": np.tile(np.arange(k), n),
            "feature": np.tile(feature, n),
            "resp": y.ravel(),
        }
    )
    fit = eirt.eirm(frame, "resp ~ feature + (1 | id) + (1 | item)", person="id")
    sd = fit.random.set_index("group")["sd"]
    assert sd["id"] == pytest.approx(1.2, abs=0.15)
    assert sd["item"] == pytest.approx(0.6, abs=0.15)
    row = fit.fixed.set_index("term").loc["feature"]
    assert abs(row["estimate"] - 0.7) < 3 * row["se"]
    residual = easiness - 0.2 - 0.7 * feature
    assert np.corrcoef(fit.effects("item")["estimate"], residual)[0, 1] > 0.9
