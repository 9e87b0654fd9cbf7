# %% [markdown]
# # Differential item functioning, and treatments that do not move all items alike
#
# A group may score higher because its members have more of what the test measures. An item shows
# *differential item functioning* (DIF) when *equally able* members of two groups answer it
# differently. Then a difference in scores depends on which items happen to be in the test.
#
# A treatment poses the same question in an experiment: does it raise ability, and with it every
# item alike, or does it move some items more than others? Both are an interaction of a group of
# persons with items, and the same models answer both. This tutorial takes three views of DIF (a
# hypothesis, a search item by item, a distribution), and turns the third into an analysis of
# heterogeneous treatment effects.

# %%
import numpy as np
import pandas as pd

import eirt


def show(frame: pd.DataFrame, digits: int = 3) -> None:
    """Print a table without its index."""
    print(frame.round(digits).to_string(index=False))


va = eirt.load("verbagg")
va["men"] = (va["Gender"] == "M").astype(int)

# %% [markdown]
# ## A hypothesis: men do what women only want
#
# 243 women and 73 men said whether they would *want* to curse, scold or shout, and whether they
# would actually *do* it. De Boeck et al. (2011) ask whether men, at equal verbal aggression, say
# more often that they would *do* it, for cursing and scolding. One coefficient holds this
# hypothesis: an indicator of these eight items in men, beside an easiness of every item and a
# difference in ability between the groups.
#
#     logit P(y_pi = 1) = theta_p + gamma men_p + easiness_i + delta men_p do_i

# %%
va["do"] = ((va["mode"] == "do") & (va["btype"] != "shout")).astype(int)
hypothesis = eirt.eirm(va, "r2 ~ 0 + item + men + men:do + (1 | id)")
show(hypothesis.fixed.tail(2)[["term", "estimate", "se", "z", "p", "odds_ratio"]])

delta = hypothesis.fixed.set_index("term").loc["men:do"]
assert hypothesis.converged and abs(delta["estimate"] - 1.004) < 2e-3
assert abs(delta["z"] - 6.89) < 0.02

# %% [markdown]
# At equal verbal aggression the odds that a man says yes to one of these items are 2.7 times
# those of a woman. What is left of the difference in verbal aggression itself, `men`, is close to
# zero.
#
# This is the strongest way to study DIF: a reason and one parameter to test, if the reason comes
# before the data (here it does not: the example was made with these data).
#
# ## A search, item by item
#
# Without a hypothesis one tests each item in turn. `eirt.dif` fits a model in which women and men
# have their own mean and variance of ability and *all* items are equally easy for both, and then,
# for each item, one in which that item differs. The likelihood-ratio test compares the two.

# %%
search = eirt.dif(va, "Gender", response="r2")
search.summary()

# %% [markdown]
# `effect` is the difference in easiness, men minus women, in logits. `delta` is the same on the
# scale of the Educational Testing Service, 2.35 times as large, and `ets` its verdict: A
# (negligible), B (moderate) or C (large, and significantly so). All are negative where an item is
# harder (here: endorsed less) for men than for equally aggressive women.
#
# Testing 24 items at 5% gives about one false alarm where there is no DIF at all. `flagged`
# therefore goes by p-values adjusted for the number of items (Holm, 1979): seven items have
# p < .05, one is flagged.
#
# Flagged items must not serve as a yardstick: an item that favours women makes all others look as
# if they favoured men. So the search *purifies* the anchors: flagged items get a difference of
# their own, and everything is tested again until the set of flagged items stays the same. Here
# the second round confirmed the first; `purify=False` stops after the first.
#
# The estimates say more than the flags. Sorted, nearly all items about *doing* favour men, nearly
# all about *wanting* favour women.

# %%
assert int((search.table["p"] < 0.05).sum()) == 7
assert search.flagged == ["S2WantShout"] and search.rounds == 2 and search.settled

table = search.table.merge(va[["item", "mode", "btype"]].drop_duplicates(), on="item")
show(table.groupby(["mode", "btype"], observed=True)["effect"].mean().reset_index())
picture = search.plot()  # in a notebook it shows by itself

assert table.loc[table["mode"] == "do", "effect"].mean() > 0.3
assert table.loc[table["mode"] == "want", "effect"].mean() < -0.3

# %% [markdown]
# There is a reason to be careful with signs. Only *relative* differences can be seen: if every
# item became half a logit easier for men, that would be a difference in ability. The search sets
# the differences of the anchors to zero. Where half of the items differ one way and half the
# other, as here, it takes the middle between them as fair. That is an assumption, and anchors
# known to be fair (`anchors=[...]`) would be better.
#
# ## A distribution: random DIF
#
# With 24 items, each tested alone, one either believes an estimate or takes it for zero. A third
# view treats the items' differences as draws from a distribution, whose standard deviation is
# estimated: the term `(1 + men | item)`. De Boeck (2008) calls it random-item DIF.

# %%
random = eirt.eirm(va, "r2 ~ 1 + men + (1 | id) + (1 + men | item)", item="item", check=False)
show(random.random[["group", "term", "sd", "correlation", "se"]])

sd_dif = random.random.set_index(["group", "term"]).loc[("item", "men"), "sd"]
assert 0.4 < sd_dif < 0.75

# %% [markdown]
# DIF has a standard deviation of half a logit over items. The effects of single items follow as
# posterior means from `fit.effects("item")`: estimates shrunken towards the average, the more the
# less is known of an item. They need no correction for the number of items, since few of them are
# large by chance.

# %%
shrunken = random.effects("item").query("term == 'men'")
both = search.table[["item", "effect", "se"]].assign(
    shrunken=shrunken["estimate"].to_numpy(), sd=shrunken["sd"].to_numpy()
)
show(both.sort_values("effect").iloc[[0, 1, 2, -3, -2, -1]])
print("correlation", round(both["effect"].corr(both["shrunken"]), 3))
print("shrunken to", round(both["shrunken"].std() / both["effect"].std(), 2), "of their spread")

