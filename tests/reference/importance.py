"""Exact log-likelihoods of crossed models by importance sampling; needs numpy, scipy and pandas.

    python tests/reference/importance.py [model ...]     writes importance.json beside this file

log L = log integral over the items' effects u of exp f(u), where f(u) holds an integral over each
person's effects: the integral by a fine rectangle rule, the outer one by importance sampling
around the mode of f. Nothing is shared with eirt but the parameters, which are eirt's estimates
(likelihood Nested) rounded to eight digits; any values near the maximum would do.
"""

import json
import math
import pathlib
import platform
import sys
import time
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

HERE = pathlib.Path(__file__).parent
DATA = HERE.parents[1] / "datasets" / "verbagg.csv"
OUT = HERE / "importance.json"
SEED = 20240501
DRAWS = 10_000  # of each proposal
DF = 30
LEVELS = (
    ("btype", "scold"),
    ("btype", "shout"),
    ("situ", "self"),
    ("mode", "want"),
    ("mode", "do"),
)

# logit P(Y) = x'fixed + item effects + slope * trait. The traits of a person are N(0, L L') with
# L = persons: one trait, or one for wanting and one for doing. The effects of an item are
# N(0, L L') with L = items, and move what `moved` names (easiness alone unless stated).
MODELS: dict[str, dict] = {
    "null": {
        "formula": "r2 ~ 1 + (1 | id) + (1 | item)",
        "fixed": {
            "(Intercept)": -0.16280891,
        },
        "persons": [[1.38203714]],
        "items": [[1.1317044]],
    },
    "lltm_error": {
        "formula": "r2 ~ btype + situ + mode + (1 | id) + (1 | item)",
        "fixed": {
            "(Intercept)": 1.77737079,
            "btype[scold]": -1.06024403,
            "btype[shout]": -2.10523555,
            "situ[self]": -1.0550088,
            "mode[do]": -0.70759188,
        },
        "persons": [[1.38012516]],
        "items": [[0.34635465]],
    },
    "lltm_error_person": {
        "formula": "r2 ~ btype + situ + mode + Anger + Gender + (1 | id) + (1 | item)",
        "fixed": {
            "(Intercept)": 0.55308888,
            "btype[scold]": -1.06031942,
            "btype[shout]": -2.1051754,
            "situ[self]": -1.05498754,
            "mode[do]": -0.70759458,
            "Anger": 0.05748288,
            "Gender[M]": 0.32113449,
        },
        "persons": [[1.34750092]],
        "items": [[0.34620823]],
    },
    "slope_mode_error": {
        "formula": "r2 ~ btype + situ + mode + (0 + mode | id) + (1 | item)",
        "fixed": {
            "(Intercept)": 1.87117153,
            "btype[scold]": -1.11913437,
            "btype[shout]": -2.22220777,
            "situ[self]": -1.10961289,
            "mode[do]": -0.77194123,
        },
        "persons": [[1.46239183, 0.0], [1.28087974, 1.0476455]],
        "items": [[0.37761952]],
    },
    "slope_mode_person_error": {
        "formula": "r2 ~ btype + situ + mode + Anger + Gender + (0 + mode | id) + (1 | item)",
        "fixed": {
            "(Intercept)": 0.6270455,
            "btype[scold]": -1.11824433,
            "btype[shout]": -2.21792702,
            "situ[self]": -1.10911266,
            "mode[do]": -0.76784401,
            "Anger": 0.05892457,
            "Gender[M]": 0.28801612,
        },
        "persons": [[1.47881298, 0.0], [1.19479172, 1.01534903]],
        "items": [[0.37228057]],
    },
    "slope_intercept_mode_uncor": {
        "formula": "r2 ~ btype + situ + mode + (1 | id) + (0 + dummy_do | id) + (1 | item)",
        "fixed": {
            "(Intercept)": 1.86647061,
            "btype[scold]": -1.11850217,
            "btype[shout]": -2.22539259,
            "situ[self]": -1.10866185,
            "mode[do]": -0.77678126,
        },
        "persons": [[1.40533386, 0.0], [1.40533386, 1.04368683]],
        "items": [[0.38583363]],
    },
    "dif_gender_btype_error": {
        "formula": "r2 ~ btype + situ + mode + Anger + Gender * btype + (1 | id) + (1 | item)",
        "fixed": {
            "(Intercept)": 0.52337427,
            "Anger": 0.05777996,
            "Gender[M]": 0.4499895,
            "btype[scold]": -1.098928,
            "btype[shout]": -1.97285927,
            "situ[self]": -1.05848794,
            "mode[do]": -0.70952962,
            "Gender[M]:btype[scold]": 0.15219973,
            "Gender[M]:btype[shout]": -0.58428735,
        },
        "persons": [[1.35109325]],
        "items": [[0.34719114]],
    },
    "dif_gender_mode_error": {
        "formula": "r2 ~ Anger + Gender * mode + btype + situ + (1 | id) + (1 | item)",
        "fixed": {
            "(Intercept)": 0.65301337,
            "Anger": 0.05781472,
            "Gender[M]": -0.08334702,
            "mode[do]": -0.90910626,
            "btype[scold]": -1.067221,
            "btype[shout]": -2.12010449,
            "situ[self]": -1.06168877,
            "Gender[M]:mode[do]": 0.82984481,
        },
        "persons": [[1.35785927]],
        "items": [[0.35076244]],
    },
    "bates_doran": {
        "formula": "r2 ~ (Anger + Gender + btype + situ)**2 + (1 | id) + (1 | item)",
        "fixed": {
            "(Intercept)": -0.15637178,
            "Anger": 0.06679083,
            "Gender[M]": 0.41285099,
            "btype[scold]": -0.73823206,
            "btype[shout]": -1.95959764,
            "situ[self]": -0.36934229,
            "Anger:Gender[M]": -0.00114365,
            "Anger:btype[scold]": -0.00825344,
            "Anger:btype[shout]": 0.01275206,
            "Anger:situ[self]": -0.01986289,
            "Gender[M]:btype[scold]": 0.15599592,
            "Gender[M]:btype[shout]": -0.55984246,
            "Gender[M]:situ[self]": 0.1000181,
            "btype[scold]:situ[self]": -0.39012017,
            "btype[shout]:situ[self]": -0.55853034,
        },
        "persons": [[1.35276695]],
        "items": [[0.48675298]],
    },
    "random_item_gender": {
        "formula": "r2 ~ btype + situ + mode + Gender + (1 | id) + (1 + Gender | item)",
        "fixed": {
            "(Intercept)": 1.50041988,
            "btype[scold]": -0.96751184,
            "btype[shout]": -2.34459568,
            "situ[self]": -0.97942583,
            "mode[do]": -0.28086452,
            "Gender[M]": 0.31444433,
        },
        "persons": [[1.38674721]],
        "items": [[0.53320433, 0.0], [-0.41496109, 0.21670812]],
        "moved": ["easiness", "Gender[M]"],
    },
    "loading_mode": {
        "formula": "r2 ~ btype + situ + mode + (1 | id) + (1 | item), log slope ~ 0 + mode",
        "fixed": {
            "(Intercept)": 1.77465569,
            "btype[scold]": -1.06244699,
            "btype[shout]": -2.11609375,
            "situ[self]": -1.05613597,
            "mode[do]": -0.71550228,
        },
        "log_slope": {
            "mode[want]": 0.25932579,
            "mode[do]": 0.38864136,
        },
        "persons": [[1.0]],
        "items": [[0.35939739]],
    },
    "explained": {
        "formula": "easiness ~ btype + situ + mode + (1 | item), log slope ~ mode + (1 | item)",
        "fixed": {
            "(Intercept)": 1.64662568,
            "btype[scold]": -1.30755536,
            "btype[shout]": -1.99419235,
            "situ[self]": -0.69469855,
            "mode[do]": -0.67111019,
        },
        "log_slope": {
            "(Intercept)": 0.25247913,
            "mode[do]": 0.13725786,
        },
        "persons": [[1.0]],
        "items": [[0.40593455, 0.0], [0.13265505, 0.0]],
        "moved": ["easiness", "log_slope"],
    },
    "ordered": {
        "formula": "resp ~ btype + situ + mode + (1 | id) + (1 | item), cumulative logits",
        "fixed": {
            "btype[scold]": -0.92523593,
            "btype[shout]": -1.93635084,
            "situ[self]": -1.11903668,
            "mode[do]": -0.68816852,
        },
        "intercepts": [1.69305046, -0.15211394],
        "persons": [[1.29484893]],
        "items": [[0.32710638]],
    },
}


