"""Parts of the questions of several exercises.

All sizes differ where possible, so that no transposition passes.
"""

from typing import Any

import numpy as np

from minitransformer.coursework.exercise import Call

Rng = np.random.Generator


def question(function: str, **args: Any) -> Call:
    """Make a `Call`, and turn NumPy's numbers into Python's."""
    return Call(
        function,
        {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in args.items()
        },
    )


def changed(call: Call, **new: Any) -> Call:
    """Make the same `Call` with some other arguments."""
    return question(call.function, **call.args | new)


def sizes(rng: Rng, count: int, low: int, high: int) -> list[int]:
    """Draw different sizes from low up to high - 1."""
    return rng.permutation(np.arange(low, high))[:count].tolist()


def normal(
    rng: Rng, *shape: int, size: float = 1.0, mean: float = 0.0
) -> np.ndarray:
    """Draw float32 numbers around the mean, with `size` as deviation."""
    return (mean + size * rng.normal(size=shape)).astype("float32")


def matrices(
    rng: Rng, d_model: int, size: float = 1.0
) -> dict[str, np.ndarray]:
    """Draw the four matrices of attention."""
    return {
        name: normal(rng, d_model, d_model, size=size * d_model**-0.5)
        for name in ("w_q", "w_k", "w_v", "w_o")
    }


def norms(
    rng: Rng, d_model: int, gain: float, bias: float
) -> dict[str, np.ndarray]:
    """Draw gains and biases of a block's two norms."""
    drawn = {}
    for i in "12":
        drawn[f"gain{i}"] = normal(rng, d_model, size=gain, mean=1)
        drawn[f"bias{i}"] = normal(rng, d_model, size=bias)
    return drawn


def feed_weights(
    rng: Rng, d_model: int, d_ff: int, size: float = 1.0, bias: float = 1.0
) -> dict[str, np.ndarray]:
    """Draw the weights of a feed-forward layer."""
    return {
        "w1": normal(rng, d_model, d_ff, size=size * d_model**-0.5),
        "b1": normal(rng, d_ff, size=bias * size),
        "w2": normal(rng, d_ff, d_model, size=size * d_ff**-0.5),
        "b2": normal(rng, d_model, size=bias * size),
    }


def with_zeros(call: Call, *names: str) -> Call:
    """Set some of the weights of a `Call` to zero."""
    weights = call.args["weights"]
    zeros = {name: np.zeros_like(weights[name]) for name in names}
    return changed(call, weights=weights | zeros)


def some_keys(rng: Rng, *shape: int) -> np.ndarray:
    """Draw a mask with at least one True, and one False, in each row."""
    chance = rng.random(shape)
    mask = chance < 0.5
    mask |= chance == chance.min(axis=-1, keepdims=True)
    return mask & (chance < chance.max(axis=-1, keepdims=True))


def lower_triangle(size: int) -> np.ndarray:
    """Make a causal mask `(1, 1, size, size)`."""
    return np.tril(np.ones((1, 1, size, size), bool))
