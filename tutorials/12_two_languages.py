# %% [markdown]
# # Two languages
#
# An item response model is a generalised linear mixed model, and the other way round. What one
# reader calls the difficulty of an item and the ability of a person is to another a fixed effect
# and a random intercept. This tutorial fits one model under both names and translates: from logits
# to odds to probabilities, from effects for a given person to effects on average over persons, and
# from one model's scale to another's.

# %%
import numpy as np
import pandas as pd

import eirt


def show(frame: pd.DataFrame, digits: int = 2) -> None:
    """Print a table without its index."""
    print(frame.round(digits).to_string(index=False))


# %% [markdown]
# ## One model, twice
#
# The linear logistic test model explains difficulty by features of items. As a mixed model it is a
# logistic regression with a random intercept of the person. Both doors give the same fit; only the
# sign of effects differs between the tables: `fixed` is about easiness, `difficulty()` about
# difficulty.

# %%
va = eirt.load("verbagg")
irt = eirt.lltm(va, "~ btype + situ + mode", person="id", item="item", response="r2")
glmm = eirt.eirm(va, "r2 ~ btype + situ + mode + (1 | id)")
show(glmm.fixed[["term", "estimate", "se", "odds_ratio"]], 3)
show(irt.difficulty()[["item", "difficulty", "se"]].head(3), 3)

assert abs(irt.loglik - glmm.loglik) < 1e-6
first = glmm.predict(va.iloc[[0]], scale="logit", effects="zero")[0]
assert abs(irt.difficulty().loc[0, "difficulty"] + first) < 1e-6

# %% [markdown]
# ## Logits, odds, probabilities
#
# The predictor is in logits; its exponential is odds, and its inverse logit a probability. Here are
# three readings of the easiest and the hardest kind of item, for a student of average ability. The
# limits are made in logits, where estimates are about normal, and carried to the other scales.

# %%
kinds = pd.DataFrame(
    {"btype": ["curse", "shout"], "situ": ["other", "self"], "mode": ["want", "do"]}
)
person = glmm.predict_intervals(kinds, effects="zero")
scales = [
    f"{scale}{part}" for scale in ("odds", "probability") for part in ("", "_lower", "_upper")
]
show(person[["logit", "logit_lower", "logit_upper", *scales]])
np.testing.assert_allclose(person["odds"], np.exp(person["logit"]))
np.testing.assert_allclose(person["probability"], person["odds"] / (1 + person["odds"]))

# %% [markdown]
# ## One person, and the average over persons
#
# Of a student of average ability we expect a yes to the easiest kind of item with probability .85.
# Of *all* students 79% say yes: ability varies, and the curve is flat at the top, so that students
# below the mean lose more than those above it gain.

# %%
average = glmm.predict_intervals(kinds, effects="average")
observed = va.assign(yes=va["r2"] == "Y").merge(kinds).groupby("btype", observed=True)["yes"].mean()
table = kinds.assign(
    person=person["probability"],
    average=average["probability"],
    lower=average["probability_lower"],
    upper=average["probability_upper"],
    observed=observed[kinds["btype"]].to_numpy(),
)
show(table)
assert abs(table.loc[0, "person"] - 0.851) < 1e-3 and abs(table.loc[0, "average"] - 0.789) < 1e-3
assert (table["average"] - table["observed"]).abs().max() < 0.05

# %% [markdown]
# Effects shrink likewise. The odds ratio 0.13 of shouting against cursing is that of *one student*
# facing two items. The odds ratio of *proportions* of students, which a survey would report, is
# 0.21. `population_effects` has both, with standard errors of the averaged ones. They are close to
# what a logistic regression without any random effect finds: that regression is no approximation of
# the mixed model but an answer to the other question (with standard errors that are wrong, as it
# takes 24 answers of a student for those of 24 students).

# %%
effects = glmm.population_effects()
show(
    effects[
        ["term", "conditional", "average", "se", "conditional_odds_ratio", "average_odds_ratio"]
    ]
)
x, y = glmm.design.x_of(np.arange(glmm.n_obs)), glmm.design.y
ignoring = np.zeros(x.shape[1])
for _ in range(20):  # Newton's method
    p = 1 / (1 + np.exp(-x @ ignoring))
    ignoring += np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (y - p))
print("logistic regression:", ignoring.round(2))

np.testing.assert_allclose(effects["average"], ignoring, atol=0.02)
np.testing.assert_allclose(effects["ratio"], 0.755, atol=0.005)
shout = effects.set_index("term").loc["btype[shout]"]
assert abs(shout["conditional_odds_ratio"] - 0.130) < 1e-3
assert abs(shout["average_odds_ratio"] - 0.215) < 1e-3

# %% [markdown]
# How much effects shrink depends on the variance of the random effects: by about
# 1 / sqrt(1 + 0.346 v) in logits (Zeger, Liang & Albert, 1988). With a probit link it is
# 1 / sqrt(1 + v), exactly, as the sum of two normal variables is normal.

