"""Hundreds of wrong calls: each raises an error that names the argument."""

import math

import numpy as np
import pytest
from conftest import make_tiny_gpt
from limits import limits, needs_alarm
from small_bert import make_bert

import minitransformer as mt

pytestmark = [pytest.mark.slow, needs_alarm]

# What an argument of each kind cannot be.
BAD = {
    "count": [0, -1, 2.5, math.nan, "2", [2]],
    "number": [-1, 2.5, math.nan, "2", [2]],  # 0 is one
    "choice": [0, -1, 2.5, "2"],  # or None
    "seed": [-1, 2**31, 1.5, "x"],  # or None
    "share": [-0.1, 1.5, math.nan, "0.1", None],
    "id": [-1, 10**6, 2.5, "0"],
    "rate": [-1.0, math.nan, "fast", None],
    "text": [7, None, b"bytes", ["a list"]],
    "texts": ["a string", 7, None, [7], [None]],
    "path": ["/missing/file", "/", 7, None],
    "callable": [7, "name", None],
}
GPT = {"vocab_size": 23, "max_len": 11, "d_model": 12, "num_heads": 3, "num_layers": 2}
SIZES = dict.fromkeys(GPT, "count")
IDS = {"pad_id": "id", "bos_id": "id", "eos_id": "id"}
PROMPT = [[1, 2, 3]]


class Gpt:
    """Models are made when a test first needs them."""

    made = None

    @classmethod
    def get(cls):
        cls.made = cls.made or make_tiny_gpt()
        return cls.made


def translator():
    config = mt.LSTMSeq2SeqConfig(19, 19, 8, 8, "general", pad_id=0, bos_id=1, eos_id=2)
    model = mt.LSTMSeq2Seq(config)
    model(np.array([[3, 4]]), np.array([[1, 3]]))
    return model


def windows(function, **more):
    return lambda **given: next(iter(function(np.arange(99), **{**more, **given})))


def training(**given):
    model = Gpt.get()
    options = {
        "steps": 1,
        "evaluate": lambda: None,
        "evaluate_every": 1,
        "use_xla": False,
        **given,
    }

    def batches(first):
        return mt.random_windows(np.arange(20), seq_len=4, batch_size=2, seed=0, first=first)

    return mt.train(model, mt.make_optimizer(model, learning_rate=0.1), batches, **options)


def layer(made, *shapes):
    """Make a layer and call it."""
    return made(*(np.zeros(shape, "float32") for shape in shapes))


PAIRS = [(np.ones((6, 4), "int32"), np.ones((6, 5), "int32"))]