class Items(NamedTuple):
    """Parameters of each item, for each group of persons where they differ.

    Attributes:
        easiness: groups x items.
        steep: slope of each item.
    """

    easiness: np.ndarray
    steep: np.ndarray


class Marginal:
    """f(u) = sum over persons of log integral p(y_p | theta, u) phi(theta) dtheta - u'u / 2.

    Persons with the same covariates that the model uses form a group. The wanting and the doing
    items are two blocks where persons have an effect for each: a block depends on its own trait
    alone, so two traits are two grids of one dimension, joined by a matrix of weights.
    """

    def __init__(self, model: dict, nodes: int = 121, reach: float = 8.0):
        self.model = model
        va = pd.read_csv(DATA)
        items = va.drop_duplicates("item").set_index("item")
        self.y = (va.pivot(index="id", columns="item", values="r2") == "Y")[items.index].to_numpy(
            float
        )
        persons = va.drop_duplicates("id").set_index("id").sort_index()
        used = [name for name in ("Anger", "Gender") if self._uses(model, name)]
        persons["group"] = persons.groupby(used).ngroup() if used else 0
        groups = persons.drop_duplicates("group").sort_values("group")
        self.group = persons["group"].to_numpy()
        self.members = np.eye(len(groups))[:, self.group]
        features = {
            "(Intercept)": np.ones((1, 24)),
            "Anger": groups["Anger"].to_numpy(float)[:, None],
            "Gender[M]": (groups["Gender"] == "M").to_numpy(float)[:, None],
            **{
                f"{column}[{level}]": (items[column] == level).to_numpy(float)[None]
                for column, level in LEVELS
            },
        }
        self.man = features["Gender[M]"]
        self.fixed = np.zeros((len(groups), 24))
        for name, value in model["fixed"].items():
            self.fixed = self.fixed + value * math.prod(features[n] for n in name.split(":"))
        self.log_steep = np.zeros(24)
        for name, value in model.get("log_slope", {}).items():
            self.log_steep = self.log_steep + value * features[name][0]
        self.moved = model.get("moved", ["easiness"])
        self.factor = np.array(model["items"])
        self.size = self.factor.size // len(self.factor) * 24

        covariance = np.array(model["persons"]) @ np.array(model["persons"]).T
        self.sd = np.sqrt(np.diagonal(covariance))
        doing = (items["mode"] == "do").to_numpy()
        self.blocks = [np.arange(24)] if len(self.sd) == 1 else [~doing, doing]
        self.x, step = np.linspace(-reach, reach, nodes, retstep=True)
        if len(self.sd) == 1:
            self.weights = np.exp(-(self.x**2) / 2) / np.sqrt(2 * np.pi) * step
        else:
            r = covariance[0, 1] / self.sd.prod()
            a, b = self.x[:, None], self.x[None]
            self.weights = np.exp(-(a**2 - 2 * r * a * b + b**2) / (2 * (1 - r**2)))
            self.weights *= step**2 / (2 * np.pi * np.sqrt(1 - r**2))

    @staticmethod
    def _uses(model: dict, name: str) -> bool:
        return any(name in text for text in (*model["fixed"], *model.get("moved", [])))

    def items(self, u: np.ndarray) -> Items:
        """Return the parameters of the items at spherical effects u, 24 x effects by rows."""
        effects = dict(zip(self.moved, self.factor @ u.reshape(24, -1).T, strict=True))
        easiness = self.fixed + effects["easiness"]
        if "Gender[M]" in effects:
            easiness = easiness + self.man * effects["Gender[M]"]
        return Items(easiness, np.exp(self.log_steep + effects.get("log_slope", 0.0)))

    def value(self, u: np.ndarray) -> float:
        """Return f(u)."""
        return self._integrate(self.items(u))[0] - u @ u / 2

    def _block(self, items: Items, b: int, probabilities: bool = False):
        """Return log p(y of a block | node), persons x nodes, and p(y = 1), groups x items x K."""
        here, theta = self.blocks[b], self.sd[b] * self.x
        grown = np.exp(items.easiness[:, here, None] + items.steep[here, None] * theta)
        y = self.y[:, here]
        log_p = (y * items.easiness[self.group][:, here]).sum(axis=1)[:, None]
        log_p = log_p + np.outer(y @ items.steep[here], theta)
        log_p -= np.log1p(grown).sum(axis=1)[self.group]
        return log_p, grown / (1 + grown) if probabilities else None

    def _integrate(self, items: Items, probabilities: bool = False):
        """Return log p(y | u), and of each block p(y = 1) and the posterior of its trait."""
        found = [self._block(items, b, probabilities) for b in range(len(self.blocks))]
        tops = [log_p.max(axis=1, keepdims=True) for log_p, _ in found]
        likely = [np.exp(log_p - top) for (log_p, _), top in zip(found, tops, strict=True)]
        if len(found) == 1:
            joint = [likely[0] * self.weights]
        else:
            joint = [
                likely[0] * (likely[1] @ self.weights.T),
                likely[1] * (likely[0] @ self.weights),
            ]
        total = joint[0].sum(axis=1, keepdims=True)
        value = float(sum(top.sum() for top in tops) + np.log(total).sum())
        return value, [(p, j / total) for (_, p), j in zip(found, joint, strict=True)]

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Return df/du: the expected residuals, given the data."""
        items = self.items(u)
        residual = np.zeros_like(self.fixed)  # summed over the persons of a group
        steep = np.zeros(24)
        _, blocks = self._integrate(items, probabilities=True)
        for here, sd, (p, posterior) in zip(self.blocks, self.sd, blocks, strict=True):
            weight, y = self.members @ posterior, self.y[:, here]
            expected = np.einsum("gk,gik->gi", weight, p)
            residual[:, here] = self.members @ y - expected
            theta = sd * self.x
            steep[here] = y.T @ (posterior @ theta) - np.einsum("gk,gik->i", weight * theta, p)
        moves = {
            "easiness": residual.sum(axis=0),
            "Gender[M]": (self.man * residual).sum(axis=0),
            "log_slope": items.steep * steep,
        }
        return (np.stack([moves[name] for name in self.moved]).T @ self.factor).ravel() - u

    def curvature(self, u: np.ndarray, step: float = 1e-3) -> np.ndarray:
        """Return -d2f/du2, by central differences of the gradient."""
        steps = step * np.eye(self.size)
        matrix = np.stack([self.gradient(u - s) - self.gradient(u + s) for s in steps])
        return (matrix + matrix.T) / (4 * step)

    def mode(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where f is largest, and the curvature there."""
        found = scipy.optimize.minimize(
            lambda u: -self.value(u), np.zeros(self.size), jac=lambda u: -self.gradient(u)
        )
        u = found.x
        for _ in range(2):
            curvature = self.curvature(u)
            u = u + np.linalg.solve(curvature, self.gradient(u))
        return u, self.curvature(u)