assert both["effect"].corr(both["shrunken"]) > 0.98
assert (both["shrunken"].abs() < both["effect"].abs() + 0.1).all()

# %% [markdown]
# And random DIF can be *explained*, like the easiness of items: add the hypothesis of the
# beginning, and see how much of the variance is left.

# %%
explained = eirt.eirm(
    va, "r2 ~ 1 + men * do + (1 | id) + (1 + men | item)", item="item", check=False
)
show(explained.fixed[["term", "estimate", "se", "z"]])
sds = [
    fit.random.set_index(["group", "term"]).loc[("item", "men"), "sd"]
    for fit in (random, explained)
]
share = 1 - (sds[1] / sds[0]) ** 2
print(f"sd of DIF {sds[0]:.2f}, left over {sds[1]:.2f}: {share:.0%} of its variance explained")

assert share > 0.5

# %% [markdown]
# The hypothesis explains most of the differences between men and women. Its standard error is
# larger than in the first model, for the reason given in the tutorial on crossed random items: it
# now generalises to other items about doing.
#
# ## The same model, of an experiment
#
# The data of the rest are simulated, so that we know what should be found: as many students and
# items as above, half of the students assigned by lot to a reading programme. The programme moves
# the average item by 0.4 logits. But it taught some words and not others: its effect on single
# items varies with a standard deviation of 0.4.

# %%
rng = np.random.default_rng(2023)
n_students, n_items, tau, sd = 316, 24, 0.4, 0.4
effect = rng.normal(tau, sd, n_items)
programme = np.arange(n_students) % 2
eta = (
    rng.normal(0, 1, n_students)[:, None] + rng.normal(0, 1, n_items) + np.outer(programme, effect)
)
right = rng.random(eta.shape) < 1 / (1 + np.exp(-eta))
student, item = np.divmod(np.arange(right.size), n_items)
study = pd.DataFrame(
    {
        "id": student,
        "item": item,
        "programme": np.where(programme[student], "reading", "as usual"),
        "resp": right.ravel().astype(int),
    }
)

found = eirt.il_hte(study, "programme", treated="reading", check=False)
print(found)

assert abs(found.average["estimate"] - tau) < 3 * found.average["se"]
assert abs(found.spread["sd"] - sd) < 3 * found.spread["se"]
assert found.spread["p"] < 0.01

# %% [markdown]
# Four answers stand in this output (Gilbert, Kim & Miratrix, 2023).
#
# 1. *The average effect*, with a standard error that counts the items as a sample. The usual model
#    has one effect for all items. Its standard error is smaller, and holds for these 24 items
#    only.
# 2. *The standard deviation of the effects*, and the test of whether they differ at all. A
#    standard deviation of zero lies on the boundary of what is possible, which the p-value takes
#    into account.
# 3. *Their correlation with easiness*: does the programme help most with what is easy anyhow?
# 4. *What to expect of another item*: an interval for the effect on an item that is not in the
#    test. It is far wider than that of the average, and it is what matters to a school that will
#    use another test.

# %%
one = found.constant.fixed.set_index("term").loc["programme"]
print(f"one effect for all items: {one['estimate']:.3f}, se {one['se']:.3f}")
print(f"average of item effects:  {found.average['estimate']:.3f}, se {found.average['se']:.3f}")
print("a new item: from {:.2f} to {:.2f}".format(*found.new_item))
items = found.items.assign(true=effect)
inside = ((items["lower"] < items["true"]) & (items["true"] < items["upper"])).sum()
print(f"{inside} of {n_items} intervals hold the true effect of their item")
picture = found.plot()

assert found.average["se"] > 1.05 * one["se"]
assert inside >= 21

# %% [markdown]
# The picture shows every item's effect with its 95% interval; the dark band is the average, the
# light one holds 95% of new items. The ranking of single items is uncertain, as the overlap of
# their intervals shows: a school should not conclude from it which words to teach. Explaining the
# effects is the better next step, as with DIF above: put a feature of items into the formula,
# `resp ~ programme * taught + (1 | id) + (1 + programme | item)`.
#
# One caution applies to both halves of this tutorial. The effect on ability and the average
# effect on items are one and the same parameter. A programme that teaches the test raises every
# item of this test and nothing else, and no analysis of these items alone can tell.
#
# ## References
#
# - De Boeck, P. (2008). Random item IRT models. *Psychometrika*, 73, 533–559.
# - De Boeck, P., Bakker, M., Zwitser, R., Nivard, M., Hofman, A., Tuerlinckx, F., & Partchev, I.
#   (2011). The estimation of item response models with the lmer function from the lme4 package in
#   R. *Journal of Statistical Software*, 39(12), 1–28.
# - Gilbert, J. B., Kim, J. S., & Miratrix, L. W. (2023). Modeling item-level heterogeneous
#   treatment effects with the explanatory item response model. *Journal of Educational and
#   Behavioral Statistics*, 48, 889–913.
# - Holm, S. (1979). A simple sequentially rejective multiple test procedure. *Scandinavian Journal
#   of Statistics*, 6, 65–70.
# - Thissen, D., Steinberg, L., & Wainer, H. (1993). Detection of differential item functioning
#   using the parameters of item response models. In P. W. Holland & H. Wainer (Eds.),
#   *Differential item functioning* (pp. 67–113). Erlbaum.
# - Zieky, M. (1993). Practical questions in the use of DIF statistics in test development. In P. W.
#   Holland & H. Wainer (Eds.), *Differential item functioning* (pp. 337–347). Erlbaum.
