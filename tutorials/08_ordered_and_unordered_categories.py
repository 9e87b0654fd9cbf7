# %% [markdown]
# # Ordered and unordered categories
#
# So far a response was yes or no. Many questionnaires offer more: *no*, *perhaps*, *yes*; or five
# degrees of agreement. Counting *perhaps* as a yes, as the other tutorials do with the verbal
# aggression data, throws away what distinguishes the two. This tutorial keeps the categories. It
# fits the graded response, partial credit, rating scale, sequential and nominal models, says what
# their parameters mean, shows that the first of them is the cumulative logit model of regression,
# and tests the assumption on which that model's simplicity rests: proportional odds.

# %%
import pathlib
import tempfile

import numpy as np
import pandas as pd

import eirt

pictures = pathlib.Path(tempfile.mkdtemp())


def show(frame: pd.DataFrame, digits: int = 3) -> None:
    """Print a table without its index."""
    print(frame.round(digits).to_string(index=False))


# %%
va = eirt.load("verbagg")
shares = pd.crosstab(va["btype"], va["resp"], normalize="index")
print(shares.round(3))
assert list(va["resp"].cat.categories) == ["no", "perhaps", "yes"]
assert abs(shares.loc["curse", "perhaps"] - 0.350) < 1e-3

# %% [markdown]
# `resp` is an ordered categorical, so that its order is known. Ordered numbers would do as well;
# text without an order is sorted by the alphabet, which is rarely what one wants.
#
# ## The graded response model
#
# Samejima (1969) models the probability of reaching a category *or a higher one*. For category c
# of item i
#
#     P(y_pi >= c) = F(a_i (theta_p - b_ic)),   theta_p ~ N(0, 1),   b_i1 < b_i2 < ...
#
# with F the logistic distribution function. With two categories it is the 2PL; with more, each
# way of cutting the categories in two gives a 2PL with the same slope. Probabilities of categories
# are differences: P(y = c) = P(y >= c) - P(y >= c + 1).

# %%
grm = eirt.grm(va)
thresholds = grm.difficulty()
show(thresholds[["item", "threshold", "discrimination", "difficulty", "se"]].head(4))

assert grm.converged and grm.n_params == 72
assert abs(grm.loglik - -6285.8175) < 1e-3
by_item = thresholds.pivot(index="item", columns="threshold", values="difficulty")
assert (by_item["perhaps"] < by_item["yes"]).all()

# %% [markdown]
# A difficulty b_ic is where reaching category c becomes as likely as not. To "I would want to
# curse" in the first situation a student one standard deviation below average says *perhaps* or
# *yes* half of the time, and one .38 above average says *yes* half of the time. The Wright map has
# a point for every threshold, and the curves of categories show where each answer is the most
# likely one.

# %%
grm.plot("wright").save(pictures / "thresholds.png")
picture = grm.plot("categories", items=["S1WantCurse", "S3DoShout"])
picture.save(pictures / "categories.png")

curves = picture.data
at = curves["theta"].abs().min()
average = curves[curves["theta"].abs() == at]
print(f"at ability {average['theta'].iloc[0]:.2f}")
print(average.pivot(index="item", columns="category", values="probability").round(3))

a, b = thresholds.loc[:1, "discrimination"], thresholds.loc[:1, "difficulty"]
reached = 1 / (1 + np.exp(-a * (average["theta"].iloc[0] - b)))
first = average[average["item"] == "S1WantCurse"].set_index("category")["probability"]
np.testing.assert_allclose(
    first[["no", "perhaps", "yes"]],
    [1 - reached[0], reached[0] - reached[1], reached[1]],
    atol=1e-9,
)

# %% [markdown]
# ## Partial credit and rating scales
#
# Masters (1982) compares *neighbours* instead: given that the answer is one of c - 1 and c, which
# of the two? Each step is a Rasch model,
#
#     log P(y_pi = c) / P(y_pi = c - 1) = theta_p - b_ic,   theta_p ~ N(0, sigma^2)
#
# and the sum of a person's codes is a sufficient statistic for ability, as in the Rasch model.
# With a slope for each item it is the generalized partial credit model (Muraki, 1992); with the
# same distances between the thresholds of all items, the rating scale model (Andrich, 1978),
# b_ic = b_i + tau_c.

# %%
rsm = eirt.rsm(va)
pcm = eirt.pcm(va)
gpcm = eirt.gpcm(va)
table = eirt.compare(rsm, pcm, gpcm)
show(table[["model", "n_params", "loglik", "aic", "bic", "against", "chi2", "df", "p"]])

