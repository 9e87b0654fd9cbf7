"""Stable log-space helpers and quadrature grids."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int, PyTree

Tree = TypeVar("Tree")

SMALL = 256  # matrices whose halves are not worth a product of their own
UNROLLED = 4  # matrices so small are factored and solved by plain arithmetic
BY_ROWS = 64  # and those up to here row by row: a library has to be found and read first
# log(1 + e) = z P(z^2) with z = e / (2 + e): interpolated at Chebyshev points of 0 <= z^2 <= 1/9
LOG1P = (
    2.0,
    0.6666666666666669,
    0.3999999999999287,
    0.28571428572622926,
    0.22222222119103674,
    0.18181823422495252,
    0.1538444706045997,
    0.13336876815743837,
    0.11715274668110426,
    0.10976616637947494,
    0.06980390498332432,
    0.16488285931389568,
)


class Grid(NamedTuple):
    """Nodes and log weights of a quadrature rule against the standard normal density.

    Attributes:
        nodes: points, in standard deviations of the latent trait.
        log_weights: logarithms of weights that sum to one.
    """

    nodes: Float[np.ndarray | Array, "K D"]
    log_weights: Float[np.ndarray | Array, " K"]


def on_host(kind: Callable[..., Tree], *leaves: Any) -> Tree:
    """Return a tree of numpy's arrays, typed as JAX's, which takes them wherever it takes its own.

    Making them JAX's one by one would compile a copy for each shape.

    >>> on_host(Grid, np.zeros((1, 1)), np.zeros(1)).log_weights
    array([0.])
    """
    return kind(*leaves)


@jax.custom_jvp
def softplus(x: Float[Array, ""]) -> Float[Array, ""]:
    """Return log(1 + exp(x)), to the last digits and in a quarter of the time of a logarithm.

    >>> float(softplus(jnp.asarray(0.0))) == float(jnp.log(jnp.asarray(2.0)))
    True
    """
    small = jnp.exp(-jnp.abs(x))
    z = small / (2.0 + small)
    square = z * z
    ratio = jnp.full_like(z, LOG1P[-1])
    for coefficient in reversed(LOG1P[:-1]):
        ratio = ratio * square + coefficient
    return jnp.maximum(x, 0.0) + z * ratio


@softplus.defjvp
def _softplus_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (x,), (along,) = primals, tangents
    return softplus(x), jax.lax.logistic(x) * along


def log1mexp(x: Float[Array, ""]) -> Float[Array, ""]:
    """Return log(1 - exp(-x)) for x > 0, stable at both ends (Maechler, 2012).

    >>> float(log1mexp(jnp.asarray(1e-20))) < -40
    True
    """
    # each branch sees only arguments that are safe for it, so that gradients stay finite too
    small = x < 0.6931471805599453
    near = jnp.where(small, x, 0.5)
    far = jnp.where(small, 1.0, x)
    return jnp.where(small, jnp.log(-jnp.expm1(-near)), jnp.log1p(-jnp.exp(-far)))


def log_rising(log_x: Float[Array, ""], n: Float[Array, ""]) -> Float[Array, ""]:
    """Return log{Gamma(x + n) / Gamma(x)} of log x, for n = 0, 1, 2, ...

    Nothing cancels where x is large, and x may be so small that it underflows.

    Source: Stirling's series (Abramowitz & Stegun, 1964, 6.1.41), beyond the first ten factors.

    >>> round(float(jnp.exp(log_rising(jnp.log(2.0), jnp.asarray(3.0)))), 3)
    24.0
    """
    first = 1.0 + jnp.exp(log_x)
    rest = jnp.maximum(n - 1.0, 0.0)
    far = first + 9.0
    ratios = jnp.sum(jnp.log1p(rest / (first + jnp.arange(9.0))))
    ahead = rest * jnp.log(far) + (far + rest - 0.5) * jnp.log1p(rest / far) - rest
    beyond = log_x + ahead + _stirling(far + rest) - _stirling(far) - ratios
    return jnp.where(n > 0, beyond, 0.0)


def _stirling(x: Float[Array, ""]) -> Float[Array, ""]:
    """Return what Stirling's formula leaves of log Gamma(x), to 1e-14 for x > 10."""
    square = 1.0 / (x * x)
    tail = 1 / 1260 - square * (1 / 1680 - square / 1188)
    return (1 / 12 - square * (1 / 360 - square * tail)) / x