class Ordered(Marginal):
    """The same for categories, P(y >= c) = F(eta + intercept_c): one group, one trait."""

    def __init__(self, model: dict, nodes: int = 121, reach: float = 8.0):
        super().__init__(model, nodes, reach)
        va = pd.read_csv(DATA)
        codes = va.assign(code=va["resp"].map({"no": 0, "perhaps": 1, "yes": 2}))
        items = va.drop_duplicates("item")["item"]
        code = codes.pivot(index="id", columns="item", values="code")[items].to_numpy()
        self.gave = (code[:, :, None] == np.arange(3)).reshape(len(code), -1).astype(float)

    def _reached(self, items: Items) -> np.ndarray:
        """Return P(y >= c) for c = 0 (one) to C (zero): items x C + 1 x nodes."""
        eta = items.easiness[0][:, None] + items.steep[:, None] * self.sd[0] * self.x
        inner = scipy.special.expit(eta[:, None] + np.array(self.model["intercepts"])[:, None])
        edge = np.ones_like(eta)[:, None]
        return np.concatenate([edge, inner, 0 * edge], axis=1)

    def _block(self, items: Items, b: int, probabilities: bool = False):
        log_p = np.log(-np.diff(self._reached(items), axis=1))
        return self.gave @ log_p.reshape(-1, len(self.x)), None

    def gradient(self, u: np.ndarray) -> np.ndarray:
        items = self.items(u)
        reached = self._reached(items)
        score = 1 - reached[:, :-1] - reached[:, 1:]
        posterior = self._integrate(items)[1][0][1]
        counts = (self.gave.T @ posterior).reshape(score.shape)
        return self.factor[0, 0] * (counts * score).sum(axis=(1, 2)) - u


