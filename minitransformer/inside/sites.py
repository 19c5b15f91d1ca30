"""Sites: the places in a model whose arrays can be read and changed.

For a moment, each function that makes such an array is replaced by one
that also shows it. Layers store nothing, and compiled code stays as it is.
"""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from types import SimpleNamespace

import keras
import tensorflow as tf

from minitransformer.attention import (
    attention_weights,
    scaled_dot_product_attention,
)
from minitransformer.recurrent import InputFeedingDecoder, PlainDecoder
from minitransformer.scoring import attend
from minitransformer.stacks import Stack

Visit = Callable[[str, tf.Tensor], tf.Tensor]
PARTS = Stack, keras.layers.LSTM, PlainDecoder, InputFeedingDecoder
HERE: ContextVar[str] = ContextVar("HERE", default="")  # an attention
STEP: ContextVar[int | None] = ContextVar("STEP", default=None)
LOCK = threading.RLock()


@contextlib.contextmanager
def open_sites(model: keras.Model, visit: Visit) -> Iterator[None]:
    """Call `visit(site, array)` at each site while a `with` block runs.

    The model goes on with the array that `visit` returns. Calls in other
    threads are not visited.

    Raises:
        TypeError: if `model` is no Keras model.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"model is a {type(model).__name__}: give a model of this "
            "package. To compile, call capture inside a tf.function."
        )
    thread = threading.get_ident()

    def show(site, array):
        ours = threading.get_ident() == thread
        return visit(site, array) if ours else array

    with LOCK, contextlib.ExitStack() as stack:
        for owner, name, new in [*methods(model, show), *functions(show)]:
            names = vars(owner)  # directly: Keras watches `layer.name = …`
            if name in names:
                stack.callback(names.__setitem__, name, names[name])
            else:
                stack.callback(names.pop, name)
            names[name] = new
        yield


def methods(model: keras.Model, show: Visit) -> Iterator[tuple]:
    """List new methods for the layers of a model: layer, name, method."""

    def method(layer, name, site, here="", first=""):
        old = getattr(layer, name)

        def new(*args, **options):
            before = HERE.set(here)
            args = (show(first, args[0]), *args[1:]) if first else args
            try:
                made = old(*args, **options)
            finally:
                HERE.reset(before)
            if isinstance(made, tuple | list):
                return show(site, made[0]), *made[1:]
            return show(site, made)

        return layer, name, new

    bert = getattr(
        model, "bert", model
    )  # a model for a task holds its BERT
    if bert is not model or not hasattr(model, "pooler_dense"):
        yield method(model, "call", "logits")
    if hasattr(bert, "pooler_dense"):
        yield method(bert.pooler_dense, "call", "pooled")
    chains = [layer for layer in bert.layers if isinstance(layer, PARTS)]
    for chain in chains:
        prefix = f"{chain.name}." if len(chains) > 1 else ""
        first, last = f"{prefix}embeddings", f"{prefix}hidden"
        yield method(chain, "call", last, chain.name, first)
        if hasattr(chain, "score"):
            yield method(chain, "read", f"{prefix}keys")
        for i, block in enumerate(getattr(chain, "blocks", ())):
            site = f"{prefix}block{i}"
            yield method(block, "call", site)
            for kind in ("self", "cross"):
                layer = getattr(block, f"{kind}_attention")
                if layer is not None:
                    here = f"{site}.{kind}"
                    yield method(layer, "attend", f"{here}.output", here)
            layer, site = block.feed_forward, f"{site}.feed_forward"
            yield method(layer, "activation", f"{site}.activations")
            yield method(layer, "call", f"{site}.output")


def functions(show: Visit) -> Iterator[tuple]:
    """List new functions for modules: module, name, function.

    A function does not know which layer calls it; `HERE` does.
    """

    def at(name, array):
        here = HERE.get()
        return show(f"{here}.{name}", array) if here else array

    def weights(old, scores, *args):
        return at("weights", old(at("scores", scores), *args))

    def heads(old, query, key, value, *args, **options):
        arrays = at("queries", query), at("keys", key), at("values", value)
        output, weights = old(*arrays, *args, **options)
        return at("heads", output), weights

    def context(old, score, query, *args):
        output, weights = old(score, at("queries", query), *args)
        return at("context", output), weights

    for old, new in (
        (attention_weights, weights),
        (scaled_dot_product_attention, heads),
        (attend, context),
    ):
        for name, module in [*sys.modules.items()]:
            ours = name.startswith("minitransformer.")
            if ours and vars(module).get(old.__name__) is old:
                yield module, old.__name__, partial(new, old)
    recurrent = sys.modules[InputFeedingDecoder.__module__]
    yield recurrent, "tf", SimpleNamespace(**vars(tf) | {"scan": scan})


def scan(step: Callable, elements: tf.Tensor, state: tuple) -> tuple:
    """Do as `tf.scan`, in a Python loop: its arrays can be read outside."""
    if elements.shape[0] is None:
        raise ValueError(
            "The target has any length here, but the decoder takes one "
            "step per token: give capture target_ids of a fixed length."
        )
    states = []
    for i, element in enumerate(tf.unstack(elements)):
        before = STEP.set(i)
        state = step(state, element)
        STEP.reset(before)
        states.append(state)
    return tf.nest.map_structure(lambda *parts: tf.stack(parts), *states)
