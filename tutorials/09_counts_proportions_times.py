# %% [markdown]
# # Counts, proportions, times, and two responses at once
#
# A response need not be right or wrong. This tutorial goes through the other families: counts
# (ticks on grouse chicks), numbers of successes out of several trials (verbal aggression, summed),
# times (reading words), and accuracy and time together. Predictors, random effects and everything
# that follows from a fit are the same throughout; only `family` changes.

# %%
import numpy as np
import pandas as pd

import eirt


def show(frame: pd.DataFrame, digits: int = 3) -> None:
    """Print a table without its index."""
    print(frame.round(digits).to_string(index=False))


# %% [markdown]
# ## Counts
#
# Rasch's first model was for counts of reading errors (1960): the logarithm of the expected count
# is a sum of what the item and the person contribute,
#
#     y_pi ~ Poisson(exp(theta_p + easiness_i)).
#
# `eirt.poisson_counts` is that model. Here the counts are ticks on 403 grouse chicks, in 118 broods
# at 63 locations, in three years and at various heights above the sea (Elston et al., 2001). Ticks
# come in clusters: far more chicks have none, or many, than a Poisson distribution allows. Three
# answers: a random effect for every chick, a negative binomial distribution, extra zeros.

# %%
ticks = eirt.load("grouseticks")
formula = "TICKS ~ YEAR + cHEIGHT + (1 | LOCATION)"
poisson = eirt.eirm(ticks, formula, family=eirt.Poisson(), name="Poisson")
inflated = eirt.eirm(ticks, formula, family=eirt.ZeroInflated(eirt.Poisson()), name="extra zeros")
negative = eirt.eirm(ticks, formula, family=eirt.NegativeBinomial(), name="negative binomial")
fits = [poisson, inflated, negative]
show(pd.DataFrame({"family": [f.name for f in fits], "loglik": [f.loglik for f in fits],
                   "aic": [f.aic for f in fits]}), 1)  # fmt: skip
show(negative.response_parameters)

assert all(fit.converged for fit in fits)
assert poisson.loglik < inflated.loglik < negative.loglik

# %% [markdown]
# The negative binomial wins by more than two hundred units of log-likelihood with one parameter:
# chicks differ, but those without ticks are no kind of their own. The model of the original study
# has an effect for each chick, brood and location. R's lme4 gives the numbers in the assertion.

# %%
nested = eirt.eirm(
    ticks,
    "TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)",
    family=eirt.Poisson(),
    likelihood=eirt.Laplace(),
)
show(nested.fixed[["term", "estimate", "se", "p"]])
show(nested.random[["group", "variance", "sd"]])
np.testing.assert_allclose(nested.fixed["estimate"], [0.3728, 1.1804, -0.9787, -0.0238], atol=1e-3)
np.testing.assert_allclose(nested.random["variance"], [0.5625, 0.2932, 0.2796], atol=3e-3)

# %% [markdown]
# ## Proportions
#
# Each student answered four questions about each way of reacting, whether wanting or doing. The sum
# of the four is binomial if, given ability, answers are independent and the questions equally easy.
# The number of trials is a column of the data: `eirt.Binomial("trials")`.

# %%
va = eirt.load("verbagg")
sums = (
    va.assign(yes=(va["r2"] == "Y").astype(int))
    .groupby(["id", "btype", "mode"], observed=True, as_index=False)
    .agg(yes=("yes", "sum"), trials=("yes", "size"))
)
formula = "yes ~ btype + mode + (1 | id)"
binomial = eirt.eirm(sums, formula, family=eirt.Binomial("trials"), name="binomial")
single = eirt.eirm(va, "r2 ~ btype + mode + (1 | id)", name="single answers")
np.testing.assert_allclose(binomial.fixed["estimate"], single.fixed["estimate"], atol=1e-5)

# %% [markdown]
# Estimates equal those from single answers: sums are all that the model reads. But four answers of
# a student to similar questions resemble each other more than ability explains. The beta-binomial
# family lets the probability vary between sets of four; its `precision` is infinite for the
# binomial.

