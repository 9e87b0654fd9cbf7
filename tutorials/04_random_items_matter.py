# %% [markdown]
# # Random items matter
#
# Which traffic signs do drivers fail to read, and why? 155 drivers look at photographs of 36
# driving scenes, and each either reads the sign in time or not. Four features of every scene are
# known: how cluttered it is, whether the sign is relevant to the route, how bright the picture is,
# and how legible the sign. There are 5,580 responses, surely enough to see which features matter.
#
# But nobody asks about these 36 photographs. The question is about driving scenes, of which these
# are a sample, as the drivers are a sample of drivers. An analysis that treats drivers as a sample
# and scenes as all there is will find effects that the next 36 scenes do not have. Clark (1973)
# called it the *language-as-fixed-effect fallacy*, since psychologists tested a few words and
# concluded about the language. Judd, Westfall & Kenny (2012) found it alive in social psychology,
# where the items are faces or stories. De Boeck (2008) laid out the remedy, random items, for item
# response theory.
#
# This tutorial shows the fallacy on data whose truth is known, how large it is, what removes it,
# and what is left to be careful about. The third tutorial explains the model.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import norm, t

import eirt

n_drivers, n_scenes = 155, 36
effects = {"clutter": -0.5, "relevance": 0.8, "brightness": 0.0, "legibility": 0.4}
features = "~ clutter + relevance + brightness + legibility"
sd_scenes = 0.9


def show(frame: pd.DataFrame, digits: int = 3) -> None:
    """Print a table without its index."""
    print(frame.round(digits).to_string(index=False))


# %% [markdown]
# ## A world in which brightness does nothing
#
# How easy a scene is depends on its features and on all else that is peculiar to it: a parked van,
# a word that is known to everybody, an unlucky shadow. All else has a standard deviation of 0.9
# logits here. Brightness has no effect at all. (Clutter, brightness and legibility are ratings in
# standard units; half of the signs are relevant.)

# %%


def new_scenes(rng: np.random.Generator) -> pd.DataFrame:
    """Draw 36 scenes: four features, and an easiness of which they explain a part."""
    scenes = pd.DataFrame(rng.normal(size=(n_scenes, len(effects))), columns=list(effects))
    scenes["relevance"] = rng.permutation(np.arange(n_scenes) % 2)
    explained = 0.5 + scenes.to_numpy() @ list(effects.values())
    return scenes.assign(easiness=explained + rng.normal(0.0, sd_scenes, n_scenes))


def answers(rng: np.random.Generator, scenes: pd.DataFrame, n: int) -> pd.DataFrame:
    """Let n new drivers, whose ability has sd 1, look at every scene."""
    driver, item = np.divmod(np.arange(n * n_scenes), n_scenes)
    eta = rng.normal(0.0, 1.0, n)[driver] + scenes["easiness"].to_numpy()[item]
    read = (rng.random(len(eta)) < 1 / (1 + np.exp(-eta))).astype(int)
    seen = scenes.drop(columns="easiness").iloc[item].reset_index(drop=True)
    return seen.assign(id=driver, item=item, resp=read)


rng = np.random.default_rng(1973)
scenes = new_scenes(rng)
data = answers(rng, scenes, n_drivers)
print(f"{len(data)} responses, {data['resp'].mean():.0%} of the signs read")

# %% [markdown]
# ## One study, two analyses
#
# The linear logistic test model (LLTM; Fischer, 1973) has a random effect of drivers, and features
# that explain the scenes without remainder:

# %%
fixed_items = eirt.lltm(data, features)
fixed_items.summary()

# %% [markdown]
# Brightness helps, says the LLTM, with z = 3.1 and p = .002. It does not: this is a false alarm.
# The fit has converged, the likelihood is exact, the model is the maximum. What is wrong is the
# claim in the model that two scenes with equal features are equally easy. One more term lets every
# scene keep something of its own:

# %%
random_items = eirt.lltm(data, f"{features} + (1 | item)")
random_items.summary()

# %% [markdown]
# Now brightness has z = 1.4 and p = .16. The two analyses side by side, with the truth:

# %%
both = fixed_items.fixed[["term", "estimate", "se", "p"]].merge(
    random_items.fixed[["term", "estimate", "se", "p"]], on="term", suffixes=("_lltm", "_crossed")
)
both.insert(1, "true", [0.5, *effects.values()])
both["se_ratio"] = both["se_crossed"] / both["se_lltm"]
show(both)

