# %% [markdown]
# # The linear logistic test model
#
# The Rasch model *describes* items: 24 items, 24 numbers. The linear logistic test model (LLTM;
# Fischer, 1973) *explains* them: easiness is a weighted sum of features of the item,
#
#     logit P(y_pi = 1) = theta_p + e_i          e_i = beta_0 + beta_1 x_i1 + ... + beta_K x_iK
#
# with theta_p ~ N(0, sigma^2). As a mixed model it is a logistic regression on item features with a
# random intercept of persons. This tutorial fits it, reads its effects as logits, odds and
# probabilities, tests it against the Rasch model, changes the link, and adds features of persons.

# %%
import numpy as np
import pandas as pd

import eirt


def show(frame: pd.DataFrame, digits: int = 3) -> None:
    """Print a table without its index."""
    print(frame.round(digits).to_string(index=False))


# %% [markdown]
# ## Items by design
#
# The 24 items of the verbal aggression data (Vansteelandt, 2000) were written by design. "A bus
# fails to stop for me. I would want to curse" crosses three features: the behaviour (`btype`:
# curse, scold, shout), who is to blame (`situ`: someone else or oneself) and the mode (`mode`:
# wanting to do it or doing it). Each of the 3 × 2 × 2 = 12 combinations has two items.

# %%
va = eirt.load("verbagg")
columns = {"person": "id", "item": "item", "response": "r2"}
features = "~ btype + situ + mode"

design = va.drop_duplicates("item")[["item", "btype", "situ", "mode"]]
combinations = design.groupby(["btype", "situ", "mode"], observed=True).size()
print(f"{len(design)} items, {len(combinations)} combinations of features")
assert len(combinations) == 12 and (combinations == 2).all()

lltm = eirt.lltm(va, features, **columns)
lltm.summary()

assert lltm.converged and lltm.n_params == 6
assert abs(lltm.loglik - -4116.6131) < 1e-3
expected = [1.7432, -1.0549, -2.0418, -1.0277, -0.6715]
np.testing.assert_allclose(lltm.fixed["estimate"], expected, atol=1e-3)

# %% [markdown]
# The estimates are differences in **easiness** from the reference levels: curse, other to blame,
# want. All four are negative, so that cursing because of someone else, and only wanting to, is the
# easiest to say yes to. Fischer wrote the LLTM in difficulties; `difficulty()` is −easiness here,
# and items with the same features have the same difficulty.

# %%
picture = lltm.plot("wright", colour="btype")
drawn = picture.data
show(drawn.merge(design[["item", "situ", "mode"]]).drop_duplicates("difficulty").head(4))
assert drawn["difficulty"].round(6).nunique() == 12

# %% [markdown]
# ## Logits, odds, probabilities
#
# A logit effect beta multiplies the odds of a yes by exp(beta), for every person and whatever the
# other features are. What it does to the probability depends on where one starts. `feature_effects`
# gives the average marginal effect: the probability is averaged over the population of persons with
# the feature and without it, and the difference is averaged over the items.

# %%
effects = lltm.feature_effects()
show(effects)
np.testing.assert_allclose(effects["odds_ratio"], [0.348, 0.130, 0.358, 0.511], atol=1e-3)
np.testing.assert_allclose(effects["probability"], [-0.168, -0.335, -0.172, -0.112], atol=1e-3)

# %% [markdown]
# Shouting rather than cursing multiplies the odds by 0.13, and lowers the probability by 33
# percentage points on average; doing rather than wanting lowers it by 11.
#
# The odds ratio is one of a *person*: the same student facing two items. The odds ratio of
# *proportions in the population* is nearer to 1, since averaging probabilities over persons
# flattens the curve. `predict` does both: `effects="zero"` is the person of average ability,
# `effects="average"` the population.

# %%
cells = va.assign(
    person=lltm.predict(effects="zero"),
    population=lltm.predict(effects="average"),
    observed=(va["r2"] == "Y").astype(float),
)
table = cells.groupby(["btype", "situ", "mode"], observed=True, as_index=False)[
    ["person", "population", "observed"]
].mean()
show(table)


