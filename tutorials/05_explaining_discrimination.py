# %% [markdown]
# # Explaining discrimination
#
# Features of items can make them hard. They can also change how *sharply* items separate persons:
# an item with long text may measure reading as well as reasoning, and discriminate less. A model
# with a formula for each parameter answers both questions at once:
#
#     logit P(y_pi = 1) = a_i theta_p + e_i,      theta_p ~ N(0, 1)
#     e_i = x_i' beta + r_i,   log a_i = v_i' alpha + s_i,   (r_i, s_i) ~ N(0, Sigma)
#
# Easiness e_i and log discrimination log a_i are explained by features, and each item keeps a
# residual on both, which may correlate. This is maximum likelihood with slopes times random
# effects, which mixed-model packages cannot fit: there a random effect enters with a fixed weight.

# %%
import numpy as np
import pandas as pd

import eirt


def show(frame: pd.DataFrame, digits: int = 3) -> None:
    """Print a table without its index."""
    print(frame.round(digits).to_string(index=False))


# %% [markdown]
# ## The named models are special cases
#
# `discrimination=` takes a formula, as `easiness=` does. A constant is the 1PL, an own value for
# each item the 2PL, and no formula at all the Rasch model.

# %%
va = eirt.load("verbagg")
columns = {"person": "id", "item": "item", "response": "r2"}
features = "~ btype + situ + mode"

lltm = eirt.explain(va, easiness=features, name="unit", **columns)
common = eirt.explain(va, easiness=features, discrimination="~ 1", name="common", **columns)
by_mode = eirt.explain(va, easiness=features, discrimination="~ mode", name="by mode", **columns)
free = eirt.explain(
    va,
    easiness=features,
    discrimination="~ 0 + item",
    discrimination_link="identity",
    name="by item",
    **columns,
)
comparison = eirt.compare(common, by_mode, free)
show(comparison)

# a common slope is the Rasch scale in other units
assert abs(lltm.loglik - common.loglik) < 1e-5
assert abs(free.loglik - -4081.9230) < 1e-3

# %% [markdown]
# The slopes of single items differ far more than the mode (wanting or doing) can explain. But is
# that discrimination, or the residuals that the features leave in easiness? In these models every
# departure of an item from the features must go somewhere. So give each item a residual, first in
# easiness alone, then in both.

# %%
easy = eirt.explain(
    va, easiness=f"{features} + (1 | item)", discrimination="~ mode", name="one residual", **columns
)
both = eirt.explain(
    va,
    easiness=f"{features} + (1 | item)",
    discrimination="~ mode + (1 | item)",
    name="both residuals",
    **columns,
)
both.summary()
assert easy.converged and both.converged
assert both.loglik > easy.loglik

# %% [markdown]
# Read the table from below. `log_discrimination` is the logarithm of the slope of an item about
# wanting; `log_discrimination[mode[do]]` is what doing adds to it: exp() of it is a ratio of
# slopes.

# %%
effect = both.fixed.set_index("term").loc["log_discrimination[mode[do]]"]
print(
    f"Slopes of 'do' items are {np.exp(effect['estimate']):.2f} times as steep "
    f"({np.exp(effect['lower']):.2f} to {np.exp(effect['upper']):.2f})"
)
assert effect["lower"] < 0 < effect["upper"]

# %% [markdown]
# The interval holds 1: with the items' own residuals in the model, there is no evidence that mode
# changes how sharply items discriminate. The residuals of the two parameters correlate so closely
# that the estimate is at the bound, and the summary says so: 24 items cannot tell a correlation of
# .9 from one of 1. A bound is no failure, but it is worth a line in a report.

# %%
print(both.boundary)
assert both.boundary == ("item|(Intercept) ~ log_discrimination",)
items = both.items
show(items[["item", "easiness", "discrimination", "discrimination_se"]].head(8))

# %% [markdown]
# ## Does it find what is there?
#
# Here is a simulated test of 40 items and 250 persons in which a feature (say, length of text)
# lowers both easiness and discrimination, with residuals on both that correlate by .4.

# %%
rng = np.random.default_rng(11)
n_persons, n_items = 250, 40
length = np.tile([0.0, 1.0], n_items // 2)
beta, alpha = np.array([0.5, -0.8]), np.array([0.3, -0.4])
sd_easiness, sd_slope, correlation = 0.6, 0.25, 0.4
covariance = np.array(
    [
        [sd_easiness**2, correlation * sd_easiness * sd_slope],
        [correlation * sd_easiness * sd_slope, sd_slope**2],
    ]
)
residuals = rng.multivariate_normal([0, 0], covariance, n_items)
easiness = beta[0] + beta[1] * length + residuals[:, 0]
slope = np.exp(alpha[0] + alpha[1] * length + residuals[:, 1])
ability = rng.normal(size=n_persons)
p = 1 / (1 + np.exp(-(slope * ability[:, None] + easiness)))
data = pd.DataFrame(
    {
        "id": np.repeat(np.arange(n_persons), n_items),
        "item": np.tile([f"i{k:02d}" for k in range(n_items)], n_persons),
        "length": np.tile(length, n_persons),
        "resp": (rng.uniform(size=p.shape) < p).astype(int).ravel(),
    }
)

fit = eirt.explain(data, easiness="~ length + (1 | item)", discrimination="~ length + (1 | item)")
fit.summary()
truth = pd.Series(np.concatenate([beta, alpha]), fit.fixed["term"])
recovered = fit.fixed.set_index("term")
recovered["truth"] = truth
show(recovered.reset_index()[["term", "truth", "estimate", "se", "lower", "upper"]])
error = (recovered["estimate"] - recovered["truth"]) / recovered["se"]
assert fit.converged and (error.abs() < 3).all()
assert recovered.loc["log_discrimination[length]", "upper"] < 0

# %% [markdown]
# The items' own slopes are shrunken towards what the features say, so that they are closer to the
# truth than those of a 2PL, which knows nothing of features.

# %%
plain = eirt.two_pl(data)
found = fit.items.set_index("item")["discrimination"]
free_slopes = plain.items.set_index("item")["discrimination"]
names = [f"i{k:02d}" for k in range(n_items)]
rmse = {
    "explained": np.sqrt(np.mean((found[names] - slope) ** 2)),
    "2PL": np.sqrt(np.mean((free_slopes[names] - slope) ** 2)),
}
print({name: round(float(value), 3) for name, value in rmse.items()})
assert rmse["explained"] < rmse["2PL"]

# %% [markdown]
# ## What to report
#
# - Whether discriminations differ at all (common against free slopes).
# - Effects of features on log discrimination as ratios of slopes, with intervals, from the model
#   with residuals on both parameters.
# - The residual standard deviations and their correlation, and whether one is at its bound.