# What is called, with right arguments, and the kind of each that is tried.
CALLS = {
    "GPTConfig": (
        mt.GPTConfig,
        GPT,
        {**SIZES, "d_ff": "count", "band": "count", "dropout_rate": "share"},
    ),
    "BertConfig": (
        mt.BertConfig,
        GPT,
        {
            **SIZES,
            "d_ff": "count",
            "num_segments": "count",
            "dropout_rate": "share",
            "pad_id": "id",
        },
    ),
    "TransformerConfig": (
        mt.TransformerConfig,
        {**GPT, "d_ff": 20, "pad_id": 0, "bos_id": 1, "eos_id": 2},
        {**SIZES, **IDS, "d_ff": "count", "dropout_rate": "share"},
    ),
    "LSTMSeq2SeqConfig": (
        mt.LSTMSeq2SeqConfig,
        {
            **{"source_vocab_size": 19, "target_vocab_size": 17, "d_model": 8, "units": 6},
            **{"attention": "dot", "pad_id": 0, "bos_id": 1, "eos_id": 2},
        },
        {
            **IDS,
            **dict.fromkeys(
                ["source_vocab_size", "target_vocab_size", "d_model", "units"], "count"
            ),
            "dropout_rate": "share",
        },
    ),
    "MultiHeadAttention": (
        lambda **given: layer(mt.MultiHeadAttention(**given), (2, 3, 12), (2, 5, 12), (2, 5, 12)),
        {"d_model": 12, "num_heads": 3},
        {"d_model": "count", "num_heads": "count", "head_dim": "count", "dropout_rate": "share"},
    ),
    "EncoderBlock": (
        lambda **given: layer(mt.EncoderBlock(**given), (2, 3, 12)),
        {"d_model": 12, "num_heads": 3, "d_ff": 20, "norm_first": True},
        {"d_model": "count", "num_heads": "count", "d_ff": "count", "dropout_rate": "share"},
    ),
    "Encoder": (
        lambda **given: layer(mt.Encoder(**given), (2, 3, 12)),
        {"num_layers": 1, "d_model": 12, "num_heads": 3, "d_ff": 20, "norm_first": True},
        {"num_layers": "count", "num_heads": "count", "d_ff": "count"},
    ),
    "FeedForward": (
        lambda **given: layer(mt.FeedForward(**given), (2, 3, 12)),
        {"d_model": 12, "d_ff": 20},
        {"d_model": "count", "d_ff": "count"},
    ),
    "TokenEmbedding": (
        lambda **given: mt.TokenEmbedding(**given)(np.zeros((2, 3), "int32")),
        {"vocab_size": 19, "d_model": 12},
        {"vocab_size": "count", "d_model": "count"},
    ),
    "LearnedPositions": (
        lambda **given: layer(mt.LearnedPositions(**given), (2, 3, 12)),
        {"max_len": 11, "d_model": 12},
        {"max_len": "count", "d_model": "count"},
    ),
    "LayerNorm": (
        lambda **given: layer(mt.LayerNorm(**given), (2, 3, 12)),
        {},
        {"epsilon": "rate"},
    ),
    "sinusoidal_positions": (
        mt.sinusoidal_positions,
        {"max_len": 11, "d_model": 12},
        {"max_len": "count", "d_model": "count"},
    ),
    "split_heads": (
        lambda **given: mt.split_heads(np.zeros((2, 3, 12), "float32"), **given),
        {"num_heads": 3},
        {"num_heads": "count"},
    ),
    "GeneralScore": (
        lambda **given: mt.GeneralScore(**given).keys(np.zeros((2, 5, 8), "float32")),
        {"units": 8},
        {"units": "count"},
    ),
    "BertClassifier": (
        lambda **given: mt.BertClassifier(make_bert(), **given),
        {"num_classes": 3},
        {"num_classes": "count"},
    ),
    "generate": (
        lambda **given: mt.generate(Gpt.get(), use_xla=False, **given),
        {"prompt_ids": PROMPT, "max_new_tokens": 2},
        {
            **{"max_new_tokens": "number", "temperature": "rate", "top_k": "choice"},
            **{"top_p": "share", "seed": "seed", "stop_id": "id"},
        },
    ),
    "stream": (
        lambda **given: list(mt.stream(Gpt.get(), use_xla=False, **given)),
        {"prompt_ids": PROMPT, "max_new_tokens": 2},
        {
            **{"max_new_tokens": "number", "temperature": "rate", "top_k": "choice"},
            **{"chunk": "count", "seed": "seed"},
        },
    ),
    "greedy_search": (
        lambda **given: mt.greedy_search(translator(), use_xla=False, **given),
        {"source_ids": [[3, 4]], "max_len": 3},
        {"max_len": "count"},
    ),
    "beam_search": (
        lambda **given: mt.beam_search(translator(), use_xla=False, **given),
        {"source_ids": [[3, 4]], "max_len": 3, "beam_size": 2},
        {"max_len": "count", "beam_size": "count", "length_penalty": "rate"},
    ),
    "train": (
        training,
        {},
        {"steps": "number", "evaluate_every": "count", "accumulate": "count", "seed": "seed"},
    ),
    "make_optimizer": (
        lambda **given: mt.make_optimizer(Gpt.get(), **given),
        {"learning_rate": 0.1},
        {"learning_rate": "rate", "weight_decay": "rate", "beta_2": "share", "epsilon": "rate"},
    ),
    "WarmupCosine": (
        mt.WarmupCosine,
        {"peak": 0.1, "final": 0.01, "warmup_steps": 2, "steps": 9},
        {"peak": "rate", "final": "rate", "warmup_steps": "number", "steps": "count"},
    ),
    "WarmupInverseRoot": (
        mt.WarmupInverseRoot,
        {"d_model": 12, "warmup_steps": 9},
        {"d_model": "count", "warmup_steps": "count", "factor": "rate"},
    ),
    "random_windows": (
        windows(mt.random_windows),
        {"seq_len": 4, "batch_size": 2, "seed": 0},
        {"seq_len": "count", "batch_size": "count", "seed": "seed", "first": "number"},
    ),
    "consecutive_windows": (
        windows(mt.consecutive_windows),
        {"seq_len": 4, "batch_size": 2},
        {"seq_len": "count", "batch_size": "count"},
    ),
    "random_pairs": (
        lambda **given: next(iter(mt.random_pairs(PAIRS, pad_id=0, **given))),
        {"batch_size": 2, "seed": 0},
        {"batch_size": "count", "seed": "seed", "first": "number"},
    ),
    "all_pairs": (
        lambda **given: mt.all_pairs(PAIRS, pad_id=0, **given),
        {"batch_size": 2},
        {"batch_size": "count"},
    ),
    "date_pairs": (
        mt.date_pairs,
        {"train": 3, "valid": 2, "test": 1, "seed": 0},
        {"train": "count", "valid": "number", "test": "number", "seed": "seed"},
    ),
    "CharTokenizer.train": (mt.CharTokenizer.train, {"text": "abc"}, {"text": "text"}),
    "SentencePieceTokenizer.train": (
        mt.SentencePieceTokenizer.train,
        {"text": "some text to learn from " * 20, "vocab_size": 320},
        {"text": "text", "vocab_size": "count"},
    ),
    "BytePairTokenizer.train": (
        mt.BytePairTokenizer.train,
        {"text": "some text to learn from " * 20, "vocab_size": 300},
        {"text": "text", "vocab_size": "count"},
    ),
    "WordPieceTokenizer.train": (
        mt.WordPieceTokenizer.train,
        {"text": "some text to learn from " * 20, "vocab_size": 320},
        {"text": "text", "vocab_size": "count"},
    ),
    "encode": (mt.CharTokenizer.train("abc").encode, {"text": "abc"}, {"text": "text"}),
    "read_text": (mt.read_text, {"path": __file__}, {"path": "path"}),
    "load_tokenizer": (mt.load_tokenizer, {"folder": None}, {"folder": "path"}),
    "GPT.load": (mt.GPT.load, {"folder": None}, {"folder": "path"}),
    "exact_match": (
        mt.exact_match,
        {"translations": ["a"], "references": ["a"]},
        {"translations": "texts", "references": "texts"},
    ),
    "corpus_bleu": (
        mt.corpus_bleu,
        {"translations": ["a"], "references": ["a"]},
        {"translations": "texts", "references": "texts"},
    ),
}
# Layers leave some numbers to those of Keras, which have other names for them.
KERAS = {"d_ff": "units", "d_model": "units", "head_dim": "units", "dropout_rate": "rate"}
# Here the kind's value is right.
RIGHT = [
    ("split_heads", "num_heads", None),
    ("BertConfig", "pad_id", None),
    ("generate", "top_p", None),
    ("read_text", "path", 7),  # an open file's number, as for `open`
]
WRONG = [
    (call, name, value)
    for call, (_, _, kinds) in CALLS.items()
    for name, kind in kinds.items()
    for value in BAD[kind]
    if (call, name, value) not in RIGHT
]