# %%
beta = eirt.eirm(sums, formula, family=eirt.BetaBinomial("trials"), name="beta-binomial")
show(beta.response_parameters)
gain = 2 * (beta.loglik - binomial.loglik)
print(f"2 x difference of log-likelihoods: {gain:.1f}")
widths = beta.fixed["se"] / binomial.fixed["se"]
print("standard errors are larger by", (widths - 1).round(2).tolist())
assert gain > 200 and (widths > 1).all()

# %% [markdown]
# ## Times
#
# Twenty-five persons decided whether a string is an English word (Freeman, Heathcote, Chalmers &
# Hockley, 2010). Logarithms of their times are about normal, and persons and words both differ:
# a crossed model of log time. `LogGaussian` is the lognormal distribution, so that log-likelihoods
# are those of times, and can be compared with other families of times.

# %%
decisions = eirt.load("fhch2010").query("task == 'lexdec' and stimulus == 'word'")
decisions = decisions.assign(resp=decisions["correct"].astype(int))
formula = "rt ~ frequency + density + (1 | id) + (1 | item)"
lognormal = eirt.eirm(decisions, formula, family=eirt.LogGaussian())
show(lognormal.fixed[["term", "estimate", "se", "p"]])
faster = lognormal.fixed.set_index("term").loc["frequency[high]", "estimate"]
print(f"frequent words take {100 * (1 - np.exp(faster)):.0f}% less time")
assert lognormal.converged and -0.1 < faster < -0.05

# %% [markdown]
# Where items are few and effects of their own, `eirt.lognormal_rt` is van der Linden's (2006)
# measurement model: a speed for each person, an intensity and a residual sd for each item.
#
# ## Accuracy and time together
#
# Are the able fast? Do words that are hard take longer? Each decision has two responses, of two
# families, whose random effects correlate (van der Linden, 2007):
#
#     logit P(right_pi) = theta_p + easiness_i
#     log time_pi       = intensity_i - speed_p + error
#
# `eirt.joint_rt` makes two rows of each decision and lets `eirt.Mixed` choose the family of each by
# the column `measure`. With `features` they are explained: each feature has an effect on accuracy
# and one on log time. To keep the example quick it takes words of five letters.

# %%
short = decisions[decisions["length"] == "5"]
joint = eirt.joint_rt(short, features="~ frequency", likelihood=eirt.Laplace(), check=False)
show(joint.random[["group", "term", "sd", "correlation"]])
show(joint.fixed[["term", "estimate", "se", "p"]])
effects = joint.fixed.set_index("term")["estimate"]
assert joint.converged
assert (
    effects["measure[accuracy]:frequency[high]"] > 1 > 0 > effects["measure[time]:frequency[high]"]
)

# %% [markdown]
# Frequent words are recognised more often and sooner. The correlation between ability and speed
# says whether the able are fast; that between the two effects of words, whether words that are
# easy take less time (it is negative if so). Twenty-five persons are few for the first. The second
# runs into its limit of -1 here: beyond frequency, words of one length hardly differ in time (sd
# .02), and how that little goes with easiness cannot be told.
#
# Any families go together in this way: multiple-choice items with guessing beside graded essays,
# a count beside a rating. Name them, and the column that says which is which:

# %%
code = va["resp"].cat.codes.to_numpy()
wants = (va["mode"] == "want").to_numpy()
formats = va.assign(score=np.where(wants, np.minimum(code, 1), code),
                    format=np.where(wants, "yes or no", "graded"))  # fmt: skip
families = {"yes or no": eirt.Bernoulli(), "graded": eirt.Cumulative()}
mixed = eirt.two_pl(formats, response="score", family=eirt.Mixed(families, "format"), by_item=True)
graded = eirt.grm(formats, response="score")
show(mixed.difficulty()[["item", "threshold", "discrimination", "difficulty"]].iloc[[0, 1, -2, -1]])
assert abs(mixed.loglik - graded.loglik) < 1e-6
