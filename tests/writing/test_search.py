import itertools

import numpy as np
import pytest
import tensorflow as tf

from minitransformer import (
    LSTMSeq2Seq,
    LSTMSeq2SeqConfig,
    Transformer,
    TransformerConfig,
    beam_search,
    greedy_search,
)

IDS = {"pad_id": 0, "bos_id": 1, "eos_id": 2}
VOCAB, LONGEST = 5, 4


def translators():
    """Make models with large random weights, so that their probabilities differ clearly."""
    lstm = {"source_vocab_size": VOCAB, "target_vocab_size": VOCAB, "d_model": 6, "units": 7, **IDS}
    made = {
        "transformer": Transformer(
            TransformerConfig(
                vocab_size=VOCAB, max_len=6, d_model=12, num_heads=3, num_layers=2, d_ff=20, **IDS
            )
        ),
        "lstm": LSTMSeq2Seq(LSTMSeq2SeqConfig(attention="general", **lstm)),
        "textbook": LSTMSeq2Seq(
            LSTMSeq2SeqConfig(attention="additive", input_feeding=False, **lstm)
        ),
        "plain": LSTMSeq2Seq(LSTMSeq2SeqConfig(attention="none", **lstm)),
    }
    rng = np.random.default_rng(23)
    for name, model in made.items():
        size = 0.35 if name == "transformer" else 0.7
        for weight in model.trainable_variables:
            weight.assign_add(size * rng.normal(size=weight.shape))
    return made


@pytest.fixture(scope="module")
def models():
    return translators()


KINDS = ["transformer", "lstm", "textbook", "plain"]
SOURCE = np.array([[3, 4, 3, 2], [4, 4, 2, 0], [3, 2, 0, 0]])


def log_probabilities(model, source, rows):
    """Sum the log-probabilities of each row's tokens, up to its end."""
    rows = np.asarray(rows)
    inputs = np.pad(rows[:, :-1], ((0, 0), (1, 0)), constant_values=1)
    sources = np.repeat(source[None], len(rows), axis=0)
    steps = tf.nn.log_softmax(model(sources, inputs)).numpy()
    each = np.take_along_axis(steps, rows[..., None], axis=-1)[..., 0]
    before = np.cumsum(rows == 2, axis=1) - (rows == 2)
    return (each * (before == 0)).sum(axis=1), (before == 0).sum(axis=1)


def every_translation():
    """List all rows of 4 tokens: ended and padded, or not ended."""
    for row in itertools.product(range(VOCAB), repeat=LONGEST):
        end = row.index(2) if 2 in row else LONGEST
        if all(token == 0 for token in row[end + 1 :]):
            yield row


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_wide_beam_finds_the_best_of_all(models, eagerly, kind, length_penalty):
    model, rows = models[kind], list(every_translation())
    ids, scores = beam_search(
        model, SOURCE, beam_size=VOCAB**LONGEST, max_len=LONGEST, length_penalty=length_penalty
    )
    for source, found, score in zip(SOURCE, ids, scores, strict=True):
        sums, lengths = log_probabilities(model, source, rows)
        all_scores = sums / ((5 + lengths) / 6) ** length_penalty
        assert score == pytest.approx(all_scores.max(), abs=1e-4)
        assert tuple(found) == rows[int(all_scores.argmax())]


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_takes_the_likeliest_token_each_time(models, eagerly, kind):
    """Compare with a plain loop that reads everything again for each token."""
    model = models[kind]
    written = np.full((3, 7), 1)
    ended = np.zeros(3, bool)
    for i in range(6):
        logits = model(SOURCE, written[:, : i + 1]).numpy()[:, -1]
        token = np.where(ended, 0, logits.argmax(axis=-1))
        ended |= token == 2
        written[:, i + 1] = token
    ids = greedy_search(model, SOURCE, max_len=6)
    np.testing.assert_array_equal(ids, written[:, 1:])


