# %% [markdown]
# # Predicting new items
#
# Before an item has been given to anybody, its features say something about its difficulty. How
# much? This tutorial answers in four steps: a prediction with an honest interval, the share of the
# variance that features explain, a test on items that were held out, and the number of responses
# that a prediction is worth.
#
# The model is the linear logistic test model with residuals (Janssen, Schepers & Peres, 2004): item
# i has difficulty
#
#     b_i = -(x_i' beta + r_i),   r_i ~ N(0, tau^2),
#
# in which x_i are its features and r_i is what they leave unexplained. Of a new item we know x_i;
# its r_i is a draw that nobody has seen. Without the residual the model would claim that features
# explain items perfectly, and the interval of a prediction would be far too short.

# %%
import numpy as np
import pandas as pd

import eirt


def show(frame: pd.DataFrame, digits: int = 2) -> None:
    """Print a table without its index."""
    print(frame.round(digits).to_string(index=False))


# %% [markdown]
# ## A prediction and its interval
#
# The verbal aggression data hold 24 items: someone else or oneself is to blame (`situ`), one
# curses, scolds or shouts (`btype`), and says what one wants to do or would do (`mode`).

# %%
va = eirt.load("verbagg")
columns = {"person": "id", "item": "item", "response": "r2"}
formula = "~ btype + situ + mode + (1 | item)"
fit = eirt.lltm(va, formula, check=False, **columns)

new = pd.DataFrame(
    {
        "item": ["curse other, want", "shout other, do", "shout self, do"],
        "btype": ["curse", "shout", "shout"],
        "situ": ["other", "other", "self"],
        "mode": ["want", "do", "do"],
    }
)
predicted = fit.predict_items(new)
show(predicted[["item"] + [f"difficulty{part}" for part in ("", "_se", "_sd", "_lower", "_upper")]])

# %% [markdown]
# Difficulty is in logits; a person of average verbal aggression says yes to an item of difficulty
# zero half of the time. `_se` is the error of the prediction for the *average* item with these
# features; `_sd` adds the residual and is how far a *particular* new item strays. The interval is
# for the latter. It is wider than 1.96 sd: the spread of items is known from 24 items only, as in a
# regression with 24 cases, so that Student's t and a degree-of-freedom correction apply
# (`interval="normal"` leaves them out).

# %%
tau2 = fit.random.set_index("group").loc["item", "variance"]
np.testing.assert_allclose(
    predicted["difficulty_sd"] ** 2, predicted["difficulty_se"] ** 2 + tau2, rtol=1e-9
)
plug_in = fit.predict_items(new, interval="normal")
widths = [table["difficulty_upper"] - table["difficulty_lower"] for table in (predicted, plug_in)]
print(f"t intervals are {100 * (widths[0] / widths[1] - 1).mean():.0f}% wider than 1.96 sd")
assert 1.15 < (widths[0] / widths[1]).mean() < 1.25

# %% [markdown]
# ## How much do features explain?
#
# `explained_variance` compares the variance of x'beta over the items with what is left. Two numbers
# are in use. `reduction` is 1 − tau^2 / tau^2 of the model without features; like the R^2 of a
# regression it grows with every feature, useful or not. `r2`, the share of x'beta in the whole
# variance (Nakagawa & Schielzeth, 2013), is corrected for that, like the adjusted R^2, and has an
# interval from the noncentral F distribution (Smithson, 2001).

# %%
share = eirt.explained_variance(fit)
show(share.drop(columns=["parameter"]))

row = share.iloc[0]
assert abs(row["r2"] - 0.88) < 0.01 and abs(row["reduction"] - 0.906) < 0.005
assert abs(row["lower"] - 0.75) < 0.01 and abs(row["upper"] - 0.93) < 0.01

# %% [markdown]
# Features explain 88% of the variance between items, and with 24 items that means something between
# 75% and 93%.
#
# ## A test on items that were held out
#
# The surest answer is to try. `cross_validate` leaves out six items at a time, fits the model to
# the other eighteen, predicts the six, and compares with their difficulty as calibrated on all
# responses.

# %%
tried = eirt.cross_validate(eirt.lltm, va, formula, folds=4, check=False, **columns)
show(tried.summary.drop(columns="responses"), 3)

summary = tried.summary.iloc[0]
assert 0.77 < summary["r2"] < 0.83 and 0.45 < summary["rmse"] < 0.60
assert summary["coverage"] >= 0.85

