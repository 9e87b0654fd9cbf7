"""Simulated responses of several families: 60 groups of 12, a random intercept of sd 0.6."""

import pathlib

import numpy as np
import pandas as pd

rng = np.random.default_rng(11)
group, x = np.repeat(np.arange(60), 12), rng.normal(size=720).round(3)
eta = 0.4 + 0.5 * x + 0.6 * rng.normal(size=60)[group]
mu, chance = np.exp(eta), 1 / (1 + np.exp(-eta))
trials = rng.integers(3, 10, size=720)
zero = rng.random(720) < 0.2
positive = rng.poisson(mu)
while (none := positive == 0).any():
    positive[none] = rng.poisson(mu[none])
data = pd.DataFrame(
    {
        "g": group,
        "x": x,
        "trials": trials,
        "poisson": rng.poisson(mu),
        "nb": rng.negative_binomial(2.0, 2.0 / (2.0 + mu)),
        "zip": np.where(zero, 0, rng.poisson(mu)),
        "hurdle": np.where(zero, 0, positive),
        "gamma": rng.gamma(3.0, mu / 3.0).round(4),
        "beta": rng.beta(5.0 * chance, 5.0 * (1 - chance)).round(4).clip(0.0001, 0.9999),
        "gaussian": (eta + 0.7 * rng.normal(size=720)).round(4),
        "binomial": rng.binomial(trials, chance),
        "betabinomial": rng.binomial(trials, rng.beta(4.0 * chance, 4.0 * (1 - chance))),
    }
)
data.to_csv(pathlib.Path(__file__).with_name("families.csv"), index=False)