def odds_ratio(probability: pd.Series) -> float:
    """Return the odds ratio of shout against curse: other to blame, want."""
    easy = table[(table["situ"] == "other") & (table["mode"] == "want")]
    p = probability[easy.index].set_axis(easy["btype"])
    return p["shout"] / (1 - p["shout"]) * (1 - p["curse"]) / p["curse"]


print(f"\nodds ratio shout : curse, same person {odds_ratio(table['person']):.3f}, ", end="")
print(f"population {odds_ratio(table['population']):.3f}")
assert abs(odds_ratio(table["person"]) - 0.130) < 1e-3
assert abs(odds_ratio(table["population"]) - 0.214) < 1e-3

# %% [markdown]
# ## Do the features explain the items?
#
# The LLTM is the Rasch model with its 24 easinesses restricted to a space of 5 dimensions. The
# likelihood-ratio test of that restriction (Fischer, 1973) has 24 − 5 = 19 degrees of freedom.

# %%
rasch = eirt.rasch(va, **columns)
test = eirt.compare(lltm, rasch)
show(test[["model", "n_params", "loglik", "aic", "bic", "against", "chi2", "df"]])
print(f"p = {test['p'][1]:.1e}")

assert test["against"][1] == "LLTM" and test["df"][1] == 19
assert abs(test["chi2"][1] - 159.42) < 0.02 and test["p"][1] < 1e-20
assert test["aic"].idxmin() == 1 and test["bic"].idxmin() == 0

# %% [markdown]
# chi-square = 159.4 on 19 degrees of freedom: the features do not explain everything. Before one
# throws them away, one should see how much they do explain: set the easiness that features predict
# against the free one of the Rasch model.

# %%
items = lltm.items[["item", "easiness"]].rename(columns={"easiness": "predicted"})
items["free"] = rasch.items["easiness"]
items["difference"] = items["free"] - items["predicted"]
r = items["predicted"].corr(items["free"])
by_size = items.sort_values("difference", key=np.abs, ascending=False)
show(by_size.head(6))
print(f"\ncorrelation {r:.3f}, squared {r**2:.3f}")

assert abs(r - 0.943) < 1e-3
assert by_size["item"].iloc[0] == "S3DoShout"
assert list(items["item"]) == list(rasch.items["item"])

# %% [markdown]
# Four effects account for 89% of the variance among 24 items, and yet the test rejects with p below
# 10^-20. Both are true: 7,584 responses are enough to see that items stray from their features by
# several tenths of a logit. The test asks whether the features explain the items *perfectly*, which
# few lists of features do. AIC sides with Rasch, BIC with the LLTM.
#
# What the rejection does mean is that the LLTM's standard errors cannot be trusted: they hold only
# if nothing is left unexplained. The third tutorial keeps the features and gives each item a random
# residual.
#
# ## Probit instead of logit
#
# The link is one argument. The normal ogive model has the same effects in another unit, that of a
# standard normal instead of a standard logistic residual.

# %%
probit = eirt.lltm(va, features, family=eirt.Bernoulli("probit"), name="LLTM, probit", **columns)
units = pd.DataFrame(
    {
        "term": [*lltm.fixed["term"], "sd of persons"],
        "logit": [*lltm.fixed["estimate"], lltm.random["sd"].iloc[0]],
        "probit": [*probit.fixed["estimate"], probit.random["sd"].iloc[0]],
    }
)
units["ratio"] = units["logit"] / units["probit"]
show(units)
difference = np.abs(lltm.predict(effects="average") - probit.predict(effects="average")).max()
print(f"\nlog-likelihoods {lltm.loglik:.2f} (logit), {probit.loglik:.2f} (probit)")
print(f"largest difference of predicted proportions {difference:.4f}")

assert units["ratio"].between(1.68, 1.72).all()
assert abs(probit.loglik - -4118.964) < 1e-3
assert difference < 0.005
assert abs(np.pi / np.sqrt(3) - 1.81) < 0.005