def check_refused(call, given, name):
    with limits(), pytest.raises((TypeError, ValueError, OSError)) as caught:
        call(**given)
    message = str(caught.value)
    if message.startswith("Exception encountered when calling"):  # Keras adds to it
        message = message.split("\n\n")[1].replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert name in message or f"`{KERAS.get(name)}`" in message, message
    assert len(message) <= 300, message
    assert "\n" not in message, message


@pytest.mark.parametrize("call", CALLS)
def test_a_right_call(call):
    function, given, _ = CALLS[call]
    if None not in given.values():
        function(**given)


@pytest.mark.parametrize(
    ("call", "name", "value"), WRONG, ids=[f"{c}-{n}-{v!r}" for c, n, v in WRONG]
)
def test_a_wrong_value(call, name, value):
    function, given, _ = CALLS[call]
    says = name
    if CALLS[call][2][name] == "path":  # which is named itself
        says = value if isinstance(value, str) else "os.PathLike"
    check_refused(function, {**given, name: value}, says)


@pytest.mark.parametrize(
    "prompt",
    [
        *([], [[]], [1, 2], 3, None, "text", [["a"]], [[1, 2], [3]], [[1.5]], [[-1]], [[23]]),
        *([[math.nan]], [[[1]]], [[True]], [[2**40]], np.zeros((0, 3), int)),
    ],
    ids=str,
)
def test_a_wrong_prompt(prompt):
    check_refused(CALLS["generate"][0], {"prompt_ids": prompt, "max_new_tokens": 1}, "prompt_ids")


def masks():
    """List masks that fit nothing, for (2, 3) queries and keys (2, 5)."""
    yes = np.ones
    return {
        "floats": yes((2, 1, 3, 5), "float32"),
        "halves": yes((3, 5), "float16"),
        "strings": np.full((3, 5), "yes"),
        "too many keys": yes((3, 6), bool),
        "too many queries": yes((4, 5), bool),
        "keys and queries": yes((5, 3), bool),
        "another batch": yes((4, 3, 5), bool),
        "another number of heads": yes((2, 2, 3, 5), bool),
        "five axes": yes((1, 2, 4, 3, 5), bool),
        "a list of strings": [["True"] * 5] * 3,
    }


@pytest.mark.parametrize("kind", masks())
@pytest.mark.parametrize("where", ["scaled_dot_product_attention", "MultiHeadAttention"])
def test_a_wrong_mask(where, kind, normal):
    if where == "MultiHeadAttention":
        call = mt.MultiHeadAttention(d_model=12, num_heads=4)
        arrays = normal(2, 3, 12), normal(2, 5, 12), normal(2, 5, 12)
    else:
        call = mt.scaled_dot_product_attention
        arrays = normal(2, 4, 3, 7), normal(2, 4, 5, 7), normal(2, 4, 5, 7)
    query, key, value = arrays
    given = {"query": query, "key": key, "value": value, "attention_mask": masks()[kind]}
    check_refused(call, given, "attention_mask")