term = both.set_index("term")
assert fixed_items.converged and random_items.converged
assert term.loc["brightness", "p_lltm"] < 0.01 and term.loc["brightness", "p_crossed"] > 0.1
assert term.loc[list(effects), "se_ratio"].between(3, 3.7).all()
distance = (both["estimate_crossed"] - both["true"]).abs()
assert (distance < 2 * both["se_crossed"]).all()
too_far = (both["estimate_lltm"] - both["true"]).abs() > 2 * both["se_lltm"]
assert list(both.loc[too_far, "term"]) == ["relevance", "brightness", "legibility"]

# %% [markdown]
# The estimates are alike. The standard errors are not: with random items those of the features are
# more than three times as large. Three of the LLTM's four effects lie more than two of its standard
# errors from the truth; none does in the crossed model.
#
# The data do say which model is right. The likelihood-ratio test of `(1 | item)`, half of whose
# null distribution is at zero (Self & Liang, 1987), leaves no doubt:

# %%
test = eirt.compare(fixed_items, random_items)
show(test[["model", "n_params", "loglik", "aic", "bic", "against", "chi2", "df"]])
print(f"p = {test['p'][1]:.1e}")

assert test["against"][1] == "LLTM" and test["chi2"][1] > 200 and test["p"][1] < 1e-20
assert test["aic"].idxmin() == 1 and test["bic"].idxmin() == 1

# %% [markdown]
# ## More drivers make it worse
#
# Perhaps 155 drivers are too few? Let 620 others look at the same scenes. (`check=False` leaves out
# the estimate of the error of the likelihood, to save time here and below.)

# %%
more = answers(rng, scenes, 4 * n_drivers)
fits = {
    n_drivers: (fixed_items, random_items),
    4 * n_drivers: [
        eirt.lltm(more, f"{features}{rest}", check=False) for rest in ("", " + (1 | item)")
    ],
}
rows = []
for n, pair in fits.items():
    plain, crossed = (fit.fixed.set_index("term").loc["brightness"] for fit in pair)
    rows.append({"drivers": n, "se_lltm": plain["se"], "z_lltm": plain["z"]})
    rows[-1] |= {"se_crossed": crossed["se"], "z_crossed": crossed["z"]}
sizes = pd.DataFrame(rows)
show(sizes)

assert 0.45 < sizes["se_lltm"][1] / sizes["se_lltm"][0] < 0.55
assert sizes["se_crossed"][1] / sizes["se_crossed"][0] > 0.9
assert sizes["z_lltm"][1] > 5 and abs(sizes["z_crossed"][1]) < 1.96

# %% [markdown]
# Four times the drivers halve the LLTM's standard error, and its z grows from 3.1 to 8.2: ever more
# certain of an effect that does not exist. In these 36 scenes the brighter ones do happen to be
# easier, for other reasons, and more drivers see that coincidence more sharply. The standard error
# of the crossed model stays at .13: it is about scenes in general, and has seen 36.
#
# The size of the fallacy can be predicted. The estimate varies by the noise of responses, which is
# all that the LLTM knows, and by the luck of the scenes. For a feature in standard units the latter
# has a standard deviation of nearly 0.9 / sqrt(36) = 0.15.

# %%
by_size = pd.DataFrame({"drivers": [50, n_drivers, 500, 5000]})
by_size["se_lltm"] = term.loc["brightness", "se_lltm"] * np.sqrt(n_drivers / by_size["drivers"])
by_size["true_sd"] = np.hypot(by_size["se_lltm"], sd_scenes / np.sqrt(n_scenes))
ratio = by_size["se_lltm"] / by_size["true_sd"]
by_size["false_alarms"] = 2 * norm.sf(norm.ppf(0.975) * ratio)
show(by_size)

assert by_size["false_alarms"].is_monotonic_increasing
assert by_size["false_alarms"].iloc[0] > 0.35 and by_size["false_alarms"].iloc[-1] > 0.9

# %% [markdown]
# A test at 5% should raise a false alarm in 5 of 100 studies. With 50 drivers the LLTM does so in
# about 40 of 100, with 155 in more than 60, with 5,000 in more than 90.
#
# ## Forty studies
#
# That was a calculation. Now let forty teams do the study, each with drivers and scenes of its own,
# and none knowing that brightness does nothing.
#
# Two tests are made in the crossed model. The usual one compares z = estimate / se with the normal
# distribution. It is a little too bold with few items, for two reasons. Maximum likelihood divides
# the variation of scenes by 36, as if the coefficients were known, rather than by the 36 − 5 that
# are left after estimating five; and the normal distribution takes that variance as known. The
# correction is the one of ordinary regression: multiply the standard error by sqrt(36 / 31), and
# use a t distribution on 31 degrees of freedom. `fit.feature_tests()` does so; here it is written
# out, for the LLTM too, which has no residuals to correct.

