# %% [markdown]
# # The Rasch model and its GLMM twins
#
# The Rasch model is a generalised linear mixed model: a logistic regression with a fixed effect of
# each item and a random intercept of each person (De Boeck & Wilson, 2004). This tutorial fits it
# three times, as `rasch`, as `one_pl` and as a mixed model with `eirm`, and shows that the three
# are one model on two scales. It then asks when a slope per item (2PL) is worth having.
#
# | | linear predictor, logit P(y = 1) | ability | fixed | estimated |
# |---|---|---|---|---|
# | Rasch | theta_p + e_i | N(0, sigma^2) | slope 1 | sigma |
# | 1PL | a theta_p + e_i | N(0, 1) | sigma 1 | one slope a |
# | GLMM | e_i + u_p | N(0, sigma^2) | | sigma |
# | 2PL | a_i theta_p + e_i | N(0, 1) | sigma 1 | a slope a_i per item |

# %%
import numpy as np
import pandas as pd

import eirt


def show(frame: pd.DataFrame, digits: int = 3) -> None:
    """Print a table without its index."""
    print(frame.round(digits).to_string(index=False))


# %% [markdown]
# ## Verbal aggression: three doors to one model
#
# 316 students said of 24 reactions whether they would show them (`r2`: Y for perhaps or yes).
# `rasch` and `one_pl` ask for the columns; `eirm` takes a formula in lme4's grammar. `0 + item`
# asks for an effect of every item instead of contrasts with a reference item.

# %%
va = eirt.load("verbagg")
columns = {"person": "id", "item": "item", "response": "r2"}

rasch = eirt.rasch(va, **columns)
one_pl = eirt.one_pl(va, **columns)
glmm = eirt.eirm(va, "r2 ~ 0 + item + (1 | id)", name="GLMM")

rasch.summary()
print()
print(repr(one_pl))
print(repr(glmm))

# %% [markdown]
# The summary states the data, the likelihood that was maximised with its own error, and the
# certificate that the maximum was reached. All three log-likelihoods are −4036.90: marginal maximum
# likelihood integrates persons out, and that is what a mixed model does with its random effects.

# %%
assert all(fit.converged for fit in (rasch, one_pl, glmm))
assert all(abs(fit.loglik - -4036.9049) < 1e-3 for fit in (rasch, one_pl, glmm))
assert rasch.n_params == one_pl.n_params == glmm.n_params == 25

# %% [markdown]
# ## Easiness and difficulty
#
# A mixed model adds the item effect, so that a large effect means an item that is easy to agree
# to: an **easiness** e_i. Psychometrics turns its sign and divides by the slope: the **difficulty**
#
#     b_i = −e_i / a          logit P(y = 1) = a theta_p + e_i = a (theta_p − b_i)
#
# In `eirt`, `fit.fixed` and `fit.items` speak of easiness, `fit.difficulty()` of difficulty, with
# standard errors by the delta method. The easiness is the same in all three fits, for it is the
# logit at average ability, whatever the unit of ability. Difficulty has that unit. In the Rasch
# model a = 1, and b is the easiness with its sign turned, in logits; in the 1PL the unit is one
# standard deviation of ability:
#
#     b_1PL = b_Rasch / sigma          a_1PL = sigma

# %%
b_rasch = rasch.difficulty()
b_one_pl = one_pl.difficulty()
sigma = rasch.random["sd"].iloc[0]
a = one_pl.items["discrimination"].iloc[0]

table = pd.DataFrame(
    {
        "item": rasch.items["item"],
        "easiness": rasch.items["easiness"],
        "glmm": glmm.fixed["estimate"],
        "b_rasch": b_rasch["difficulty"],
        "b_1pl": b_one_pl["difficulty"],
        "b_rasch / sigma": b_rasch["difficulty"] / sigma,
    }
)
show(table.head(6))
print(f"\nsd of ability in the Rasch model {sigma:.4f}, slope of the 1PL {a:.4f}")

np.testing.assert_allclose(rasch.items["easiness"], glmm.fixed["estimate"], atol=1e-6)
np.testing.assert_allclose(rasch.items["easiness"], one_pl.items["easiness"], atol=1e-6)
np.testing.assert_allclose(b_rasch["difficulty"], -rasch.items["easiness"], atol=1e-12)
np.testing.assert_allclose(b_one_pl["difficulty"], b_rasch["difficulty"] / sigma, atol=1e-6)
assert abs(a - sigma) < 1e-6 and abs(sigma - 1.3852) < 1e-3