picture = tried.plot()  # predicted against calibrated, with intervals
assert len(picture.data) == 24

# %% [markdown]
# Features foresee 80% of the variance of items that the model has not seen, with an error of about
# half a logit; 22 of 24 intervals cover. `log_density` is the mean logarithm of the probability
# that was given to each response to a held-out item; it serves to compare models.
#
# ### Hold out what will be new
#
# The 24 items belong to four situations (a bus fails to stop, a train is missed, a shop closes, a
# telephone call is cut off), six items each. Leaving out items at random keeps others from the same
# situation. If the next items come from a *new* situation, leave out whole situations instead.

# %%
va["scene"] = va["item"].astype(str).str[:2]
scenes = eirt.cross_validate(eirt.lltm, va, formula, groups="scene", check=False, **columns)
show(scenes.folds.drop(columns=["responses", "log_density_se"]), 2)
print(f"R^2 {scenes.summary['r2'][0]:.2f}, error {scenes.summary['rmse'][0]:.2f} logits")
loss = tried.summary["log_density"][0] - scenes.summary["log_density"][0]
print(f"log density lower by {loss:.3f} than with random items left out")

assert scenes.summary["r2"][0] < tried.summary["r2"][0] - 0.04
table = scenes.held_out.set_index("fold")
surprise = table["calibrated"] - table["predicted"]
assert (surprise["S4"] < 0).all() and (surprise["S3"] > 0).all()

# %% [markdown]
# That is the sterner test: R^2 falls to .76, because the six items of a situation stray together.
# Those of S4, the telephone, are all easier than predicted; those of S3, the shop, all harder.
#
# ## A larger bank
#
# With 24 items little can be said about a method. The following bank is *simulated*, so that the
# truth is known: 120 arithmetic problems, 600 persons, difficulties with variance one, of which the
# features (operations, decimals, words) explain 70%. Another 80 problems are kept as new.

# %%
rng = np.random.default_rng(7)
n_items, n_new, n_persons = 120, 80, 600
bank = pd.DataFrame(
    {
        "item": [f"P{k + 1:03d}" for k in range(n_items + n_new)],
        "operations": rng.integers(1, 5, n_items + n_new),
        "decimals": rng.integers(0, 2, n_items + n_new),
        "words": rng.integers(5, 40, n_items + n_new) / 10,
    }
)
by_features = 0.5 * bank["operations"] + 0.6 * bank["decimals"] + 0.15 * bank["words"]
by_features = np.sqrt(0.7) * (by_features - by_features.mean()) / by_features.std()
bank["truth"] = by_features + np.sqrt(0.3) * rng.normal(size=n_items + n_new)


