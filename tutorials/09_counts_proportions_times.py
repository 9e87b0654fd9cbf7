# %% [markdown]
# # Counts, proportions, times, and two responses at once
#
# An item response need not be a choice. It may be a number of errors, a number of successes out of
# so many trials, or the seconds that an answer took. The model stays what it was: a linear
# predictor of items and persons, or of their features, with random effects. Only the distribution
# of the response given the predictor changes, and with it one more question: is the spread of the
# responses what that distribution says it is?

# %%
import numpy as np
import pandas as pd
from scipy.special import gammaln

import eirt


def show(frame: pd.DataFrame, digits: int = 3) -> None:
    """Print a table without its index."""
    print(frame.round(digits).to_string(index=False))


# %% [markdown]
# ## Errors: the Rasch model of counts
#
# Rasch's (1960) book begins with it: the number of misreadings of child p in text i is Poisson
# distributed, its mean a product of a person's and a text's parameter,
#
#     y_pi ~ Poisson(exp(theta_p + e_i)),   theta_p ~ N(0, sigma^2)
#
# In the data of Freeman et al. (2010) 25 persons decided of some 300 strings of letters whether
# they were words. We count the errors of each person in eight kinds of strings, about 37 strings
# each.

# %%
lexdec = eirt.load("fhch2010").query("task == 'lexdec'")
kind = lexdec[["stimulus", "frequency", "density"]].astype(str).agg(" ".join, axis=1)
errors = (
    lexdec.assign(kind=kind, error=~lexdec["correct"])
    .groupby(["id", "kind"], observed=True, as_index=False)["error"]
    .sum()
)
misreadings = eirt.poisson_counts(errors, item="kind", response="error")
show(misreadings.items[["item", "mean", "easiness", "se"]])

assert misreadings.converged and misreadings.n_params == 9
assert abs(misreadings.loglik - -258.1499) < 1e-3
assert errors["error"].sum() == 262

# %% [markdown]
# Easiness is the logarithm of the mean count of an average person: here easy means that errors come
# easily. Frequent words are hardly ever missed; nonwords that look like many words often pass for
# one. As in the Rasch model, the total is all that a person's counts say of ability:

# %%
persons = misreadings.persons()
table = persons.groupby("score")["ability"].agg(["size", "min", "max"]).reset_index()
show(table.query("size > 1"))
np.testing.assert_allclose(table["min"], table["max"], atol=1e-9)
assert persons["ability"].corr(persons["score"], method="spearman") > 0.999

# %% [markdown]
# ## Ticks: overdispersion
#
# The variance of a Poisson variable is its mean. Counts in nature often vary more. Elston et al.
# (2001) counted ticks on the heads of 403 grouse chicks of 118 broods. Brood is the random effect;
# year and height above sea level are features of broods.

# %%
ticks = eirt.load("grouseticks")
formula = "TICKS ~ YEAR + cHEIGHT + (1 | BROOD)"
poisson = eirt.eirm(ticks, formula, family=eirt.Poisson(), name="Poisson")
expected = poisson.predict()
pearson = ((ticks["TICKS"] - expected) ** 2 / expected).sum() / len(ticks)
print(f"log-likelihood {poisson.loglik:.3f}, Pearson statistic / n = {pearson:.2f}")

assert abs(poisson.loglik - -988.9549) < 1e-3
assert abs(pearson - 1.76) < 0.01

# %% [markdown]
# Squared residuals are three quarters larger than they should be, although each brood has a level
# of its own that was fitted to it. The negative binomial family has one parameter more, its size k:
#
#     E(y) = mu,   var(y) = mu + mu^2 / k
#
# It is the Poisson family with a gamma distributed effect of each chick. There is another
# explanation, that some chicks are out of the reach of ticks: the zero-inflated family gives 0 with
# a probability of its own, and a Poisson count otherwise (Lambert, 1992).

# %%
families = {
    "negative binomial": eirt.NegativeBinomial(),
    "zero-inflated Poisson": eirt.ZeroInflated(eirt.Poisson()),
}
fits = [poisson] + [eirt.eirm(ticks, formula, family=f, name=n) for n, f in families.items()]
table = pd.DataFrame(
    {
        "family": [fit.name for fit in fits],
        "n_params": [fit.n_params for fit in fits],
        "loglik": [fit.loglik for fit in fits],
        "aic": [fit.aic for fit in fits],
        "height": [fit.fixed["estimate"][3] for fit in fits],
        "se": [fit.fixed["se"][3] for fit in fits],
        "sd of broods": [fit.random["sd"][0] for fit in fits],
    }
)
show(table, 4)
_, negative, inflated = fits
size = negative.response_parameters["estimate"][0]
zero = inflated.response_parameters["estimate"][0]
print(f"size {size:.2f}; extra zeros {zero:.3f}")