class Sample(NamedTuple):
    """An estimate of the log-likelihood, its Monte-Carlo standard error, effective sample size."""

    loglik: float
    se: float
    ess: float


def importance(
    f: Marginal, mode: np.ndarray, curvature: np.ndarray, df: float | None, seed: int
) -> Sample:
    """Estimate log of the integral of (2 pi)^(-U/2) exp f(u) from antithetic pairs of draws.

    Args:
        f: the log integrand.
        mode: its mode.
        curvature: -d2f there; the proposal has its inverse as scale.
        df: of a multivariate t proposal; None for the normal.
        seed: of the draws.
    """
    rng, size = np.random.default_rng(seed), len(mode)
    factor = np.linalg.cholesky(curvature)
    normalise = np.log(
        np.diagonal(factor)
    ).sum()  # log density of the proposal, plus size/2 log 2pi
    if df is not None:
        normalise += scipy.special.gammaln((df + size) / 2) - scipy.special.gammaln(df / 2)
        normalise -= size / 2 * np.log(df / 2)
    logs = np.empty((DRAWS // 2, 2))
    for pair in logs:
        z = rng.standard_normal(size)
        if df is None:
            log_q = normalise - z @ z / 2
        else:
            z /= np.sqrt(rng.chisquare(df) / df)
            log_q = normalise - (df + size) / 2 * np.log1p(z @ z / df)
        shift = scipy.linalg.solve_triangular(factor.T, z)
        pair[:] = f.value(mode + shift) - log_q, f.value(mode - shift) - log_q
    top = logs.max()
    weights = np.exp(logs - top)
    pairs = weights.mean(axis=1)
    se = pairs.std(ddof=1) / pairs.mean() / np.sqrt(len(pairs))
    ess = weights.sum() ** 2 / (weights**2).sum()
    return Sample(float(top + np.log(pairs.mean())), float(se), float(ess))


def run(name: str) -> dict:
    """Return the figures of one model."""
    start, model = time.perf_counter(), MODELS[name]
    kind = Ordered if "intercepts" in model else Marginal
    f = kind(model)
    mode, curvature = f.mode()
    at_mode = f.value(mode)
    laplace = at_mode - np.linalg.slogdet(curvature)[1] / 2
    normal, heavy = (importance(f, mode, curvature, df, SEED) for df in (None, DF))
    return {
        **model,
        "logLik": normal.loglik,
        "logLik_se": normal.se,
        "ess": normal.ess,
        "logLik_t": heavy.loglik,
        "logLik_t_se": heavy.se,
        "ess_t": heavy.ess,
        "logLik_nested_laplace": float(laplace),
        "gradient_at_mode": float(np.abs(f.gradient(mode)).max()),
        "quadrature_error": float(kind(model, nodes=241, reach=10.0).value(mode) - at_mode),
        "draws": DRAWS,
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    """Run the models named on the command line, or all, and write the figures."""
    done = json.loads(OUT.read_text()) if OUT.exists() else {}
    done["meta"] = {
        "what": "exact marginal log-likelihood of crossed models by importance sampling over the "
        "effects of items, persons integrated by a rectangle rule; at fixed parameters",
        "data": "verbagg, r2 == 'Y' is success, treatment contrasts",
        "proposals": f"normal (logLik), and t with {DF} degrees of freedom (logLik_t), around the "
        "mode with the curvature there; antithetic pairs",
        "grid": "121 nodes per dimension on +-8 sd; quadrature_error: 241 on +-10 sd, minus it",
        "seed": SEED,
        "versions": {
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in (np, scipy, pd)},
        },
    }
    for name in sys.argv[1:] or MODELS:
        done[name] = run(name)
        shown = {k: v for k, v in done[name].items() if isinstance(v, float)}
        print(name, *(f"{k} {v:.6g}" if abs(v) < 1 else f"{k} {v:.5f}" for k, v in shown.items()))
        OUT.write_text(json.dumps(done, indent=1) + "\n")


if __name__ == "__main__":
    main()