def _product(nodes: np.ndarray, log_weights: np.ndarray, dimension: int) -> Grid:
    """Return the `dimension`-fold product of a one-dimensional rule."""
    if dimension == 0:
        return Grid(np.zeros((1, 0)), np.zeros(1))
    axes = np.meshgrid(*[nodes] * dimension, indexing="ij")
    weights = np.meshgrid(*[log_weights] * dimension, indexing="ij")
    points = np.stack([axis.ravel() for axis in axes], axis=1)
    return Grid(points, np.sum([weight.ravel() for weight in weights], axis=0))


def equispaced_grid(n_nodes: int, dimension: int = 1, reach: float = 6.5) -> Grid:
    """Return equally spaced nodes on +-reach weighted by the normal density.

    For smooth integrands the rectangle rule converges exponentially once the spacing is
    below the posterior standard deviation (Trefethen & Weideman, 2014, section 3).

    >>> grid = equispaced_grid(61)
    >>> bool(abs((np.exp(grid.log_weights) * grid.nodes[:, 0] ** 2).sum() - 1) < 1e-8)
    True
    """
    nodes = np.linspace(-reach, reach, n_nodes) if n_nodes > 1 else np.zeros(1)
    log_weights = -0.5 * nodes**2
    log_weights -= np.log(np.exp(log_weights).sum())
    return _product(nodes, log_weights, dimension)


def gauss_hermite_grid(n_nodes: int, dimension: int = 1) -> Grid:
    """Return the Gauss-Hermite rule for the standard normal density.

    >>> grid = gauss_hermite_grid(3)
    >>> bool(abs((np.exp(grid.log_weights) * grid.nodes[:, 0] ** 4).sum() - 3) < 1e-12)
    True
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(n_nodes)
    return _product(nodes, np.log(weights) - np.log(weights.sum()), dimension)


def cholesky_logdet(factor: Float[Array, "n n"]) -> Float[Array, ""]:
    """Return log det(L L') from the Cholesky factor L."""
    return 2.0 * jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)