np.testing.assert_allclose(table["loglik"], [-988.9549, -889.6051, -981.6000], atol=1e-3)
assert abs(size - 3.276) < 0.01 and abs(zero - 0.030) < 0.002

# %% [markdown]
# 126 of 403 chicks have no tick, and still it is not zeros that the Poisson family lacks. What both
# families predict, brood by brood, says so:

# %%
none = np.exp(-expected)
mu = negative.predict()
few = (size / (size + mu)) ** size
print(f"chicks without ticks: {(ticks['TICKS'] == 0).sum()} observed, ", end="")
print(f"{none.sum():.0f} by the Poisson, {few.sum():.0f} by the negative binomial family")
gain = negative.loglik - poisson.loglik
print(f"chi2 = {2 * gain:.1f} for one parameter, at the bound of an infinite size")
assert gain > 99

# %% [markdown]
# With size in the model no extra zeros are left to explain: `ZeroInflated(NegativeBinomial())`
# would put them at probability 0. The effect of height is the same in all three, −.024 a metre,
# half as many ticks every 29 metres. It describes broods, and the effect of broods protects its
# standard error; a feature of single chicks would have been judged far too precise.
#
# ## Proportions
#
# Of the eight questions about cursing, to how many did a student say yes? If the eight answers are
# independent given the student, and equally likely, the number is binomial:
#
#     y_pb ~ Binomial(n_pb, F(theta_p + e_b))
#
# `Binomial("questions")` reads n from a column, which may differ between rows; `Binomial(8)` would
# do here. Nothing is new: with the same features, the logistic regression of the single answers has
# the same estimates, and a log-likelihood that differs by the number of orders in which y yeses
# come.

# %%
va = eirt.load("verbagg")
answers = va.assign(yes=(va["r2"] == "Y").astype(int)).groupby(["id", "btype"], observed=True)
sums = answers["yes"].agg(yes="sum", questions="size").reset_index()
show(sums.head(3))

binomial = eirt.eirm(sums, "yes ~ btype + (1 | id)", family=eirt.Binomial("questions"))
single = eirt.eirm(va, "r2 ~ btype + (1 | id)")
y, n = sums["yes"], sums["questions"]
orders = (gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)).sum()
print(f"log-likelihoods {binomial.loglik:.4f} and {single.loglik:.4f} + {orders:.4f}")

assert abs(binomial.loglik - (single.loglik + orders)) < 1e-6
np.testing.assert_allclose(binomial.fixed["estimate"], single.fixed["estimate"], atol=1e-6)
assert abs(binomial.loglik - -1973.1587) < 1e-3

# %% [markdown]
# The beta-binomial family lets the eight answers share more than the model says: the chance of a
# yes varies over students and behaviours with a beta distribution, of precision phi, around its
# mean. Two answers then correlate by 1 / (phi + 1) beyond what ability explains.

# %%
beta = eirt.eirm(sums, "yes ~ btype + (1 | id)", family=eirt.BetaBinomial("questions"))
precision = beta.response_parameters["estimate"][0]
table = binomial.fixed[["term", "estimate", "se"]].merge(
    beta.fixed[["term", "estimate", "se"]], on="term", suffixes=("_binomial", "_beta")
)
show(table)
print(f"log-likelihood {beta.loglik:.3f}, correlation {1 / (precision + 1):.3f}")

assert abs(beta.loglik - -1883.5150) < 1e-3
assert abs(1 / (precision + 1) - 0.126) < 2e-3
ratio = table["se_beta"] / table["se_binomial"]
assert (ratio[1:] > 1.3).all()

# %% [markdown]
# 90 units of log-likelihood for one parameter, and standard errors of behaviours that are a third
# larger. Someone who curses more than her level of aggression suggests does so in all situations.
# In the language of tests the eight questions are a testlet; `(1 | id:btype)` on the single answers
# models the same surplus as a random effect.
#
# ## Response times
#
# Times are positive, skewed, and vary in proportion to their length. Their logarithm is closer to
# normal (van der Linden, 2006):
#
#     log t_pi ~ N(intensity_i - speed_p, sd_i^2)
#
# A fast person spends less time on all items; a time-intensive item takes longer from everybody.
# `lognormal_rt` fits this model, each item with its own residual sd. We take correct decisions on
# the 30 words that were answered most often.

