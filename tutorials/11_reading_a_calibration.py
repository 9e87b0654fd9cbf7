# %% [markdown]
# # Reading a calibration
#
# A fitted test answers three questions: how able is each person, and how sure are we; do the items
# and the persons behave as the model says; does the model as a whole describe the data? This
# tutorial reads a Rasch calibration of the verbal aggression data from top to bottom, and ends with
# one finding that the first tables do not show: items about the same behaviour are more alike than
# one trait explains.

# %%
import numpy as np
import pandas as pd

import eirt


def show(frame: pd.DataFrame, digits: int = 2) -> None:
    """Print a table without its index."""
    print(frame.round(digits).to_string(index=False))


# %% [markdown]
# ## The scale
#
# 316 students said of 24 items whether they would curse, scold or shout (yes or perhaps against
# no). The Wright map puts both on one line: a student of ability theta says yes to an item of
# difficulty theta half of the time.

# %%
va = eirt.load("verbagg")
columns = {"person": "id", "item": "item", "response": "r2"}
rasch = eirt.rasch(va, **columns)
items = rasch.difficulty().sort_values("difficulty")
show(items[["item", "difficulty", "se"]].iloc[[0, 1, -2, -1]])
wright = rasch.plot("wright", colour="btype")

assert list(items["item"].iloc[[0, -1]]) == ["S2WantCurse", "S3DoShout"]
assert len(wright.data) == 24

# %% [markdown]
# ## Scores of persons
#
# Under the Rasch model the number of yeses says everything about a person's ability, but there are
# several ways to turn it into a number. ML asks which ability makes the responses most likely: with
# no yes at all, or 24, none does. WLE (Warm, 1989) corrects its bias and is finite. EAP and MAP add
# what the model says of the population, and shrink towards its mean; their spread is too small, and
# that of ML and WLE too large.

# %%
scores = {method: rasch.persons(method) for method in ("ML", "WLE", "MAP", "EAP")}
by_score = pd.concat(
    {method: table.groupby("score")["ability"].first() for method, table in scores.items()}, axis=1
)
show(by_score.loc[[0, 1, 6, 12, 18, 24]].reset_index())
print(scores["ML"].attrs["note"])
spread = {method: scores[method]["ability"].std() for method in ("WLE", "MAP", "EAP")}
sd = rasch.random.loc[0, "sd"]
print(f"sd of EAP {spread['EAP']:.2f}, of the model {sd:.2f}, of WLE {spread['WLE']:.2f}")

assert np.isinf(by_score.loc[[0, 24], "ML"]).all()
assert (by_score["WLE"].abs() > by_score["EAP"].abs())[[0, 1, 6, 18, 24]].all()
assert spread["MAP"] < spread["EAP"] < sd < spread["WLE"]

# %% [markdown]
# Neither spread is that of the population. To describe a population, draw *plausible values* from
# each person's posterior: each column has about the right spread (Mislevy, 1991). And no score is
# more precise than the test allows: information is the inverse of a squared standard error, and
# this test tells most about students in the middle.

# %%
plausible = rasch.plausible_values(5, seed=1).filter(like="pv")
information = rasch.information_function()
best = information.loc[information["information"].idxmax()]
print(f"sd of plausible values {plausible.std().mean():.2f}; least error {best['se']:.2f}")
show(rasch.reliability())

assert abs(plausible.std().mean() - sd) < 0.03
assert abs(best["theta"]) < 0.5 and abs(best["se"] - 0.46) < 0.01
assert abs(scores["EAP"].attrs["reliability"] - 0.874) < 1e-3

# %% [markdown]
# ## Scores that assume no population
#
# Conditional likelihood takes sum scores as given and estimates items from what is left: nothing is
# assumed of the distribution of ability. WLE needs none either, so that the whole calibration is
# free of it. The origin is the mean item. Here the normal distribution does no harm.

# %%
conditional = eirt.rasch(va, likelihood=eirt.Conditional(), **columns)
free = conditional.persons("WLE")
moved = rasch.difficulty()["difficulty"].mean()
gap = (free["ability"] - (scores["WLE"]["ability"] - moved)).abs().max()
population = conditional.persons("EAP").attrs["population"]
print(f"largest difference between WLEs {gap:.3f}")
print(f"population, estimated afterwards: mean {population['mean']:.2f}, sd {population['sd']:.2f}")

assert gap < 0.05
assert abs(population["sd"] - sd) < 0.01