assert abs(rsm.loglik - -6345.8404) < 1e-3
assert abs(pcm.loglik - -6319.7334) < 1e-3
assert abs(gpcm.loglik - -6298.4964) < 1e-3
assert table["df"].tolist()[1:] == [23, 23] and (table["p"][1:] < 0.01).all()
assert table["bic"].idxmin() == 0 and table["aic"].idxmin() == 1

# %% [markdown]
# Each freedom is significant: distances between thresholds differ over items, and so do slopes. As
# with the LLTM before, AIC wants some of that freedom and BIC none.
#
# Thresholds of the partial credit model need not be ordered. Where b_i2 < b_i1, *perhaps* is at no
# ability the most likely answer. That says that few use the category, not that categories are in
# the wrong order (Adams, Wu & Wilson, 2012); the graded model orders its thresholds by construction
# and cannot show it that way.

# %%
steps = pcm.difficulty().pivot(index="item", columns="threshold", values="difficulty")
reversed_items = steps.index[steps["yes"] < steps["perhaps"]]
print(f"{len(reversed_items)} of 24 items: {', '.join(reversed_items)}")
assert list(reversed_items) == ["S2DoShout"]

picture = pcm.plot("categories", items=list(reversed_items))
picture.save(pictures / "reversed.png")
curves = picture.data
most = curves.loc[curves.groupby(["item", "theta"])["probability"].idxmax(), "category"]
assert "perhaps" not in set(most)

# %% [markdown]
# ## Three ways to cut
#
# A third family takes steps one after the other: of those who said at least *perhaps*, who says
# *yes*? It suits responses that are reached in order, such as parts of a task or school grades that
# are completed (Tutz, 1990; Mellenbergh, 1995).
#
# | | compares | model |
# |---|---|---|
# | cumulative | categories from c with those below c | graded response |
# | adjacent | category c with c - 1 | partial credit |
# | sequential | categories from c with c - 1 | sequential, continuation ratio |
#
# With slopes and thresholds of items they have 24 × 3 = 72 parameters each, and their
# log-likelihoods can be compared as they stand.

# %%
cuts = {"cumulative": grm, "adjacent": gpcm, "sequential": eirt.sequential(va, slopes="item")}
ways = pd.DataFrame(
    [(cut, fit.n_params, fit.loglik) for cut, fit in cuts.items()],
    columns=["cut", "n_params", "loglik"],
)
show(ways)
assert (ways["n_params"] == 72).all()
np.testing.assert_allclose(ways["loglik"], [-6285.8175, -6298.4964, -6310.9929], atol=1e-3)

# %% [markdown]
# Cumulative fits best. That is the usual finding for ratings, which are thought of as one
# continuous opinion cut at thresholds.
#
# ## The regression view
#
# A graded response model with features instead of items is the cumulative logit model with a random
# intercept of persons, the most common regression for ordered data (McCullagh, 1980):
#
#     logit P(y_pi >= c) = x_i'beta + theta_p - threshold_c
#
# In lme4's grammar it is one line. R's `ordinal::clmm` fits the same model.

# %%
formula = "resp ~ btype + situ + mode + (1 | id)"
same = eirt.eirm(va, formula, family=eirt.Cumulative(), name="Proportional odds")
show(same.fixed[["term", "estimate", "se", "odds_ratio"]])
show(same.response_parameters)

assert abs(same.loglik - -6421.0578) < 1e-3  # clmm with 15 nodes
np.testing.assert_allclose(same.fixed["estimate"], [-0.9096, -1.8627, -1.0773, -0.6321], atol=1e-3)

# %% [markdown]
# Effects are those of the second tutorial, on easiness in logits, but *both* ways of dichotomizing
# the answers count at once: scolding rather than cursing multiplies the odds of at least *perhaps*
# by .40, and also the odds of *yes*. Two intercepts take the place of one: they are the logits of
# *perhaps* or more and of *yes* for a person of ability zero who curses because of another.
#
# Predictions are expected codes (`scale="response"`), and probabilities of categories follow from
# the predictor and the intercepts. Averaged over the population, expected codes are near what was
# observed; what they miss, that shouting loses more than other reactions when it comes to doing it,
# is an interaction that the formula leaves out.

# %%
cells = va.assign(
    expected=same.predict(effects="average"), observed=va["resp"].cat.codes.astype(float)
)
table = cells.groupby(["btype", "mode"], observed=True, as_index=False)[
    ["expected", "observed"]
].mean()
show(table)
np.testing.assert_allclose(table["expected"], table["observed"], atol=0.06)

intercepts = same.response_parameters["estimate"].to_numpy()
eta = same.predict(pd.DataFrame({"btype": ["shout"], "situ": ["self"], "mode": ["do"]}),
                   scale="link", effects="zero")  # fmt: skip