# %%
v = glmm.random.loc[0, "variance"]
probit = eirt.eirm(va, "r2 ~ btype + situ + mode + (1 | id)", family=eirt.Bernoulli("probit"))
w = probit.random.loc[0, "variance"]
print(f"logit: ratio {effects['ratio'].mean():.3f}, approximately {(1 + 0.346 * v) ** -0.5:.3f}")
print(f"probit: ratio {probit.population_effects()['ratio'].mean():.3f}, {(1 + w) ** -0.5:.3f}")
assert abs(effects["ratio"].mean() - (1 + 0.346 * v) ** -0.5) < 0.04
np.testing.assert_allclose(probit.population_effects()["ratio"], (1 + w) ** -0.5, rtol=1e-6)

# %% [markdown]
# ## The unit of a logit
#
# Behind each yes one may imagine a tendency that passes a threshold: the predictor plus noise, of
# variance pi^2 / 3 = 3.29 in logit models and 1 in probit models. That is why logit effects are
# about 1.7 times as large as probit effects. It also lets us say what share of the tendency is due
# to persons: the intraclass correlation, which depends little on the link.

# %%
both = pd.concat([glmm.icc().head(1), probit.icc().head(1)]).assign(link=["logit", "probit"])
show(both[["link", "variance", "icc", "se", "lower", "upper"]], 3)
print("logit / probit:", (glmm.fixed["estimate"] / probit.fixed["estimate"]).round(2).tolist())
assert abs(both["icc"].iloc[0] - 0.355) < 1e-3 and abs(both["icc"].diff().iloc[1]) < 0.04
np.testing.assert_allclose(glmm.fixed["estimate"] / probit.fixed["estimate"], 1.7, atol=0.02)

# %% [markdown]
# The same noise is the unit of every logit model, whatever else is in it. A model that adds a
# random effect has more variance around the same noise, and all its effects grow, though nothing
# about them has changed. Before effects of models with different random parts are compared, they
# are put on one scale, the total variance of the tendency (Bauer, 2009). Doing against wanting goes
# from -0.67 to -0.77 as items and a second dimension of persons are added; on one scale, from -0.67
# to -0.72.

# %%
crossed = eirt.eirm(va, "r2 ~ btype + situ + mode + (1 | id) + (1 | item)")
two_traits = eirt.eirm(va, "r2 ~ btype + situ + mode + (0 + mode | id) + (1 | item)")
scaled = eirt.rescaled(glmm, crossed, two_traits)
doing = scaled[scaled["term"] == "mode[do]"]
show(doing[["fit", "estimate", "se", "factor", "rescaled", "rescaled_se"]], 3)
growth = doing["estimate"].iloc[-1] / doing["estimate"].iloc[0]
left = doing["rescaled"].iloc[-1] / doing["rescaled"].iloc[0]
assert growth > 1.12 and 1.0 < left < growth - 0.04
assert (doing["factor"].diff().dropna() < 0).all()

# %% [markdown]
# ## Who is compared with whom
#
# A predictor that varies between persons and within them has two effects, and one coefficient mixes
# them. In the lexical decision data 25 persons said of 300 letter strings each whether they are
# words. Are slow responses more often right? That may be about persons (the careful ones are slow)
# or about a person's responses (the hard ones take long). `eirt.center` splits the predictor into
# the mean of each person and the deviations from it (Enders & Tofighi, 2007).

# %%
lexical = eirt.load("fhch2010").query("task == 'lexdec'")
lexical = eirt.center(lexical, "log_rt", by="id")
split = eirt.eirm(lexical, "correct ~ stimulus + log_rt_within + log_rt_between + (1 | id)")
mixed = eirt.eirm(lexical, "correct ~ stimulus + log_rt + (1 | id)")
show(split.fixed[["term", "estimate", "se", "z"]])
show(mixed.fixed[["term", "estimate", "se", "z"]])
same = split.test("log_rt_within = log_rt_between")
show(same, 3)

own = split.fixed.set_index("term")
assert own.loc["log_rt_within", "z"] < -5 and abs(own.loc["log_rt_between", "z"]) < 1
pooled = mixed.fixed.set_index("term").loc["log_rt", "estimate"]
assert own.loc["log_rt_within", "estimate"] < pooled < own.loc["log_rt_between", "estimate"]

# %% [markdown]
# A response that takes a person longer than usual is less often right: a logit of -0.84 for each
# unit of log time. Between persons there is no such effect, though with 25 persons its standard
# error is three times as large, so that the two are not shown to differ (p = .08). The single
# coefficient, -0.77, is a weighted mean of both, and describes neither.

# %% [markdown]
# ## References
#
# - Bauer, D. J. (2009). A note on comparing the estimates of models for cluster-correlated or
#   longitudinal data with binary or ordinal outcomes. *Psychometrika, 74*, 97–105.
# - De Boeck, P., & Wilson, M. (Eds.) (2004). *Explanatory item response models*. Springer.
# - Enders, C. K., & Tofighi, D. (2007). Centering predictor variables in cross-sectional multilevel
#   models. *Psychological Methods, 12*, 121–138.
# - Hedeker, D., du Toit, S. H. C., Demirtas, H., & Gibbons, R. D. (2018). A note on marginalization
#   of regression parameters from mixed models of binary outcomes. *Biometrics, 74*, 354–361.
# - Zeger, S. L., Liang, K.-Y., & Albert, P. S. (1988). Models for longitudinal data: a generalized
#   estimating equation approach. *Biometrics, 44*, 1049–1060.