def answers(items: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return one row a response of n persons, ability N(0, 1), to items of known difficulty."""
    rows = items.drop(columns="truth").iloc[np.tile(np.arange(len(items)), n)]
    eta = rng.normal(size=(n, 1)) - items["truth"].to_numpy()
    right = rng.random(eta.shape) < 1 / (1 + np.exp(-eta))
    return rows.assign(id=np.repeat(np.arange(n), len(items)), resp=right.ravel().astype(int))


old, new = bank[:n_items], bank[n_items:].reset_index(drop=True)
responses = answers(old, n_persons)
model = eirt.lltm(responses, "~ operations + decimals + words + (1 | item)", check=False)
share = eirt.explained_variance(model)
show(share.drop(columns="parameter"))
assert share["lower"][0] < 0.7 < share["upper"][0]

# %% [markdown]
# The true share, 70%, is inside the interval. And so are most of the new items in theirs.

# %%
table = model.predict_items(new)
off = table["difficulty"] - new["truth"]
inside = table["difficulty_lower"].le(new["truth"]) & table["difficulty_upper"].ge(new["truth"])
sd = float(table["difficulty_sd"].mean())
print(f"sd promised {sd:.2f} logits, found {off.std():.2f}; {inside.mean():.0%} of intervals cover")
assert 0.90 <= inside.mean() <= 1 and abs(off.std() - sd) < 0.1

# %% [markdown]
# ## How many responses is a prediction worth?
#
# An item that n persons have answered is known with a standard error of about sqrt(c / n); the
# Rasch model on all data gives c, n times the squared error, here about 5 for an item of medium
# difficulty. A prediction that strays by sd is thus worth n = c / sd^2 responses (Mislevy, Sheehan
# & Wingersky, 1993).

# %%
rasch = eirt.rasch(responses, check=False)
c = n_persons * np.median(rasch.difficulty("items")["se"]) ** 2
worth = c / sd**2
print(f"c = {c:.1f}, sd = {sd:.2f}: the prediction is worth {worth:.0f} responses")
assert 4.5 < c < 6.5 and 10 < worth < 25

# %% [markdown]
# Put that to the test: give the new items to a pilot sample of 50 persons. From responses alone
# (Rasch) difficulties err by about sqrt(c / 50), from features alone by sd. Weighting each by one
# over its squared error combines them; then worths add, 50 + c / sd^2. (`lltm` with `(1 | item)`
# does this weighting by itself for items that it has seen: `fit.difficulty()`.)

# %%
pilot = eirt.rasch(answers(new, 50), check=False).difficulty()
alone = pilot["difficulty"] - new["truth"]
weight = sd**2 / (sd**2 + pilot["se"] ** 2)
both = weight * alone + (1 - weight) * off
errors = np.array([alone.std(), off.std(), both.std()])
expected = np.sqrt(c / np.array([50, worth, 50 + worth]))
sources = ["50 responses an item", "features", "both"]
show(pd.DataFrame({"source": sources, "error": errors, "expected": expected}))
np.testing.assert_allclose(errors, expected, rtol=0.2)
assert errors[2] < errors[:2].min()

# %% [markdown]
# Features that explain 70% of the variance save about twenty responses an item. That is much
# where responses are dear, little where they are cheap: with all 600 persons the error of a
# calibration is .1, and the prediction adds next to nothing.
#
# ## Siblings
#
# Items that are made from one template resemble each other beyond their features. Add a term for
# the template, and new items from a *known* template are predicted from its other items as well.
# Again simulated: 20 templates of 4 items, 200 persons, 40% of the variance between templates that
# have the same features.

# %%
cloned = pd.DataFrame({"template": [f"T{k // 4 + 1:02d}" for k in range(80)]})
cloned["item"] = [f"{template}-{k % 4 + 1}" for k, template in enumerate(cloned["template"])]
cloned["operations"] = rng.integers(1, 5, 20).repeat(4)
cloned["truth"] = 0.6 * (cloned["operations"] - 2.5) + 0.6 * rng.normal(size=20).repeat(4)
cloned["truth"] += 0.3 * rng.normal(size=80)
siblings = eirt.lltm(
    answers(cloned, 200), "~ operations + (1 | template) + (1 | item)", check=False
)
cases = pd.DataFrame(
    {
        "item": ["from a known template", "from a new template"],
        "template": ["T01", "T99"],
        "operations": cloned["operations"][0],
    }
)
predicted = siblings.predict_items(cases)
show(predicted[["item", "difficulty", "difficulty_se", "difficulty_sd"]])

known, unknown = predicted["difficulty_sd"]
first = cloned.loc[cloned["template"] == "T01", "truth"]
print(f"the items of that template: mean {first.mean():.2f}, sd {first.std():.2f}")
assert known < 0.7 * unknown
assert abs(predicted["difficulty"][0] - first.mean()) < 2 * predicted["difficulty_se"][0]

# %% [markdown]
# To see what a bank of templates is good for, hold out whole templates (`groups="template"`) if
# the next items come from new ones, and single items if they come from the same.
#
# ## What to remember
#
# - Always keep `(1 | item)`: without it intervals claim that features explain everything.
# - Report `r2` with its interval, and the out-of-sample R^2 beside it.
# - Hold out what will be new: items, or templates, or situations.
# - A prediction of standard deviation sd is worth c / sd^2 responses; it is a start, and the same
#   model takes over smoothly as responses come in.
#
# ## References
#
# - Janssen, R., Schepers, J., & Peres, D. (2004). Models with item and item group predictors. In
#   P. De Boeck & M. Wilson (Eds.), *Explanatory item response models* (pp. 189–212). Springer.
# - De Boeck, P. (2008). Random item IRT models. *Psychometrika*, 73, 533–559.
# - Mislevy, R. J., Sheehan, K. M., & Wingersky, M. (1993). How to equate tests with little or no
#   data. *Journal of Educational Measurement*, 30, 55–78.
# - Nakagawa, S., & Schielzeth, H. (2013). A general and simple method for obtaining R^2 from
#   generalized linear mixed-effects models. *Methods in Ecology and Evolution*, 4, 133–142.
# - Smithson, M. (2001). Correct confidence intervals for various regression effect sizes and
#   parameters. *Educational and Psychological Measurement*, 61, 605–632.