def cholesky(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Return the lower Cholesky factor; not a number where the matrix is not positive definite.

    Small matrices, of which there is one a person, are factored by plain arithmetic: batches of
    library calls are slower, and several at once can block each other.

    >>> cholesky(jnp.asarray([[4.0, 2.0], [2.0, 2.0]])).tolist()
    [[2.0, 0.0], [1.0, 1.0]]
    """
    n = len(matrix)
    if n > BY_ROWS:
        return jnp.linalg.cholesky(matrix)
    if n > UNROLLED:
        return _cholesky_by_columns(matrix)
    rows: list[list[Array]] = []
    for i in range(n):
        row: list[Array] = []
        for j in range(i + 1):
            above = rows[j] if j < i else row
            rest = matrix[i, j] - sum(row[k] * above[k] for k in range(j))
            row.append(rest / rows[j][j] if j < i else jnp.sqrt(rest))
        rows.append(row)
    full = [jnp.stack(row + [jnp.zeros_like(row[0])] * (n - len(row))) for row in rows]
    return jnp.stack(full) if n else matrix


def _cholesky_by_columns(matrix: Float[Array, "n n"]) -> Float[Array, "n n"]:
    matrix, below = jnp.asarray(matrix), jnp.tri(len(matrix), dtype=bool)

    def column(j: Array, factor: Array) -> Array:
        rest = matrix[:, j] - factor @ factor[j]
        return factor.at[:, j].set(jnp.where(below[:, j], rest / jnp.sqrt(rest[j]), 0.0))

    return jax.lax.fori_loop(0, len(matrix), column, jnp.zeros_like(matrix))


def lower_solve(factor: Float[Array, "n n"], b: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """Solve L x = b."""
    n = len(factor)
    if n > BY_ROWS:
        return jax.scipy.linalg.solve_triangular(factor, b, lower=True)
    if n > UNROLLED:
        return _solve_by_rows(factor, b, jnp.arange(n))
    x: list[Array] = []
    for i in range(n):
        x.append((b[i] - sum(factor[i, k] * x[k] for k in range(i))) / factor[i, i])
    return jnp.stack(x) if n else b


def upper_solve(factor: Float[Array, "n n"], b: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """Solve L'x = b."""
    n = len(factor)
    if n > BY_ROWS:
        return jax.scipy.linalg.solve_triangular(factor, b, lower=True, trans=1)
    if n > UNROLLED:
        return _solve_by_rows(factor.T, b, jnp.arange(n)[::-1])
    x: dict[int, Array] = {}
    for i in reversed(range(n)):
        x[i] = (b[i] - sum(factor[k, i] * x[k] for k in range(i + 1, n))) / factor[i, i]
    return jnp.stack([x[i] for i in range(n)]) if n else b


def _solve_by_rows(
    triangle: Float[Array, "n n"], b: Float[Array, "n ..."], order: Int[Array, " n"]
) -> Float[Array, "n ..."]:
    """Solve T x = b for a triangular T, in the order in which its rows determine x."""
    triangle, b = jnp.asarray(triangle), jnp.asarray(b)

    def row(x: Array, i: Array) -> tuple[Array, None]:
        return x.at[i].set((b[i] - triangle[i] @ x) / triangle[i, i]), None

    return jax.lax.scan(row, jnp.zeros_like(b, triangle.dtype), order)[0]


def cholesky_solve(factor: Float[Array, "n n"], b: Float[Array, "n ..."]) -> Float[Array, "n ..."]:
    """Solve (L L') x = b."""
    return upper_solve(factor, lower_solve(factor, b))


def over_blocks(
    add: Callable[[PyTree, PyTree], PyTree], empty: PyTree, parts: PyTree, block: int
) -> PyTree:
    """Sum over persons, the leading axis of all parts, in blocks of which the last is shorter.

    Args:
        add: returns a total plus the sums of one block.
        empty: the total of nobody.
        parts: arrays by person.
        block: persons at a time.

    >>> float(over_blocks(lambda total, x: total + x.sum(), jnp.zeros(()), jnp.arange(5.0), 2))
    10.0
    """
    n = len(jax.tree.leaves(parts)[0])
    whole = n // block * block
    add = jax.checkpoint(add)  # recomputed, not stored, when this is differentiated in turn

    def cut(leaf: Array) -> Array:
        return leaf[:whole].reshape(whole // block, block, *leaf.shape[1:])

    total = empty
    if whole:
        blocks = jax.tree.map(cut, parts)
        total = jax.lax.scan(lambda sums, part: (add(sums, part), None), empty, blocks)[0]
    return add(total, jax.tree.map(lambda leaf: leaf[whole:], parts)) if whole < n else total


def symmetric_product(x: Float[Array, "n p"], y: Float[Array, "n p"]) -> Float[Array, "p p"]:
    """Return x'y, known to be symmetric, of which little more than half is multiplied out.

    >>> bool(jnp.allclose(symmetric_product(jnp.ones((2, 3)), jnp.ones((2, 3))), 2.0))
    True
    """
    p = x.shape[1]
    if p < SMALL:
        return x.T @ y
    across = x[:, : p // 2].T @ y[:, p // 2 :]
    first, last = (symmetric_product(x[:, part], y[:, part]) for part in np.s_[: p // 2, p // 2 :])
    return jnp.block([[first, across], [across.T, last]])


def spread(jacobian: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the diagonal of J V J', the variances of functions by the delta method.

    >>> spread(np.array([[1.0, 1.0]]), np.eye(2)).tolist()
    [2.0]
    """
    return np.sum((jacobian @ covariance) * jacobian, axis=1)


def rounded_up(n: int) -> int:
    """Round a number of rows up, so that data of similar sizes have arrays of the same shape.

    A power of two where rows cost nothing, an eighth of it up to thousands, a 64th beyond.

    >>> [rounded_up(n) for n in (1, 25, 1000, 1025, 100_000)]
    [1, 32, 1024, 1152, 100352]
    """
    below = 2 ** (max(n, 1).bit_length() - 1)
    step = below if n <= 256 else below // (8 if n <= 4096 else 64)
    return -(-n // step) * step