# %% [markdown]
# Every ratio is about 1.7, the familiar constant D of item response theory. (The ratio of the
# standard deviations of the two residuals is pi / sqrt(3) = 1.81; 1.7 makes the two curves closest,
# Camilli, 1994.) The predicted proportions differ by less than half a percentage point. The two
# models have equally many parameters, and logit fits better by 2.4 units of log-likelihood.
#
# ## Persons
#
# Features of persons explain ability as features of items explain easiness. `ability=` makes the
# model a latent regression, and with item features doubly explanatory (De Boeck & Wilson, 2004):
#
#     theta_p = gamma_1 Anger_p + gamma_2 male_p + residual_p,   residual_p ~ N(0, sigma^2)

# %%
both = eirt.lltm(va, features, ability="~ Anger + Gender", name="LLTM + persons", **columns)
show(both.fixed.drop(columns="p"))
explained = 1 - both.random["variance"].iloc[0] / lltm.random["variance"].iloc[0]
test = eirt.compare(lltm, both)
print(f"\nresidual variance {both.random['variance'].iloc[0]:.3f}, ", end="")
print(f"without features of persons {lltm.random['variance'].iloc[0]:.3f}: ", end="")
print(f"{explained:.1%} explained")
print(f"chi2 = {test['chi2'][1]:.2f} on {test['df'][1]:.0f} df, p = {test['p'][1]:.4f}")

term = both.fixed.set_index("term")
assert abs(term.loc["Anger", "estimate"] - 0.0562) < 1e-3
assert abs(term.loc["Anger", "se"] - 0.0165) < 1e-3
assert term.loc["Gender[M]", "lower"] < 0 < term.loc["Gender[M]", "upper"]
assert abs(both.loglik - -4109.6485) < 1e-3
assert abs(test["chi2"][1] - 13.93) < 0.01 and test["df"][1] == 2
assert 0.04 < explained < 0.055
np.testing.assert_allclose(
    both.fixed["estimate"][1:5], lltm.fixed["estimate"][1:5], atol=0.001
)  # what items do does not depend on what is known of persons

# %% [markdown]
# A point of trait anger multiplies the odds by 1.06, ten points by 1.75. The difference between men
# and women has an interval that includes zero. Together they explain 5% of the variance of persons.
# The effects of items hardly move; the intercept does, since it now speaks of a woman with anger 0,
# which nobody in these data is. Abilities from `persons()` include what the covariates predict, on
# that same origin.
#
# The regression happens inside the model, in one step. Two steps, first abilities, then a
# regression of them, give a coefficient that is too small: EAP estimates are shrunken towards the
# mean, by a factor that is about their reliability.

# %%
ten = np.exp(10 * term.loc["Anger", "estimate"])
people = va.drop_duplicates("id")[["id", "Anger", "Gender"]].astype({"id": str})
eap = lltm.persons("EAP").astype({"id": str}).merge(people, on="id")
x = np.column_stack([np.ones(len(eap)), eap["Anger"], eap["Gender"] == "M"]).astype(float)
two_steps = np.linalg.lstsq(x, eap["ability"].to_numpy(), rcond=None)[0][1]
reliability = lltm.persons("EAP").attrs["reliability"]
ratio = two_steps / term.loc["Anger", "estimate"]
print(f"ten points of anger: odds ratio {ten:.2f}")
print(f"effect of Anger: one step {term.loc['Anger', 'estimate']:.4f}, two steps {two_steps:.4f}")
print(f"ratio {ratio:.3f}, reliability {reliability:.3f}")

assert abs(ten - 1.75) < 0.02
assert people["Anger"].min() > 10
assert abs(ratio - reliability) < 0.03

# %% [markdown]
# ## References
#
# - Camilli, G. (1994). Origin of the scaling constant d = 1.7 in item response theory. *Journal of
#   Educational and Behavioral Statistics*, 19, 293–295.
# - De Boeck, P., & Wilson, M. (Eds.) (2004). *Explanatory item response models*. Springer.
# - Fischer, G. H. (1973). The linear logistic test model as an instrument in educational research.
#   *Acta Psychologica*, 37, 359–374.
# - Vansteelandt, K. (2000). *Formal models for contextualized personality psychology*. Doctoral
#   dissertation, K.U. Leuven.