# %%
words = lexdec.query("correct and stimulus == 'word'").reset_index(drop=True)
chosen = words["item"].value_counts().index[:30]
some = words[words["item"].isin(chosen)]
own = eirt.lognormal_rt(some, name="sd of each word")
common = eirt.lognormal_rt(some, by_item=False, name="one sd")
table = eirt.compare(common, own)
show(table[["model", "n_params", "loglik", "aic", "chi2", "df"]])
sds = own.response_parameters["estimate"]
print(f"sd of speed {own.random['sd'][0]:.3f}, residual sd {sds.min():.2f} to {sds.max():.2f}")

assert own.converged and own.n_params == 61
assert table["df"][1] == 29 and table["p"][1] < 1e-5
assert abs(own.random["sd"][0] - 0.255) < 2e-3

# %% [markdown]
# ## What makes a word slow
#
# With 300 words the sensible model is the explanatory one: features of words, and persons and words
# crossed as random effects. Normal log times make Laplace's approximation exact, so that this is
# the same mixed model that lme4 fits to log times. `LogGaussian` states densities of *seconds*, so
# that its log-likelihood can be compared with other families of times.

# %%
features = "~ frequency + density + length + (1 | id) + (1 | item)"
times = eirt.eirm(words, f"rt {features}", family=eirt.LogGaussian())
table = times.fixed[["term", "estimate", "se", "p"]].assign(ratio=np.exp(times.fixed["estimate"]))
show(table)
sd = times.random.set_index("group")["sd"]
residual = times.response_parameters["estimate"][0]
print(f"sd: persons {sd['id']:.3f}, words {sd['item']:.3f}, residual {residual:.3f}")

assert abs(times.loglik - -1422.8174) < 1e-3
assert abs(table["ratio"][1] - 0.939) < 1e-3 and table["p"][1] < 1e-5
assert (table["p"][2:] > 0.05).all()
assert sd["item"] < 0.2 * sd["id"]

# %% [markdown]
# Effects on log times are ratios: frequent words take 6% less time. Neighbours and length do
# nothing that 3,572 times could tell. What is left between words is small, a standard deviation of
# 3% against 23% between persons: here features explain items almost completely.

# %%
speed = own.effects("id").set_index("level")["estimate"]
slowness = times.effects("id").set_index("level")["estimate"]
r = speed.corr(-slowness)
print(f"speed from 30 words and from 300: correlation {r:.2f}")
assert r > 0.85

# %% [markdown]
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
decisions = lexdec.query("stimulus == 'word'").assign(resp=lambda d: d["correct"].astype(int))
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

# %% [markdown]
# ## What to remember
#
# - The family says how the spread follows from the mean. Compare it with one that has a parameter
#   more: negative binomial for Poisson, beta-binomial for binomial, own sds for one sd.
# - Overdispersion is unexplained variation between responses; unless a random effect takes it up,
#   standard errors of features at that level are too small.
# - Many zeros are no evidence of extra zeros.
# - Effects on log means and log times are ratios.
#
# ## References
#
# - Elston, D. A., Moss, R., Boulinier, T., Arrowsmith, C., & Lambin, X. (2001). Analysis of
#   aggregation, a worked example: numbers of ticks on red grouse chicks. *Parasitology*, 122,
#   563–569.
# - Freeman, E., Heathcote, A., Chalmers, K., & Hockley, W. (2010). Item effects in recognition
#   memory for words. *Journal of Memory and Language*, 62, 1–18.
# - Lambert, D. (1992). Zero-inflated Poisson regression, with an application to defects in
#   manufacturing. *Technometrics*, 34, 1–14.
# - Prentice, R. L. (1986). Binary regression using an extended beta-binomial distribution. *Journal
#   of the American Statistical Association*, 81, 321–327.
# - Rasch, G. (1960). *Probabilistic models for some intelligence and attainment tests*. Danish
#   Institute for Educational Research.
# - van der Linden, W. J. (2006). A lognormal model for response times on test items. *Journal of
#   Educational and Behavioral Statistics*, 31, 181–204.
# - van der Linden, W. J. (2007). A hierarchical framework for modeling speed and accuracy on test
#   items. *Psychometrika*, 72, 287–308.
