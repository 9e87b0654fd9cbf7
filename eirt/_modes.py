"""Maximisers of smooth concave functions, inside compiled code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Float, PyTree

SECANTS = 4  # that are remembered


def newton_mode(
    expand: Callable[[PyTree], tuple[Array, PyTree, Array, PyTree]],
    start: PyTree,
    tolerance: float = 1e-18,
    most: int = 100,
) -> tuple[PyTree, PyTree]:
    """Maximise a smooth concave function by Newton's method with step halving.

    Args:
        expand: returns at a point the value, the Newton step, the decrement (gradient times
            step), and whatever else is wanted at the mode.
        start: where to begin.
        tolerance: stop when the decrement is below it.
        most: evaluations of `expand` at most.

    Returns:
        The maximiser, and the last thing that `expand` returned there.

    >>> mode, _ = newton_mode(lambda x: (-(x @ x) / 2, -x, x @ x, ()), jnp.asarray([3.0]))
    >>> float(mode[0])
    0.0
    """

    def unfinished(state: tuple) -> Array:
        _, value, _, decrement, _, _, count = state
        lost = (count > 0) & jnp.isneginf(value)  # the start itself is no number
        return (count < most) & (decrement > tolerance) & ~lost

    def advance(state: tuple) -> tuple:
        point, value, step, decrement, extra, length, count = state
        trial = jax.tree.map(lambda at, by: at + length * by, point, step)
        new_value, new_step, new_decrement, new_extra = expand(trial)
        better = (new_value >= value - 1e-12 * jnp.abs(value)) & (new_decrement >= 0)
        kept = (point, value, step, decrement, extra, length / 2, count + 1)
        fresh = (new_extra, jnp.ones_like(length), count + 1)
        moved = (trial, new_value, new_step, new_decrement, *fresh)
        return jax.tree.map(lambda new, old: jnp.where(better, new, old), moved, kept)

    # the first pass evaluates the start: `expand` is compiled once
    expand = jax.jit(expand)  # traced once for both uses
    shapes = jax.eval_shape(expand, start)
    value, step, decrement, extra = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    before = (value - jnp.inf, step, decrement + jnp.inf, extra)
    state = (start, *before, jnp.ones_like(value), 0)
    mode, _, _, _, extra, _, _ = jax.lax.while_loop(unfinished, advance, state)
    return mode, extra


def secant_mode(
    expand: Callable[[Array], tuple[Array, Array]],
    solve: Callable[[Array], Array],
    start: Float[Array, " n"],
    tolerance: float,
    most: int,
) -> tuple[Float[Array, " n"], Array]:
    """Maximise a smooth concave function with the curvature of another point, mended by secants.

    Args:
        expand: returns value and gradient at a point.
        solve: divides by a curvature, that of a point nearby maybe.
        start: where to begin.
        tolerance: stop when gradient times step is below it.
        most: evaluations of `expand` at most.

    Returns:
        The best point, and whether it is the maximiser.

    Source: limited-memory BFGS (Nocedal & Wright, 2006, algorithm 7.4).

    >>> mode, found = secant_mode(
    ...     lambda x: (-2 * x @ x, -4 * x), lambda g: g / 3, jnp.ones(2), 1e-12, 5
    ... )
    >>> bool(found)
    True
    """
    expand = jax.jit(expand)  # traced once for both uses
    empty = jnp.zeros((SECANTS, start.size))

    def step_at(gradient: Array, steps: Array, changes: Array) -> Array:
        along = jnp.sum(steps * changes, axis=1)
        weight = jnp.where(along > 0, 1.0 / jnp.where(along > 0, along, 1.0), 0.0)
        shares = []
        for i in range(SECANTS):
            shares.append(weight[i] * (steps[i] @ gradient))
            gradient = gradient - shares[i] * changes[i]
        # the last step tells how much the curvature at hand is off on the whole
        off = jnp.where(along[0] > 0, changes[0] @ solve(changes[0]), 1.0)
        step = solve(gradient) * jnp.where(along[0] > 0, along[0] / off, 1.0)
        for i in reversed(range(SECANTS)):
            step = step + (shares[i] - weight[i] * (changes[i] @ step)) * steps[i]
        return step

    def unfinished(state: tuple) -> Array:
        _, value, gradient, step, _, _, _, count = state
        lost = (count > 0) & jnp.isneginf(value)
        return (count < most) & ((count == 0) | (gradient @ step > tolerance)) & ~lost

    def advance(state: tuple) -> tuple:
        point, value, gradient, step, length, steps, changes, count = state
        trial = point + length * step
        there, slope = expand(trial)
        steps_then = jnp.concatenate([(trial - point)[None], steps[:-1]])
        changes_then = jnp.concatenate([(gradient - slope)[None], changes[:-1]])
        steps_then, changes_then = jax.tree.map(
            lambda new, old: jnp.where(count > 0, new, old),
            (steps_then, changes_then),
            (steps, changes),
        )
        turned = step_at(slope, steps_then, changes_then)
        better = (there >= value - 1e-12 * jnp.abs(value)) & (slope @ turned >= 0)
        moved = (trial, there, slope, turned, jnp.ones_like(length), steps_then, changes_then)
        kept = (point, value, gradient, step, length / 2, steps, changes)
        chosen = jax.tree.map(lambda new, old: jnp.where(better, new, old), moved, kept)
        return (*chosen, count + 1)

    still = jnp.zeros_like(start)
    # the first pass evaluates the start: `expand` is compiled once
    before = (start, -jnp.inf * jnp.ones(()), still, still, jnp.ones(()), empty, empty, 0)
    point, _, gradient, step, *_ = jax.lax.while_loop(unfinished, advance, before)
    return point, gradient @ step <= tolerance