# %% [markdown]
# The scale is a matter of reporting, not of fitting: `difficulty` changes unit and origin of a fit
# that is there. `scale="standard"` shows a Rasch fit as a 1PL. Its standard errors are not those of
# the Rasch model divided by sigma, since sigma is an estimate too; the delta method counts that,
# and agrees with the 1PL. `"items"` as the origin makes difficulties sum to zero, the habit of
# conditional maximum likelihood; the mean ability is then no longer zero.

# %%
standard = rasch.difficulty(scale="standard")
centred = rasch.difficulty("items")
hardest = b_rasch["difficulty"].idxmax()
print(f"hardest item: {b_rasch['item'][hardest]}, b = {b_rasch['difficulty'][hardest]:.3f} logits")
print(f"se of b in the 1PL             {b_one_pl['se'][hardest]:.4f}")
print(f"se of b, Rasch on that scale   {standard['se'][hardest]:.4f}")
print(f"se of b in Rasch, over sigma   {b_rasch['se'][hardest] / sigma:.4f}")
print(f"sum of centred difficulties {abs(centred['difficulty'].sum()):.4f}, ", end="")
print(f"mean ability {centred.attrs['ability_mean']:.3f}")

np.testing.assert_allclose(standard["se"], b_one_pl["se"], rtol=1e-5)
assert abs(standard["se"][hardest] - b_rasch["se"][hardest] / sigma) > 0.005
assert abs(centred["difficulty"].sum()) < 1e-8
assert abs(centred.attrs["ability_mean"] - -0.1649) < 1e-3

# %% [markdown]
# ## Persons
#
# The random intercepts of the mixed model are the abilities. `"EAP"` is the posterior mean,
# `"MAP"` the posterior mode, which mixed-model software calls the conditional mode. In the Rasch
# model the sum score is sufficient: whoever has the same score has the same ability, whichever
# items made it up. Both estimates are shrunken towards the mean, and their standard errors are
# largest at the extremes, where the items tell least.

# %%
eap = rasch.persons("EAP")
mode = rasch.persons("MAP")
scores = pd.DataFrame(
    {
        "score": eap["score"].astype(int),
        "EAP": eap["ability"],
        "se": eap["se"],
        "MAP": mode["ability"],
    }
)
by_score = scores.groupby("score", as_index=False).first()
show(by_score[by_score["score"] % 4 == 0])
spread = eap.groupby("score")["ability"].agg(lambda ability: ability.max() - ability.min())
print(f"\nlargest difference of EAP within a score {spread.max():.1e}")
print(f"empirical reliability {eap.attrs['reliability']:.3f}")

assert spread.max() < 1e-8
assert (by_score["MAP"].abs() < by_score["EAP"].abs()).all()
assert by_score["se"].idxmin() not in (0, 24) and by_score["se"].iloc[[0, 24]].min() > 0.74
assert abs(eap.attrs["reliability"] - 0.8736) < 1e-3
np.testing.assert_allclose(one_pl.persons()["ability"], eap["ability"] / sigma, atol=1e-6)
np.testing.assert_allclose(glmm.persons()["ability"], eap["ability"], atol=1e-6)

# %% [markdown]
# ## Persons and items on one scale
#
# Since difficulty has the unit of ability, both fit on one axis. A person as able as an item is
# difficult agrees with probability 1/2. Every `plot` carries the numbers that it draws in `.data`;
# in a notebook the picture shows by itself, and `.save("wright.pdf")` writes it.

# %%
picture = rasch.plot("wright", colour="btype")
drawn = picture.data
show(drawn.sort_values("difficulty").iloc[[0, 1, -2, -1]])
means = drawn.groupby("btype", observed=True)["difficulty"].mean()
show(means.reset_index())
below = (eap["ability"] < drawn["difficulty"].min()).sum()
above = (eap["ability"] > drawn["difficulty"].max()).sum()
print(f"\npersons below the easiest item {below}, above the hardest {above}, of {len(eap)}")

np.testing.assert_allclose(drawn["difficulty"], b_rasch["difficulty"])
assert sum(drawn.attrs["persons"]["count"]) == 316
assert means["curse"] < means["scold"] < means["shout"]
assert (below, above) == (25, 5)