# %% [markdown]
# ## Items and persons
#
# Infit and outfit are mean squared residuals, 1 where responses vary as they should. Outfit is
# moved by single surprising responses: S3DoShout has 2.4, since it is said yes to so rarely that
# one unexpected yes weighs much. Infit, weighted by information, and S-X2, which compares groups of
# equal scores, find nothing: no item is flagged after adjustment for 24 tests.

# %%
item_fit = rasch.item_fit()
show(item_fit.sort_values("outfit").iloc[[0, -2, -1]])
assert (item_fit["reading"] == "").all()
assert item_fit.set_index("item").loc["S3DoShout", "outfit"] > 2

# %% [markdown]
# Persons are another matter. lz* (Snijders, 2001) is the log-likelihood of a person's responses,
# standardised; very negative values mean easy items denied and hard ones affirmed. Sixteen of 316
# persons are flagged.

# %%
person_fit = rasch.person_fit()
flagged = person_fit[person_fit["reading"] != ""].sort_values("lz_star")
show(flagged[["id", "score", "infit", "outfit", "lz_star", "p_adjusted"]].head(3))
picture = rasch.plot("persons")
assert len(flagged) == 16 and len(picture.data) == 316

# %% [markdown]
# ## The model as a whole
#
# M2 compares proportions of yeses, and of joint yeses of pairs, with those that the model implies
# (Maydeu-Olivares & Joe, 2006). It rejects, and its effect sizes say that this is no matter of
# sample size: RMSEA and SRMSR are near .11. The 2PL does no better: slopes are not what is wrong.

# %%
two_pl = eirt.two_pl(va, **columns)
whole = pd.concat([rasch.model_fit(), two_pl.model_fit()], keys=["Rasch", "2PL"])
whole = whole.droplevel(1).rename_axis("model").reset_index()
show(whole[["model", "value", "df", "rmsea", "srmsr", "cfi"]], 3)
assert (whole["rmsea"] > 0.1).all() and (whole["srmsr"] > 0.09).all()

# %% [markdown]
# Pairs tell what is. Q3 correlates what is left of two items once ability is taken out. The largest
# pairs share what is said (scold with scold, shout with shout) or the situation.

# %%
pairs = rasch.q3().head(6)
show(pairs[["item_1", "item_2", "q3", "q3_adjusted", "reading"]])
heat = rasch.plot("q3")
said = [{name[-5:] for name in pair} for pair in zip(pairs["item_1"], pairs["item_2"], strict=True)]
assert (pairs["reading"] == "more alike than ability explains").all()
assert sum(len(words) == 1 for words in said) >= 4

# %% [markdown]
# So persons differ not only in how aggressive they are but in how. A random effect of each person
# for each behaviour (a testlet) takes that up, and improves the fit far more than 23 free slopes.

# %%
testlets = eirt.eirm(va, "r2 ~ 0 + item + (1 | id) + (1 | id:btype)")
table = eirt.compare(rasch, two_pl, testlets)
show(table[["model", "n_params", "loglik", "aic", "bic"]])
assert testlets.aic < two_pl.aic - 100 and testlets.bic < rasch.bic
show(testlets.icc()[["group", "variance", "share", "icc", "lower", "upper"]])

# %% [markdown]
# Two responses of a person correlate at .31 on the latent scale, those to items of the same
# behaviour at .49. `fit.plot("residuals")` shows what is left: normal quantiles of the effects, and
# binned residuals of responses against what was expected of them, on the line within sampling error
# at nearly all places. Probabilities are right on average; it was the dependence that was not.

# %%
left = rasch.plot("residuals")
bins = left.data[left.data["panel"] == "responses"]
outside = (bins["residual"].abs() > bins["upper"]).sum()
print(f"{outside} of {len(bins)} bins outside")
assert outside <= 4

# %% [markdown]
# ## References
#
# - Maydeu-Olivares, A., & Joe, H. (2006). Limited information goodness-of-fit testing in
#   multidimensional contingency tables. *Psychometrika, 71*, 713–732.
# - Mislevy, R. J. (1991). Randomization-based inference about latent variables from complex
#   samples. *Psychometrika, 56*, 177–196.
# - Snijders, T. A. B. (2001). Asymptotic null distribution of person fit statistics with estimated
#   person parameter. *Psychometrika, 66*, 331–342.
# - Warm, T. A. (1989). Weighted likelihood estimation of ability in item response theory.
#   *Psychometrika, 54*, 427–450.
# - Wright, B. D., & Masters, G. N. (1982). *Rating scale analysis*. MESA Press.