@pytest.mark.parametrize("kind", KINDS)
def test_a_beam_of_one_is_greedy(models, eagerly, kind):
    model = models[kind]
    ids, scores = beam_search(model, SOURCE, beam_size=1, max_len=6)
    greedy = greedy_search(model, SOURCE, max_len=6)
    np.testing.assert_array_equal(ids, greedy)
    for source, row, score in zip(SOURCE, ids, scores, strict=True):
        [total], [length] = log_probabilities(model, source, [row])
        assert score == pytest.approx(total / ((5 + length) / 6) ** 0.6, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_is_that_of_the_row_it_comes_with(models, eagerly, kind):
    for beam_size in (2, 3, 4):
        ids, scores = beam_search(models[kind], SOURCE, beam_size=beam_size, max_len=6)
        for source, row, score in zip(SOURCE, ids, scores, strict=True):
            [total], [length] = log_probabilities(models[kind], source, [row])
            expected = total / ((5 + length) / 6) ** 0.6
            assert score == pytest.approx(expected, abs=1e-4)


def test_a_wider_beam_never_scores_worse_than_the_best_of_all(models, eagerly):
    model = models["transformer"]
    best = beam_search(model, SOURCE, beam_size=200, max_len=4)[1]
    for beam_size in (1, 2, 3):
        scores = beam_search(model, SOURCE, beam_size=beam_size, max_len=4)[1]
        assert (scores <= best + 1e-5).all()


@pytest.mark.slow
def test_compiled_equals_line_by_line(models):
    for kind in ("transformer", "lstm"):
        options = {"beam_size": 3, "max_len": 5}
        ids, scores = beam_search(models[kind], SOURCE, **options)
        tf.config.run_functions_eagerly(True)
        plain, same = beam_search(models[kind], SOURCE, **options)
        tf.config.run_functions_eagerly(False)
        np.testing.assert_array_equal(ids, plain)
        np.testing.assert_allclose(scores, same, atol=1e-5)


@pytest.mark.parametrize(
    "search", [greedy_search, lambda *a, **o: beam_search(*a, beam_size=3, **o)[0]]
)
def test_behind_the_end_is_padding(models, eagerly, search):
    for model in models.values():
        ids = search(model, SOURCE, max_len=6)
        assert ids.shape == (3, 6)
        for row in ids.tolist():
            if 2 in row:
                assert set(row[row.index(2) + 1 :]) <= {0}


class Chain:
    """Stands in for a model: one token follows each token, even the end.

    The source names the table; the two rows end at different times.
    """

    class Config:
        vocab_size, pad_id, bos_id, eos_id = 6, 0, 1, 2

    config = Config()
    tables = tf.constant(
        [
            [5, 3, 4, 2, 4, 5],  # 1 → 3 → 2 → 4 → 4 …
            [5, 3, 3, 4, 5, 2],  # 1 → 3 → 4 → 5 → 2 → 3 …
        ]
    )

    def start(self, source_ids, max_len):
        return (tf.gather(self.tables, tf.constant(source_ids)[:, 0]),)

    def step(self, token_ids, state, position):
        follows = tf.gather(state[0], token_ids, batch_dims=1)
        return 9.0 * tf.one_hot(follows, 6), state


def test_nothing_is_written_behind_the_end(eagerly):
    source, right = [[0], [1]], [[3, 2, 0, 0, 0, 0], [3, 4, 5, 2, 0, 0]]
    assert greedy_search(Chain(), source, max_len=6).tolist() == right
    for beam_size in (1, 2):
        ids, _ = beam_search(Chain(), source, beam_size=beam_size, max_len=6)
        assert ids.tolist() == right


@pytest.mark.parametrize("kind", KINDS)
def test_a_sentence_is_the_same_alone_and_in_a_batch(models, eagerly, kind):
    together, _ = beam_search(models[kind], SOURCE, beam_size=3, max_len=6)
    alone, _ = beam_search(models[kind], SOURCE[2:, :2], beam_size=3, max_len=6)
    np.testing.assert_array_equal(together[2:], alone)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size=0"),
        ({"beam_size": 2.0}, "beam_size=2.0: give an integer"),
        ({"beam_size": "2"}, "beam_size='2'"),
        ({"beam_size": 10**9}, "GiB per token"),
        ({"max_len": np.float32(4)}, "give an integer"),
        ({"max_len": 0}, "max_len=0"),
        ({"max_len": 7}, "1 to 6"),
        ({"length_penalty": -1}, "length_penalty"),
        ({"source_ids": [[5]]}, "another tokenizer"),
        ({"source_ids": [[]]}, "shape"),
    ],
)
def test_what_cannot_be_translated_is_refused(models, options, message):
    right = {"source_ids": SOURCE, "beam_size": 2, "max_len": 4}
    with pytest.raises((TypeError, ValueError), match=message):
        beam_search(models["transformer"], **right | options)


def test_numpys_integers_are_taken(models, eagerly):
    sizes = {"beam_size": np.int64(2), "max_len": np.int32(3)}
    ids, _ = beam_search(models["transformer"], SOURCE, **sizes)
    again = beam_search(models["transformer"], SOURCE, beam_size=2, max_len=3)
    np.testing.assert_array_equal(ids, again[0])
    assert greedy_search(models["transformer"], SOURCE, max_len=np.int8(3)).shape[1] == 3