# %%
n_studies = 40
df = n_scenes - len(effects) - 1
found = []
for _ in range(n_studies):
    study = answers(rng, new_scenes(rng), n_drivers)
    for model, rest in {"LLTM": "", "crossed": " + (1 | item)"}.items():
        fit = eirt.lltm(study, f"{features}{rest}", check=False)
        row = fit.fixed.set_index("term").loc["brightness"]
        found.append({"model": model, "estimate": row["estimate"], "se": row["se"]})
found = pd.DataFrame(found)
z = (found["estimate"] / found["se"]).abs()
found["z_rejects"] = z > norm.ppf(0.975)
found["t_rejects"] = z * np.sqrt(df / n_scenes) > t.ppf(0.975, df)

by_model = found.groupby("model", sort=False)
rates = by_model.agg(
    sd_of_estimates=("estimate", "std"),
    mean_se=("se", "mean"),
    z_rejects=("z_rejects", "sum"),
    t_rejects=("t_rejects", "sum"),
)
show(rates.reset_index())

assert 16 <= rates.loc["LLTM", "z_rejects"] <= 34  # expected: 26 of 40, give or take 3
assert rates.loc["crossed", "z_rejects"] <= 8  # expected: 3, give or take 2
assert rates.loc["crossed", "t_rejects"] <= 6  # expected: 2, give or take 1
assert rates.loc["LLTM", "sd_of_estimates"] > 3 * rates.loc["LLTM", "mean_se"]
assert 0.8 < rates.loc["crossed", "sd_of_estimates"] / rates.loc["crossed", "mean_se"] < 1.35

# %% [markdown]
# 21 of 40 teams could publish that brightness matters, some that it helps and some that it harms.
# With random items it is 2, as promised. Forty studies are few, and do not show the difference
# between z and t. In 4,000 studies of the same kind (`benchmarks/bench_random_items.py`) the LLTM
# rejects in 65%, the crossed model in 8.0% by z and in 5.4% by the corrected t. The random residual
# does nearly all; with 36 scenes the correction does the rest.
#
# In the picture each line is a study, with its 95% interval; those in red exclude zero.

# %%
figure, panels = plt.subplots(1, 2, figsize=(8, 4), sharex=True, sharey=True, layout="constrained")
for axes, (model, studies) in zip(panels, by_model, strict=True):
    studies = studies.sort_values("estimate").assign(place=range(n_studies))
    for excludes_zero, colour in ((False, "tab:blue"), (True, "tab:red")):
        some = studies[studies["z_rejects"] == excludes_zero]
        margin = norm.ppf(0.975) * some["se"]
        axes.errorbar(some["estimate"], some["place"], xerr=margin, fmt=".", color=colour, lw=1)
    axes.axvline(0.0, color="black", lw=0.8)
    axes.set(title=f"{model}: {studies['z_rejects'].sum()} of {n_studies} exclude 0")
    axes.set(xlabel="effect of brightness (logits)", ylabel="study", yticks=[])
    axes.label_outer()

# %% [markdown]
# ## Real data: verbal aggression
#
# 316 students said whether they would curse, scold or shout in 24 items (Vansteelandt, 2000). The
# features are the behaviour (`btype`), who is to blame (`situ`), and whether one would want to do
# it or do it (`mode`).

# %%
va = eirt.load("verbagg")
options = {"person": "id", "item": "item", "response": "r2", "check": False}
lltm = eirt.lltm(va, "~ btype + situ + mode", **options)
crossed = eirt.lltm(va, "~ btype + situ + mode + (1 | item)", **options)

real = lltm.fixed[["term", "estimate", "se", "z"]].merge(
    crossed.fixed[["term", "estimate", "se", "z"]], on="term", suffixes=("_lltm", "_crossed")
)
real["se_ratio"] = real["se_crossed"] / real["se_lltm"]
show(real)

va_test = eirt.compare(lltm, crossed)
print()
show(va_test[["model", "n_params", "loglik", "aic", "bic", "against", "chi2", "df"]])
print(f"p = {va_test['p'][1]:.1e}")

assert real["se_ratio"][1:].between(2.5, 2.75).all()
assert (real["z_crossed"][1:].abs() > 4).all()
assert abs(va_test["chi2"][1] - 90.10) < 0.01 and va_test["p"][1] < 1e-20

