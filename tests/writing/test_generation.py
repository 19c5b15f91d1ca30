import numpy as np
import pytest
import tensorflow as tf
from conftest import make_tiny_gpt

from minitransformer import generate, stream
from minitransformer.runs import compilation
from minitransformer.writing.generation import write_all
from minitransformer.writing.sampling import choose

PROMPTS = [[1, 2, 3], [4, 5, 6]]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"temperature": 0}, {"top_k": 7}])
def test_compiled_equals_line_by_line(tiny_gpt, options):
    def run(use_cache):
        return generate(
            tiny_gpt, PROMPTS, max_new_tokens=30, seed=3, stop_id=0, use_cache=use_cache, **options
        )

    compiled = run(use_cache=True)
    np.testing.assert_array_equal(compiled, run(use_cache=False))
    if options == {"temperature": 0}:  # XLA draws other random numbers
        tf.config.run_functions_eagerly(True)
        plain = run(use_cache=True)
        tf.config.run_functions_eagerly(False)
        np.testing.assert_array_equal(compiled, plain)


def window_rule(model, ids, count):
    """Apply the window rule in a plain loop: greedy, for all rows at once."""
    max_len = model.config.max_len
    window = ids if ids.shape[1] <= max_len else ids[:, -(max_len // 2) :]
    for _ in range(count):
        token = np.argmax(model(window)[:, -1], axis=-1)[:, None]
        ids, window = (np.append(array, token, axis=1) for array in (ids, window))
        if window.shape[1] > max_len:
            window = window[:, -(max_len // 2) :]
    return ids


@pytest.mark.parametrize(
    "length",
    [pytest.param(1, marks=pytest.mark.slow), pytest.param(11, marks=pytest.mark.slow), 30],
)
def test_greedy_follows_the_window_rule_past_its_end(tiny_gpt, eagerly, rng, length):
    prompt = rng.integers(0, 23, (2, length))
    expected = window_rule(tiny_gpt, prompt, 17)
    for use_cache in (True, False):
        ids = generate(tiny_gpt, prompt, max_new_tokens=17, temperature=0, use_cache=use_cache)
        np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize("band", [1, 3, 10])
@pytest.mark.parametrize("length", [1, 4, 30])
def test_a_rolling_cache_writes_the_masked_models_text(eagerly, rng, band, length):
    model = make_tiny_gpt(band=band, num_layers=3)
    prompt = rng.integers(0, 23, (9, length))
    both = [  # drawn, because greedy text soon repeats one token
        generate(model, prompt, max_new_tokens=14, seed=3, use_cache=cached)
        for cached in (True, False)
    ]
    np.testing.assert_array_equal(*both)


def test_a_model_without_bands_needs_no_length(tiny_gpt, eagerly):
    class Own:
        config, start_cache = tiny_gpt.config, tiny_gpt.start_cache

        def forward(self, token_ids, cache, start):
            return tiny_gpt.forward(token_ids, cache, start)

    ids = generate(Own(), PROMPTS, max_new_tokens=14, temperature=0)
    np.testing.assert_array_equal(ids, window_rule(tiny_gpt, np.array(PROMPTS), 14))


def test_a_rolling_cache_writes_the_same_text_in_xla():
    model = make_tiny_gpt(band=4, rotary=True)
    ids = generate(model, PROMPTS, max_new_tokens=25, temperature=0)
    np.testing.assert_array_equal(ids, window_rule(model, np.array(PROMPTS), 25))


@pytest.mark.parametrize("options", [{}, {"temperature": 0.7, "top_k": 5}, {"top_p": 0.8}])
def test_with_and_without_cache_choose_the_same_tokens(tiny_gpt, eagerly, options):
    both = [
        generate(tiny_gpt, PROMPTS, max_new_tokens=14, seed=3, use_cache=cached, **options)
        for cached in (True, False)
    ]
    np.testing.assert_array_equal(*both)
    np.testing.assert_array_equal(both[0][:, :3], PROMPTS)


def test_a_seed_repeats_and_no_seed_does_not(tiny_gpt, eagerly):
    def run(seed):
        return generate(tiny_gpt, PROMPTS, max_new_tokens=8, seed=seed).tolist()

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert run(None) != run(None)
    # The rows of a batch draw their own numbers.
    twins = generate(tiny_gpt, [[1, 2], [1, 2]], max_new_tokens=8, seed=1)
    assert twins[0].tolist() != twins[1].tolist()


def test_a_row_that_has_ended_is_filled_with_the_stop_id(tiny_gpt, eagerly):
    free = generate(tiny_gpt, PROMPTS, max_new_tokens=20, seed=5)
    # A token that the two rows write at different places.
    firsts = [{t: i for i, t in reversed(list(enumerate(r[3:])))} for r in free]
    stop = next(int(t) for t, i in firsts[0].items() if firsts[1].get(t, 99) != i)
    ids = generate(tiny_gpt, PROMPTS, max_new_tokens=20, seed=5, stop_id=stop)
    assert ids.shape == free.shape
    ends = []
    for row, unstopped in zip(ids[:, 3:], free[:, 3:], strict=True):
        places = np.flatnonzero(unstopped == stop)
        end = places[0] if len(places) else len(row)
        ends.append(end)
        np.testing.assert_array_equal(row[:end], unstopped[:end])
        assert (row[end:] == stop).all()
    assert ends[0] != ends[1]


def test_streamed_pieces_are_the_whole(tiny_gpt, eagerly):
    whole = generate(tiny_gpt, PROMPTS, max_new_tokens=21, seed=2, stop_id=7)
    parts = list(stream(tiny_gpt, PROMPTS, max_new_tokens=21, seed=2, stop_id=7, chunk=4))
    assert [p.shape[1] for p in parts[:2]] == [3, 4]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_one_row_is_the_same_alone_and_in_a_batch(tiny_gpt, eagerly):
    together = generate(tiny_gpt, PROMPTS, max_new_tokens=20, temperature=0)
    alone = generate(tiny_gpt, PROMPTS[1:], max_new_tokens=20, temperature=0)
    np.testing.assert_array_equal(together[1:], alone)


def draws(logits, count=4000, **options):
    options = {"temperature": 1.0, "top_k": None, "top_p": None, **options}
    many = tf.repeat(tf.constant([logits], tf.float32), count, axis=0)
    tokens = choose(many, seed=(1, 2), **options).numpy()
    return np.bincount(tokens, minlength=len(logits)) / count


def test_samples_follow_the_probabilities_and_the_temperature():
    logits = np.log([0.5, 0.3, 0.15, 0.05])
    for temperature in (1.0, 0.5, 2.0):
        p = np.exp(logits / temperature)
        np.testing.assert_allclose(draws(logits, temperature=temperature), p / p.sum(), atol=0.03)
    assert draws(logits, temperature=0)[0] == 1


def test_top_k_and_top_p_keep_the_likeliest():
    logits = np.log([0.1, 0.4, 0.2, 0.3])
    np.testing.assert_allclose(draws(logits, top_k=2), [0, 4 / 7, 0, 3 / 7], atol=0.03)
    assert draws(logits, top_k=1)[1] == 1
    np.testing.assert_allclose(draws(logits, top_k=9), np.exp(logits), atol=0.03)
    # 0.4 + 0.3 reach 0.65; 0.4 alone reaches 0.3.
    np.testing.assert_allclose(draws(logits, top_p=0.65), [0, 4 / 7, 0, 3 / 7], atol=0.03)
    assert draws(logits, top_p=0.3)[1] == 1
    assert draws(logits, top_p=1e-6)[1] == 1
    np.testing.assert_allclose(draws(logits, top_p=1.0), np.exp(logits), atol=0.03)


def test_top_k_and_top_p_cut_each_row_on_its_own():
    logits = tf.math.log([[0.9, 0.06, 0.04], [0.1, 0.2, 0.7]])
    for options in ({"top_k": 1}, {"top_p": 0.5}):
        cut = {"top_k": None, "top_p": None, **options}
        tokens = choose(logits, seed=(1, 2), temperature=1.0, **cut)
        np.testing.assert_array_equal(tokens, [0, 2])


def test_other_lengths_use_the_same_program():
    model = make_tiny_gpt()
    program = compilation.compiled(write_all, True)
    before = program.experimental_get_tracing_count()
    generate(model, [[1]], max_new_tokens=2, temperature=0)
    traced = program.experimental_get_tracing_count()
    assert traced == before + 1
    for prompt, new in (([[1, 2, 3]], 5), ([[4, 5]], 8)):
        generate(model, prompt, max_new_tokens=new, temperature=0)
    assert program.experimental_get_tracing_count() == traced


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ([[]], {}, "at least one token"),
        ([1, 2], {}, "at least one token"),
        ([[23]], {}, "0 … 22"),
        ([[-1]], {}, "0 … 22"),
        ([[1]], {"temperature": -1}, "temperature=-1"),
        ([[1]], {"top_k": 0}, "top_k=0"),
        ([[1]], {"top_p": 0.0}, "top_p=0.0"),
        ([[1]], {"max_new_tokens": -1}, "max_new_tokens=-1"),
        ([[1]], {"seed": 2**31}, "seed=2147483648"),
        ([[1, 2], [3]], {}, "one by one"),
        (None, {}, "rows of one length"),
        ([[1.0, 2.0]], {}, "float64: give integers"),
        ([["a"]], {}, "give integers"),
        ([[1]], {"max_new_tokens": 2.0}, "max_new_tokens=2.0"),
        ([[1]], {"max_new_tokens": 10**12}, "max_new_tokens=1000000000000"),
        ([[1]], {"temperature": float("nan")}, "temperature=nan"),
        ([[1]], {"temperature": None}, "temperature=None"),
        ([[1]], {"temperature": "1"}, "temperature='1'"),
        ([[1]], {"top_k": 2.5}, "top_k=2.5: give an integer"),
        ([[1]], {"top_k": True}, "top_k=True"),
        ([[1]], {"seed": 3.0}, "seed=3.0"),
        ([[1]], {"stop_id": 23}, "stop_id=23"),
        ([[1]], {"stop_id": 2.5}, "stop_id=2.5"),
        ([[1]], {"use_cache": "no"}, "use_cache='no'"),
    ],
)
def test_what_cannot_be_generated_is_refused(tiny_gpt, prompt, options, message):
    options = {"max_new_tokens": 3, **options}
    for function in (generate, stream):  # at the call, not at the first token
        with pytest.raises((TypeError, ValueError), match=message):
            function(tiny_gpt, prompt, **options)


@pytest.mark.parametrize("chunk", [0, -1, 2.5, None])
def test_a_chunk_without_tokens_is_refused(tiny_gpt, chunk):
    with pytest.raises((TypeError, ValueError), match="chunk="):
        stream(tiny_gpt, [[1]], max_new_tokens=3, chunk=chunk)


def test_numpys_numbers_are_options(tiny_gpt, eagerly):
    options = {"temperature": 0.5, "top_k": 3, "top_p": 0.75, "seed": 5, "stop_id": 7}
    numpys = {
        name: np.array(value).astype("f4" if name[0] == "t" else "i8")[()]
        for name, value in options.items()
        if name != "top_k"
    }
    numpys["top_k"] = np.int64(3)
    plain = generate(tiny_gpt, PROMPTS, max_new_tokens=4, **options)
    theirs = generate(tiny_gpt, np.array(PROMPTS, "uint8"), max_new_tokens=np.int64(4), **numpys)
    np.testing.assert_array_equal(plain, theirs)


@pytest.mark.parametrize("temperature", [5e-324, 1e-45, 1e-38, 1e-30, 1e-20, np.float64(1e-40)])
@pytest.mark.parametrize("use_xla", [False, True])
def test_the_smallest_temperatures_are_greedy(temperature, use_xla):
    logits = np.random.default_rng(0).normal(size=(5, 23)).astype("float32")

    def sample(logits):
        return choose(logits, seed=(1, 2), temperature=temperature, top_k=None, top_p=None)

    tokens = tf.function(sample, jit_compile=use_xla)(logits)
    np.testing.assert_array_equal(tokens, logits.argmax(axis=-1))


@pytest.mark.parametrize("options", [{"temperature": 0}, {"use_cache": False}])
def test_nan_is_named_and_not_a_token(eagerly, options):
    model = make_tiny_gpt()
    model.embedding.table.assign(model.embedding.table * np.nan)
    for run in (generate, lambda *a, **k: list(stream(*a, **k))):
        with pytest.raises(ValueError, match="logits are NaN"):
            run(model, PROMPTS, max_new_tokens=3, **options)


@pytest.mark.parametrize("use_xla", [False, True])
def test_a_row_of_nan_gives_no_token(use_xla):
    logits = np.array([[1, 2, 3], [1, np.nan, 3]], "float32")
    sample = lambda x: choose(x, seed=(1, 2), temperature=1.0, top_k=None, top_p=None)  # noqa: E731
    tokens = tf.function(sample, jit_compile=use_xla)(logits).numpy()
    assert tokens[0] >= 0
    assert tokens[1] == -1


def test_no_new_tokens_gives_the_prompt_back(tiny_gpt, eagerly):
    ids = generate(tiny_gpt, PROMPTS, max_new_tokens=0)
    np.testing.assert_array_equal(ids, PROMPTS)