reached = 1 / (1 + np.exp(-(eta + intercepts)))
shouting = -np.diff([1, *reached, 0])
print(
    "shout, self, do, a person of ability zero:", dict(zip(shares, shouting.round(3), strict=True))
)
assert abs(shouting.sum() - 1) < 1e-12 and shouting[0] > 0.8

# %% [markdown]
# ## Proportional odds
#
# One effect for both cuts is an assumption. Each cut alone is a logistic regression; the assumption
# says that their coefficients are the same. It is relaxed by letting a feature move the *later*
# thresholds by an amount of its own (partial proportional odds; Peterson & Harrell, 1990):
#
#     logit P(y_pi >= c) = x_i'beta + z_i'delta_c + theta_p - threshold_c,   delta_1 = 0
#
# `thresholds="~ mode"` asks for it, in `explain` as in `eirm`, and `compare` tests it.

# %%
by_mode = eirt.eirm(
    va, formula, thresholds="~ mode", family=eirt.Cumulative(), name="Partial, mode"
)
show(by_mode.fixed[["term", "estimate", "se", "p"]])
test = eirt.compare(same, by_mode)
print(f"chi2 = {test['chi2'][1]:.3f} on {test['df'][1]} df, p = {test['p'][1]:.2f}")

assert abs(by_mode.loglik - -6420.9775) < 1e-3  # ordinal's clmm2 with 11 nodes
assert test["df"][1] == 1 and test["p"][1] > 0.5

# %% [markdown]
# `threshold[mode[do]]` is what the effect of doing on *yes* has more than its effect on *perhaps or
# more*: .03, nothing. `proportional_odds` makes the test for each term of a formula, or for some.

# %%
tests = eirt.proportional_odds(va, formula, terms=["situ"])
show(tests)
assert abs(tests["chi2"][0] - 15.741) < 2e-3 and tests["df"][0] == 1

# %% [markdown]
# Who is to blame does not have proportional odds. Before one gives up the simple model one should
# see how far off it is.

# %%
by_situ = eirt.eirm(va, formula, thresholds="~ situ", family=eirt.Cumulative())
effect = by_situ.fixed.set_index("term")["estimate"]
first = effect["situ[self]"]
later = first + effect["threshold[situ[self]]"]
print(f"self rather than other: {first:.2f} on perhaps or more, {later:.2f} on yes")
assert abs(first - -1.0) < 0.02 and abs(later - -1.25) < 0.03

# %% [markdown]
# ## Items with different numbers of categories
#
# Items need not have equally many categories: one with fewer has fewer thresholds, and nothing else
# changes. A category that nobody chose *between* others is different: a threshold there has no
# estimate. Say that the shouting items had offered only no (0) and yes (2).

# %%
codes, shout = va["resp"].cat.codes, va["btype"] == "shout"
gaps = va.assign(resp=codes.where(~shout, 2 * (codes > 0)))
try:
    eirt.pcm(gaps)
except eirt.DataError as error:
    print(error)
closed = eirt.pcm(gaps, unused="close")
counts = closed.difficulty().groupby("item", observed=True).size()
print(f"thresholds: {counts['S1DoShout']} for S1DoShout, {counts['S1DoScold']} for S1DoScold")
assert closed.n_params == 49 - 8
assert closed.design.dropped == {"unused categories of items, closed": 8}
assert counts["S1DoShout"] == 1 and counts["S1DoScold"] == 2

# %% [markdown]
# `unused="close"` numbers the categories that an item has without gaps, here 0 and 1, which is what
# one wants where the number stands for nothing but an order.
#
# ## Without an order
#
# Is there an order? The nominal response model (Bock, 1972) does not assume it:
#
#     P(y_pi = c) proportional to exp(s_ic (a_i theta_p + e_i) + d_ic)
#
# Category c has a *score* s_ic, how much ability it stands for. The first is fixed at 0 and the
# last at its code, C; those between are estimated. Scores 0, 1, ..., C give the generalized partial
# credit model back: the estimates test its spacing (Thissen, Cai & Bock, 2010).

# %%
nominal = eirt.nominal(va)
chi2, df = 2 * (nominal.loglik - gpcm.loglik), nominal.n_params - gpcm.n_params
print(f"log-likelihood {nominal.loglik:.4f}; against gpcm chi2 = {chi2:.1f} on {df} df")


def scores(fit: eirt.Fit) -> pd.DataFrame:
    """Return the estimated scores, items by categories."""
    table = fit.response_parameters
    parts = table["parameter"].str.extract(r"(?P<item>.*): score\[(?P<category>\d+)\]")
    found = parts.assign(score=table["estimate"]).dropna()
    return found.pivot(index="item", columns="category", values="score")


