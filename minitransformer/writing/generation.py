"""Generation: choose the next token, append it, look again."""

import secrets

import numpy as np
import tensorflow as tf

from minitransformer.runs.compilation import compiled
from minitransformer.writing.sampling import choose


def window(model, ids, begin):
    """Cut `max_len` tokens out of ids, from `begin` on."""
    size = (tf.shape(ids)[0], model.config.max_len)
    return tf.slice(ids, (0, begin), size)


def read_window(model, ids, begin):
    """Read a whole window; slots behind the last token hold nonsense.

    Each of these is overwritten before any token may look at it.

    Returns:
        A cache of its keys and values.
    """
    cache = model.start_cache(tf.shape(ids)[0])
    return model.forward(window(model, ids, begin), cache, 0)[2]


def read_token(model, ids, begin, length, cache):
    """Read the window's last token; the cache knows those before it.

    Returns:
        Its logits `(batch, vocab_size)`, and the cache with it.
    """
    token = tf.gather(ids, [begin + length - 1], axis=1)  # (batch, 1)
    logits, _, cache = model.forward(token, cache, length - 1)
    return logits[:, 0], cache


def make_room(model, prompt, total, stop_id):
    """Put the prompt into an array with room for all that is to come.

    Returns:
        ids `(batch, capacity)`, the prompt's length, and where its window
        begins.
    """
    max_len, (batch, count) = model.config.max_len, prompt.shape
    fill = 0 if stop_id is None else stop_id
    # A multiple of max_len, so that other lengths need no other program,
    # and room for the last window behind it.
    capacity = (-(-total // max_len) + 1) * max_len
    ids = np.full((batch, capacity), fill, "int32")
    ids[:, :count] = prompt
    begin = 0 if count <= max_len else count - max_len // 2
    return tf.constant(ids), tf.constant(count), tf.constant(begin)


def start(model, ids, count, begin, use_cache):
    """Make the state that `extend` begins with, and changes."""
    batch = ids.shape[0]
    cache = model.start_cache(batch) if use_cache else ()
    # A single token has none before it that the cache should know.
    stale = count - begin > 1
    return ids, count, begin, stale, tf.zeros(batch, tf.bool), cache


def write(model, ids, count, begin, until, seed, *options):
    """Do all at once: less to hand over than call by call."""
    state = start(model, ids, count, begin, options[-1])
    return extend(model, state, until, seed, *options)[0]


def extend(
    model, state, until, seed, stop_id, temperature, top_k, top_p, use_cache
):
    """Append tokens until there are `until`, or every row has ended.

    The state: ids `(batch, capacity)`, of which `count` are there; the
    window's first token; whether the cache must be built anew; which rows
    have ended; the cache.
    """
    max_len = model.config.max_len

    def go_on(ids, count, begin, stale, ended, cache):
        return (count < until) & ~tf.reduce_all(ended)

    def one_token(ids, count, begin, stale, ended, cache):
        length = count - begin
        if use_cache:
            logits, cache = read_token(model, ids, begin, length, cache)
        else:
            logits = model(window(model, ids, begin))
            logits = tf.gather(logits, length - 1, axis=1)
        token = choose(
            logits,
            seed=tf.stack([seed, count]),
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
        )
        if stop_id is not None:
            token = tf.where(ended, stop_id, token)
            ended = ended | (token == stop_id)
        here = tf.range(tf.shape(ids)[1]) == count
        ids = tf.where(here, token[:, None], ids)
        count += 1
        # The window rule: past its end, keep its last half and restart.
        full = count - begin > max_len
        begin = tf.where(full, count - max_len // 2, begin)
        return ids, count, begin, full, ended, cache

    def one_window(ids, count, begin, stale, ended, cache):
        if use_cache:
            cache = tf.cond(
                stale, lambda: read_window(model, ids, begin), lambda: cache
            )
        return tf.while_loop(
            lambda *state: go_on(*state) & ~state[3],
            one_token,
            (ids, count, begin, tf.constant(False), ended, cache),
        )

    return tf.while_loop(go_on, one_window, state)


def stream(
    model,
    prompt_ids,
    *,
    max_new_tokens,
    temperature=1.0,
    top_k=None,
    top_p=None,
    seed=None,
    stop_id=None,
    use_cache=True,
    use_xla=True,
    chunk=16,
):
    """Generate as `generate` does, and hand out tokens as they come.

    Args:
        chunk: How many tokens to hand out at a time.
        model, prompt_ids, …: As for `generate`.

    Yields:
        NumPy int32 `(batch, n)`: the prompt first, then new tokens.

    Raises:
        ValueError: As `generate`.
    """
    prompt = np.asarray(prompt_ids)
    check(model, prompt, max_new_tokens, temperature, top_k, top_p, seed)
    done, total = prompt.shape[1], prompt.shape[1] + max_new_tokens
    options = stop_id, temperature, top_k, top_p, use_cache
    seed = tf.constant(secrets.randbits(31) if seed is None else seed)
    room = make_room(model, prompt, total, stop_id)
    state = start(model, *room, use_cache)
    yield prompt.astype("int32")
    while done < total:
        until = min(done + chunk, total)
        # Compiled once for each batch size, capacity and set of options.
        state = compiled(extend, use_xla)(
            model, state, tf.constant(until), seed, *options
        )
        if int(state[1]) < until:  # every row has ended: the rest is filled
            until = total
        yield state[0][:, done:until].numpy()
        done = until


def generate(
    model,
    prompt_ids,
    *,
    max_new_tokens,
    temperature=1.0,
    top_k=None,
    top_p=None,
    seed=None,
    stop_id=None,
    use_cache=True,
    use_xla=True,
):
    """Continue each prompt, token by token.

    When the window is full, the last `max_len // 2` tokens are kept, their
    positions start again at 0 and the cache is built anew; a prompt longer
    than the window is cut in the same way. With and without cache the rule
    is the same, and so are the tokens.

    Args:
        model: Has `config.max_len`, and maps ids `(batch, seq)` to logits;
            with the cache, `start_cache` and `forward` as `GPT` has them.
        prompt_ids: Integers `(batch, prompt)`, at least one each.
        max_new_tokens: How many to append.
        temperature: 0 is greedy; 1 follows the model's probabilities.
        top_k: Choose among the k likeliest tokens only.
        top_p: Choose among the fewest tokens that reach this probability.
        seed: Integer for the same tokens again; None for new ones.
        stop_id: A row that has made this token is filled up with it.
        use_cache: False reads the whole window for each token: slower, and
            the same tokens.
        use_xla: Whether XLA compiles, where TensorFlow has it. It draws
            other random numbers from the same seed.

    Returns:
        NumPy int32 `(batch, prompt + max_new_tokens)`, prompt included.

    Raises:
        ValueError: if the prompt is empty, has ids outside the vocabulary,
            or an option is out of its range.
    """
    prompt = np.asarray(prompt_ids)
    check(model, prompt, max_new_tokens, temperature, top_k, top_p, seed)
    total = prompt.shape[1] + max_new_tokens
    seed = secrets.randbits(31) if seed is None else seed
    ids = compiled(write, use_xla)(
        model,
        *make_room(model, prompt, total, stop_id),
        tf.constant(total),
        tf.constant(seed),
        stop_id,
        temperature,
        top_k,
        top_p,
        use_cache,
    )
    return ids.numpy()[:, :total]


def check(model, prompt, max_new_tokens, temperature, top_k, top_p, seed):
    """Refuse what cannot be generated, in a sentence."""
    if prompt.ndim != 2 or prompt.shape[0] < 1 or prompt.shape[1] < 1:
        raise ValueError(
            f"prompt_ids has shape {prompt.shape}: give (batch, prompt) "
            "with at least one token in each row."
        )
    vocab_size = getattr(model.config, "vocab_size", None)
    if prompt.min() < 0 or (vocab_size and prompt.max() >= vocab_size):
        raise ValueError(
            f"prompt_ids must lie in 0 … {vocab_size - 1}: they were made "
            "by another tokenizer."
        )
    if max_new_tokens < 0:
        raise ValueError(
            f"max_new_tokens={max_new_tokens}: give 0 or more."
        )
    if seed is not None and not 0 <= seed < 2**31:
        raise ValueError(f"seed={seed}: give 0 to 2147483647, or None.")
    if not temperature >= 0:
        raise ValueError(f"temperature={temperature}: give 0 or more.")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k}: give at least 1, or None.")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p}: give more than 0, up to 1.")