# %% [markdown]
# The behaviours are ordered: cursing is easy, scolding harder, shouting hardest. The next tutorial
# makes that a model. The items span the persons well, at the low end less so: 25 students are less
# inclined to verbal aggression than even the easiest item asks for.
#
# ## When is 2PL better?
#
# In a_i theta_p both factors are unknown. A generalised *linear* mixed model has no place for such
# a product; the 2PL is a nonlinear mixed model, and programs like lme4 cannot fit it. Two data sets
# show what the step is worth: five items of the Law School Admission Test (`lsat7`, one row a
# person and one column an item, hence `wide=True`) and verbal aggression.

# %%
lsat = eirt.load("lsat7")
lsat_rasch = eirt.rasch(lsat, wide=True)
lsat_one_pl = eirt.one_pl(lsat, wide=True)
lsat_two_pl = eirt.two_pl(lsat, wide=True)
long = lsat.rename_axis("id").reset_index().melt("id", var_name="item", value_name="resp")
lsat_glmm = eirt.eirm(long, "resp ~ 0 + item + (1 | id)", name="GLMM")

columns_of_test = ["model", "n_params", "loglik", "aic", "bic", "against", "chi2", "df", "p"]
lsat_table = eirt.compare(lsat_rasch, lsat_one_pl, lsat_glmm, lsat_two_pl)
show(lsat_table[columns_of_test])

np.testing.assert_allclose(lsat_table["loglik"][:3], -2664.9009, atol=1e-3)
assert abs(lsat_table["chi2"][3] - 12.19) < 0.01 and lsat_table["df"][3] == 4
assert abs(lsat_table["p"][3] - 0.016) < 1e-3
assert lsat_table["aic"].idxmin() == 3 and lsat_table["bic"].idxmin() < 3

# %%
two_pl = eirt.two_pl(va, **columns)
va_table = eirt.compare(rasch, two_pl)
show(va_table[columns_of_test])
slopes = two_pl.items.sort_values("discrimination")
show(slopes[["item", "discrimination", "discrimination_se"]].iloc[[0, 1, -2, -1]])

assert abs(va_table["chi2"][1] - 40.96) < 0.01 and va_table["df"][1] == 23
assert abs(va_table["p"][1] - 0.012) < 1e-3
assert va_table["aic"].idxmin() == 0 and va_table["bic"].idxmin() == 0
assert list(slopes["item"].iloc[[0, -1]]) == ["S3WantCurse", "S1DoScold"]

# %% [markdown]
# The likelihood-ratio test rejects equal slopes in both, at p = .016 and p = .012. The question of
# prediction has another answer. On `lsat7` AIC prefers the 2PL by 4, on verbal aggression, where 23
# more slopes are to be paid for, it prefers Rasch by 5. BIC, whose price is log(responses) per
# parameter, prefers Rasch in both. Rasch and 1PL are not tested against each other: they have the
# same parameters and the same likelihood.
#
# On `lsat7` it is Q3 that stands out, with a slope more than twice those of Q4 and Q5:

# %%
show(lsat_two_pl.difficulty()[["item", "discrimination", "discrimination_se", "difficulty", "se"]])
curves = lsat_two_pl.plot("icc", items=["Q3", "Q5"]).data
steepest = curves.groupby("item")["probability"].apply(lambda p: p.diff().max())
print(f"\nsteepest step of the curve: Q3 {steepest['Q3']:.3f}, Q5 {steepest['Q5']:.3f}")

a_of = lsat_two_pl.items.set_index("item")["discrimination"]
assert a_of.idxmax() == "Q3" and (a_of["Q3"] > 2 * a_of[["Q4", "Q5"]]).all()
assert steepest["Q3"] > 2 * steepest["Q5"]

# %% [markdown]
# With unequal slopes the sum score is no longer sufficient: a right answer to Q3 counts for more.
# Among examinees with two items right, the ability depends on which two.

# %%
with_two = lsat_two_pl.persons().query("score == 2")
print(f"EAP at score 2: {with_two['ability'].min():.2f} to {with_two['ability'].max():.2f}")
assert with_two["ability"].max() - with_two["ability"].min() > 0.3

# %% [markdown]
# ## References
#
# - Birnbaum, A. (1968). Some latent trait models. In F. M. Lord & M. R. Novick, *Statistical
#   theories of mental test scores*. Addison-Wesley.
# - De Boeck, P., & Wilson, M. (Eds.) (2004). *Explanatory item response models*. Springer.
# - Rasch, G. (1960). *Probabilistic models for some intelligence and attainment tests*. Danish
#   Institute for Educational Research.
# - Wright, B. D., & Masters, G. N. (1982). *Rating scale analysis*. MESA Press.