# %% [markdown]
# The standard errors of the features grow by a factor of 2.5 to 2.7, although the features explain
# these items very well: what they leave has a standard deviation of only 0.35 logits. All four
# effects survive, since they are large. Random items do not make findings vanish; they make small
# ones wait for more items. A difference of 0.15 logits between `want` and `do` would have been
# "significant" in the LLTM, and is one standard error here.
#
# ## What to report
#
# The model with its random items, the standard deviation that the features leave, and for each
# effect an interval that knows how many items there were:

# %%


def with_t(fit: eirt.Fit, n_items: int) -> pd.DataFrame:
    """Return effects of item features with t tests on (items - coefficients) degrees of freedom."""
    df = n_items - len(fit.fixed)
    table = fit.fixed[["term", "estimate"]].iloc[1:].copy()
    table["se"] = fit.fixed["se"] * np.sqrt(n_items / df)
    table["t"] = table["estimate"] / table["se"]
    table["p"] = 2 * t.sf(table["t"].abs(), df)
    margin = t.ppf(0.975, df) * table["se"]
    return table.assign(lower=table["estimate"] - margin, upper=table["estimate"] + margin)


report = with_t(crossed, va["item"].nunique())
show(report, 4)
show(crossed.random[["group", "sd", "se"]])

scold = report.set_index("term").loc["btype[scold]"]
assert abs(scold["se"] - 0.210) < 2e-3 and abs(scold["t"] - -5.05) < 0.02
assert -1.51 < scold["lower"] < -1.49 and -0.63 < scold["upper"] < -0.61
assert (report["p"] < 0.001).all()
signs = with_t(random_items, n_scenes).set_index("term")
assert signs.loc["brightness", "p"] > 0.1 and signs.loc["clutter", "p"] < 0.001

# %% [markdown]
# For example: "Responses were analysed with a logistic model with fixed effects of the item
# features and crossed random effects of persons (sd 1.38) and items (sd 0.35). Scolding was less
# likely than cursing (−1.06 logits, 95% CI −1.50 to −0.62, t(19) = −5.05, p < .001; standard errors
# of maximum likelihood times sqrt(24 / 19), since there are 24 items and 5 coefficients). The item
# residuals improved the fit (chi-square = 90.1, mixture of 0 and 1 df, p < .001)."
#
# Some advice:
#
# - **Ask which samples your sentence is about.** If it should hold for other items like these,
#   items are random, whether or not they were drawn from a list.
# - **Keep `(1 | item)` whatever its test says.** A test with few items may miss a residual that is
#   large enough to matter. If the estimated sd is zero, the answers are those of the LLTM.
# - **Count items, not responses.** Four times the drivers did nothing for the standard error of
#   brightness; four times the scenes would have halved it. Plan for items first.
# - **Use t with few items.** With 24 or 36 items z is somewhat too bold; from a hundred on the
#   difference is slight. The correction above is one for features of items.
# - **Covariates of persons** hardly suffer from the fallacy: `(1 | id)`, which both models have,
#   does for them what `(1 | item)` does for features of items.
# - **What varies within items**, such as fog that some drivers have on a scene and others do not,
#   may act differently on different scenes. Its random item effect is a slope, `(1 + fog | item)`
#   in `eirt.eirm` (Barr, Levy, Scheepers & Tily, 2013).
# - **An effect without evidence is not an effect of zero.** The crossed model's interval for
#   brightness also holds effects that would matter; more scenes would tell.
#
# ## References
#
# - Barr, D. J., Levy, R., Scheepers, C., & Tily, H. J. (2013). Random effects structure for
#   confirmatory hypothesis testing: Keep it maximal. *Journal of Memory and Language*, 68, 255–278.
# - Clark, H. H. (1973). The language-as-fixed-effect fallacy: A critique of language statistics in
#   psychological research. *Journal of Verbal Learning and Verbal Behavior*, 12, 335–359.
# - De Boeck, P. (2008). Random item IRT models. *Psychometrika*, 73, 533–559.
# - Fischer, G. H. (1973). The linear logistic test model as an instrument in educational research.
#   *Acta Psychologica*, 37, 359–374.
# - Judd, C. M., Westfall, J., & Kenny, D. A. (2012). Treating stimuli as a random factor in social
#   psychology: A new and comprehensive solution to a pervasive but largely ignored problem.
#   *Journal of Personality and Social Psychology*, 103, 54–69.
# - Self, S. G., & Liang, K.-Y. (1987). Asymptotic properties of maximum likelihood estimators and
#   likelihood ratio tests under nonstandard conditions. *Journal of the American Statistical
#   Association*, 82, 605–610.
# - Vansteelandt, K. (2000). *Formal models for contextualized personality psychology*. Doctoral
#   dissertation, K.U. Leuven.