perhaps = scores(nominal)["1"]
print(
    f"score of perhaps: mean {perhaps.mean():.2f}, from {perhaps.min():.2f} to {perhaps.max():.2f}"
)
assert abs(nominal.loglik - -6276.2399) < 1e-3
assert perhaps.between(0, 2).all()

# %% [markdown]
# All 24 scores of *perhaps* lie between those of *no* (0) and *yes* (2): the order is in the data,
# and nobody had to assume it.
#
# Five degrees of agreement are another matter. 2,449 persons answered 15 statements on conspiracies
# (Brotherton, French & Pickering, 2013) from 0, disagree, to 4, agree. Their middle category may
# mean "halfway" or "no opinion".

# %%
beliefs = eirt.load("conspiracist")[[f"q{k}" for k in range(1, 16)]]
doors = {"graded": eirt.grm, "gpcm": eirt.gpcm, "nominal": eirt.nominal}
fits = {name: door(beliefs, wide=True, check=False) for name, door in doors.items()}
table = pd.DataFrame(
    [(name, fit.n_params, fit.loglik, fit.aic) for name, fit in fits.items()],
    columns=["model", "n_params", "loglik", "aic"],
)
show(table, 1)
spaced = scores(fits["nominal"])
print("mean scores:", spaced.mean().round(2).to_dict())

np.testing.assert_allclose(table["loglik"], [-44963.477, -45338.507, -45024.368], atol=0.01)
assert (spaced["2"] - spaced["1"] > 0.5).all() and (spaced["3"] > spaced["2"]).all()
gaps = np.diff(np.column_stack([np.zeros(15), spaced, np.full(15, 4.0)]), axis=1)
assert gaps.argmin(axis=1).tolist().count(2) >= 13

# %% [markdown]
# The order holds in all 15 items, the equal spacing does not: from 2 to 3 it is a small step, and
# to 4, full agreement, the largest. Partial credit models take every step for one and fit much
# worse. The graded model fits best of all, with fewer parameters: it does not space the codes, it
# cuts an opinion at thresholds that are free.
#
# ## What to remember
#
# - Graded, partial credit and sequential models differ in what they compare; they are the
#   cumulative, adjacent-category and continuation-ratio logits of regression with persons as random
#   effects. Their log-likelihoods can be compared.
# - Thresholds take the place of the intercept. Reversed thresholds of partial credit say that a
#   category is rarely the most likely one, not that the order is wrong.
# - Proportional odds is an assumption about each feature. Test it, and look at the size of what
#   `thresholds=` adds before giving it up.
# - Scores of the nominal model show whether categories are ordered, and how far apart they stand.
#
# ## References
#
# - Adams, R. J., Wu, M. L., & Wilson, M. (2012). The Rasch rating model and the disordered
#   threshold controversy. *Educational and Psychological Measurement*, 72, 547–573.
# - Andrich, D. (1978). A rating formulation for ordered response categories. *Psychometrika*, 43,
#   561–573.
# - Bock, R. D. (1972). Estimating item parameters and latent ability when responses are scored in
#   two or more nominal categories. *Psychometrika*, 37, 29–51.
# - Brotherton, R., French, C. C., & Pickering, A. D. (2013). Measuring belief in conspiracy
#   theories: the Generic Conspiracist Beliefs scale. *Frontiers in Psychology*, 4, 279.
# - Masters, G. N. (1982). A Rasch model for partial credit scoring. *Psychometrika*, 47, 149–174.
# - McCullagh, P. (1980). Regression models for ordinal data. *Journal of the Royal Statistical
#   Society, Series B*, 42, 109–142.
# - Mellenbergh, G. J. (1995). Conceptual notes on models for discrete polytomous item responses.
#   *Applied Psychological Measurement*, 19, 91–100.
# - Muraki, E. (1992). A generalized partial credit model: Application of an EM algorithm. *Applied
#   Psychological Measurement*, 16, 159–176.
# - Peterson, B., & Harrell, F. E. (1990). Partial proportional odds models for ordinal response
#   variables. *Applied Statistics*, 39, 205–217.
# - Samejima, F. (1969). Estimation of latent ability using a response pattern of graded scores.
#   *Psychometrika Monograph Supplement*, 17.
# - Thissen, D., Cai, L., & Bock, R. D. (2010). The nominal categories item response model. In M. L.
#   Nering & R. Ostini (Eds.), *Handbook of polytomous item response theory models* (pp. 43–75).
#   Routledge.
# - Tutz, G. (1990). Sequential item response models with an ordered response. *British Journal of
#   Mathematical and Statistical Psychology*, 43, 39–55.
