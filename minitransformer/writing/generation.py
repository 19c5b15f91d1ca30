"""Generation: choose the next token, append it, and read again."""

import secrets
from collections.abc import Iterator
from inspect import signature
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from minitransformer.runs.compilation import compiled
from minitransformer.runs.given import checked, whole
from minitransformer.writing.sampling import choose, take_options


class State(NamedTuple):
    """What generation carries from one token to the next."""

    ids: tf.Tensor  # (batch, capacity): prompt, new tokens, free places
    count: tf.Tensor  # number of tokens
    begin: tf.Tensor  # place of the window's first token
    stale: tf.Tensor  # whether the cache must be built again
    ended: tf.Tensor  # (batch,): whether a row has made the stop token
    cache: Any  # keys and values of the window's tokens


class Options(NamedTuple):
    """How `generate` reads and chooses: a program for each set."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    stop_id: int | None = None
    use_cache: bool = True


def window_begin(count: tf.Tensor, begin: Any, max_len: int) -> tf.Tensor:
    """Find the window's first token, once the text has outgrown it.

    For `max_len` 8 and begin 0: count 8 still fits, so the result is 0;
    count 9 is one too many, so it is 9 − 4 = 5, and tokens 5 to 8 remain.
    """
    return tf.where(count - begin > max_len, count - max_len // 2, begin)


def window(model: keras.Model, state: State) -> tf.Tensor:
    """Cut the window out of the ids: `(batch, max_len)`."""
    size = (tf.shape(state.ids)[0], model.config.max_len)
    return tf.slice(state.ids, (0, state.begin), size)


def read_window(model: keras.Model, state: State) -> Any:
    """Read a whole window, and return a cache of its keys and values.

    Slots after the last token hold nonsense. Each is overwritten before
    any token can attend to it. A band's cache has no such slots: it ends
    before the last token, which `read_token` reads again.
    """
    cache = model.start_cache(tf.shape(state.ids)[0])
    options: dict[str, tf.Tensor] = {}
    if "length" in signature(model.forward).parameters:
        options["length"] = state.count - state.begin - 1
    return model.forward(window(model, state), cache, 0, **options)[2]


def read_token(model: keras.Model, state: State) -> tuple[tf.Tensor, Any]:
    """Read the window's last token; the cache has the ones before it.

    Returns:
        The token's logits `(batch, vocab_size)`, and the new cache.
    """
    token = tf.gather(state.ids, [state.count - 1], axis=1)  # (batch, 1)
    place = state.count - state.begin - 1
    logits, _, cache = model.forward(token, state.cache, place)
    return logits[:, 0], cache


def make_room(
    model: keras.Model, prompt: np.ndarray, total: int, options: Options
) -> tuple[tf.Tensor, tf.Tensor]:
    """Put the prompt into an array with room for `total` tokens.

    Returns:
        ids `(batch, capacity)`, and the prompt's length.
    """
    max_len, (batch, length) = model.config.max_len, prompt.shape
    # A multiple of max_len, so that other lengths use the same program,
    # and one window more, so that the last window can be cut out.
    capacity = (-(-total // max_len) + 1) * max_len
    free = 0 if options.stop_id is None else options.stop_id
    ids = np.full((batch, capacity), free, "int32")
    ids[:, :length] = prompt
    return tf.constant(ids), tf.constant(length)


def first_state(
    model: keras.Model, ids: tf.Tensor, count: tf.Tensor, options: Options
) -> State:
    """Make the state before the first new token."""
    batch = ids.shape[0]
    return State(
        ids=ids,
        count=count,
        begin=tf.constant(0),
        # A single token has none before it to read.
        stale=count > 1,
        ended=tf.zeros(batch, tf.bool),
        cache=model.start_cache(batch) if options.use_cache else (),
    )


def extend(
    model: keras.Model,
    state: State,
    until: tf.Tensor,
    seed: tf.Tensor,
    options: Options,
) -> State:
    """Append tokens until there are `until`, or all rows have ended."""
    max_len = model.config.max_len

    def unfinished(state):
        return (state.count < until) & ~tf.reduce_all(state.ended)

    def append_token(state):
        cache, ended = state.cache, state.ended
        if options.use_cache:
            logits, cache = read_token(model, state)
        else:
            place = state.count - state.begin - 1
            logits = tf.gather(model(window(model, state)), place, axis=1)
        token = choose(
            logits,
            seed=tf.stack([seed, state.count]),
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
        )
        if options.stop_id is not None:
            token = tf.where(ended, options.stop_id, token)
            ended = ended | (token == options.stop_id)
        ended = ended | tf.reduce_any(token < 0)  # NaN in one: end all
        here = tf.range(tf.shape(state.ids)[1]) == state.count
        ids = tf.where(here, token[:, None], state.ids)
        count = state.count + 1
        return [
            state._replace(ids=ids, count=count, ended=ended, cache=cache)
        ]

    def fill_window(state):
        begin = window_begin(state.count, state.begin, max_len)
        stale = state.stale | (begin > state.begin)
        state = state._replace(begin=begin, stale=tf.constant(False))
        if options.use_cache:
            cache = tf.cond(
                stale,
                lambda: read_window(model, state),
                lambda: state.cache,
            )
            state = state._replace(cache=cache)
        return tf.while_loop(
            lambda s: unfinished(s) & (s.count - begin <= max_len),
            append_token,
            [state],
        )

    return tf.while_loop(unfinished, fill_window, [state])[0]


def write_all(
    model: keras.Model,
    ids: tf.Tensor,
    count: tf.Tensor,
    until: tf.Tensor,
    seed: tf.Tensor,
    options: Options,
) -> tf.Tensor:
    """Make the state and write all tokens, in one program."""
    state = first_state(model, ids, count, options)
    return extend(model, state, until, seed, options).ids


def stream(
    model: keras.Model,
    prompt_ids: ArrayLike,
    *,
    max_new_tokens: int,
    chunk: int = 16,
    seed: int | None = None,
    use_xla: bool = True,
    **options: Any,
) -> Iterator[np.ndarray]:
    """Generate as `generate` does, but return tokens in pieces.

    Args:
        chunk: Number of new tokens in a piece.
        model, prompt_ids, max_new_tokens, seed, use_xla, **options: Same as
            in `generate`.

    Returns:
        An iterator of NumPy int32 `(batch, n)`: the prompt, then pieces.

    Raises:
        TypeError, ValueError: Same as in `generate`.
    """
    chunk = whole("chunk", chunk)
    prompt, total, start, chosen = check_request(
        model, prompt_ids, max_new_tokens, seed, Options(**options)
    )

    def chunks():
        room = make_room(model, prompt, total, chosen)
        state, done = first_state(model, *room, chosen), prompt.shape[1]
        yield prompt
        while done < total:
            until = min(done + chunk, total)
            # Compiled once for each batch size, capacity and options.
            state = compiled(extend, use_xla)(
                model, state, tf.constant(until), start, chosen
            )
            if int(state.count) < until:  # all rows have ended
                until = total
            yield check_tokens(state.ids.numpy()[:, done:until])
            done = until

    return chunks()


def generate(
    model: keras.Model,
    prompt_ids: ArrayLike,
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    stop_id: int | None = None,
    use_cache: bool = True,
    use_xla: bool = True,
) -> np.ndarray:
    """Continue each prompt, token by token.

    When the window is full, its last `max_len // 2` tokens are kept, their
    positions start again at 0, and the cache is built again. A prompt
    longer than the window is cut in the same way.

    Args:
        model: Has `config.max_len`, and maps ids `(batch, seq)` to logits;
            with the cache, it has `start_cache` and `forward` as `GPT`
            (without `length` if it has no band).
        prompt_ids: Integers `(batch, prompt)`, at least one per row.
        max_new_tokens: Number of tokens to append.
        temperature: 0 is greedy; 1 follows the model's probabilities.
        top_k: Choose among the k likeliest tokens only.
        top_p: Choose among the fewest tokens that reach this probability.
        seed: Integer for the same tokens again; None for new ones.
        stop_id: The token that ends a row; all later places hold it.
        use_cache: False reads the whole window for each token: the same
            tokens, but slower.
        use_xla: Whether XLA compiles, where TensorFlow has it. It draws
            other random numbers from the same seed.

    Returns:
        NumPy int32 `(batch, prompt + max_new_tokens)`, prompt included.

    Raises:
        TypeError, ValueError: if the prompt or an option makes no sense, or
            the logits are NaN.
    """
    options = Options(temperature, top_k, top_p, stop_id, use_cache)
    prompt, total, start, options = check_request(
        model, prompt_ids, max_new_tokens, seed, options
    )
    room = make_room(model, prompt, total, options)
    ids = compiled(write_all, use_xla)(
        model, *room, tf.constant(total), start, options
    )
    return check_tokens(ids.numpy()[:, :total])


def check_tokens(ids: np.ndarray) -> np.ndarray:
    """Refuse tokens that were chosen from NaN."""
    if (ids < 0).any():
        raise ValueError(
            "The model's logits are NaN, so no token can be chosen: its "
            "weights hold NaN, or numbers too large for its precision."
        )
    return ids


def check_request(
    model: keras.Model,
    prompt_ids: ArrayLike,
    max_new_tokens: int,
    seed: int | None,
    options: Options,
) -> tuple[np.ndarray, int, tf.Tensor, Options]:
    """Check a request, and return its parts as one type each.

    Returns:
        The prompt, the length with all new tokens, the seed, the options.
    """
    vocab_size = getattr(model.config, "vocab_size", 2**31)
    prompt = checked_ids("prompt_ids", prompt_ids, vocab_size)
    options = Options(**take_options(**options._asdict()))
    if options.stop_id is not None and options.stop_id >= vocab_size:
        raise ValueError(
            f"stop_id={options.stop_id}, expected an id of the vocabulary: "
            f"give 0 to {vocab_size - 1}."
        )
    limit = range(2**24).__contains__, "an integer from 0 to 16777215"
    new = checked(int, "max_new_tokens", max_new_tokens, *limit)
    seed = secrets.randbits(31) if seed is None else seed
    start = tf.constant(whole("seed", seed, 0))
    return prompt, prompt.shape[1] + new, start, options


def checked_ids(name: str, ids: ArrayLike, vocab_size: int) -> np.ndarray:
    """Return ids as NumPy int32 `(batch, seq)`; refuse what is not."""
    try:
        array = np.asarray(ids)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} has type {array.dtype}: give integers in rows of one "
            "length. Pad sources, but continue prompts one by one, because "
            "a GPT would read padding as text."
        )
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"{name} has shape {array.shape}, expected (batch, seq) with "
            "at least one token in each row; for a single row, give [row]."
        )
    if array.min() < 0 or array.max() >= vocab_size:
        raise ValueError(
            f"{name} has ids from {array.min()} to {array.max()}, expected "
            f"0 … {vocab_size - 1}: another tokenizer made them."
        )
    return array.astype("int32")
