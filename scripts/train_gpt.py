"""Train a small GPT on a text, and let it write.

Without flags: Python's own documentation, and a small GPT with an n-gram
memory, in a few minutes on two cores. `--recipe nanogpt` is nanoGPT's recipe
for a CPU.
"""

if __name__ == "__main__":  # before slower imports
    from minitransformer.runs.signals import begin

    begin()

import contextlib
import math
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import minitransformer as mt
from minitransformer.runs.commands import next_try, tell, user_errors
from minitransformer.runs.flags import RARE, defaults_of, read_flags, seed, share
from minitransformer.runs.folders import SETTINGS, read_settings
from minitransformer.runs.sizes import weigh

NANOGPT = {
    "steps": 2000,
    "max_len": 64,
    "batch_size": 12,
    "learning_rate": 1e-3,
    "final_rate": 0.1,
    "rotary": False,
    "activation": "gelu",
    "muon": False,
    "longest": 1,
    "memory_dropout_rate": 0.0,
}
RECIPES: dict[str, dict] = {
    "fast": {},  # with an n-gram memory, and Muon
    "nanogpt": NANOGPT,
    "quick": NANOGPT
    | {"steps": 800, "learning_rate": 3e-3, "rotary": True, "activation": "squared_relu"},
}
RECIPES["muon"] = RECIPES["quick"] | {
    "steps": 2000,
    "learning_rate": 4e-3,
    "final_rate": 0.0,
    "muon": True,
}
TOKENIZERS = ["characters", "sentencepiece", "bpe"]
FLAGS = {
    "start here": {
        "text": (
            None,
            "a text file, or 'shakespeare' (fetched once); default: Python's documentation",
        ),
        "recipe": (
            "fast",
            "defaults for flags you omit: of the fastest way to a low loss that we know, "
            "of nanoGPT, of a quick plain GPT, or of a plain GPT that learns by Muon",
            list(RECIPES),
        ),
        "steps": (3000, "training steps"),
        "seed": (0, "the same seed gives the same run", seed),
    },
    "the model and its training": {
        "num_layers": (4, "decoder blocks"),
        "num_heads": (4, "attention heads; must divide d_model"),
        "d_model": (128, "width"),
        "max_len": (128, "tokens that the model sees at once"),
        "batch_size": (6, "windows per batch"),
        "learning_rate": (2e-3, "the peak, after which the rate falls"),
        "tokenizer": ("characters", "what a token is", TOKENIZERS),
    },
    "rarely needed": {
        "vocab_size": (1024, "tokens, for sentencepiece and bpe"),
        "dropout_rate": (0.0, "share dropped in training", share),
        "bias": (False, "learn biases as well"),
        "evaluate_every": (1000, "steps between validations"),
        "mixed": (False, "compute in bfloat16, for GPUs and TPUs"),
        **RARE,
    },
    "": {  # only recipes set these
        "rotary": (True, "turn queries and keys by their positions"),
        "activation": ("squared_relu", "of the feed-forward layers", ["gelu", "squared_relu"]),
        "final_rate": (0.0, "the last learning rate, as a share of the peak", share),
        "muon": (True, "train the blocks' matrices with Muon"),
        "beta_2": (0.99, "how long the second moment remembers", share),
        "longest": (5, "the longest n-gram of the memory; 1: a GPT without a memory"),
        "rows": (16381, "of the memory, for each length"),
        "memory_dropout_rate": (0.5, "share of the memory dropped in training", share),
    },
}
DEFAULTS = defaults_of(FLAGS)


class Corpus(NamedTuple):
    """The text that a GPT learns from."""

    name: str
    text: str
    valid_text: str
    tokenizer: Any
    train_ids: Any
    valid_ids: Any
    batches: Any  # function from a number n to windows, from batch n on
    valid: Any  # windows


def main(argv=None):
    flags = read_flags(argv, __doc__, FLAGS, prefix="gpt")
    with user_errors():
        run = mt.Run(flags, defaults_for(flags), moved=["text"])
        refuse_what_a_memory_cannot(run)
        corpus = read_corpus(run)
        config = make_config(run.settings, corpus.tokenizer.vocab_size)
        weigh(config, run.settings)
        run.claim("gpt", corpus.text)
        if run.is_chief:
            corpus.tokenizer.save(run.folder / corpus.tokenizer.file_name)
    with run.errors():
        model = fit(run, corpus, config)
        if run.is_chief:
            show(run, corpus, model)


def defaults_for(flags):
    """Return the defaults of the recipe: the flag's, that of the run to resume, or `fast`."""
    folder = Path(flags.get("out") or "")
    resumes = flags["resume"] and (folder / SETTINGS).is_file()
    saved = read_settings(folder) if resumes else {}
    # Runs from before there were recipes have nanoGPT's.
    default = "nanogpt" if saved else DEFAULTS["recipe"]
    recipe = flags.get("recipe", saved.get("recipe", default))
    # Runs from before there was Muon learn by AdamW.
    older = {"muon": False} if saved and "muon" not in saved else {}
    return DEFAULTS | RECIPES[recipe] | {"recipe": recipe} | older


def refuse_what_a_memory_cannot(run):
    """Refuse settings that a GPT with an n-gram memory does not have."""
    if run.settings["longest"] < 2:
        return
    if run.settings["bias"]:
        raise ValueError("The recipe 'fast' has no biases: give --recipe nanogpt with --bias.")
    if run.strategy.num_replicas_in_sync > 1:
        raise ValueError(
            "The recipe 'fast' trains on one device: leave --strategy out, or give --recipe nanogpt."
        )


def read_corpus(run):
    """Read the text, learn the tokens if it is a new run, and encode."""
    settings, source = run.settings, run.settings["text"]
    if source is None:
        tell("reading Python's documentation …")
        name, text = "Python's documentation", mt.python_docs()
    elif source == "shakespeare":
        name, text = "tiny Shakespeare", mt.shakespeare()
    else:
        name, text = Path(source).name, mt.read_text(source)
    place = int(0.9 * len(text))  # the last tenth is for validation
    parts = text[:place], text[place:]
    tokenizer = None
    if run.resumes:
        with contextlib.suppress(ValueError):  # killed before it was saved
            tokenizer = mt.load_tokenizer(run.folder)
    tokenizer = tokenizer or learn_tokens(text, parts[0], settings)
    train_ids, valid_ids = map(tokenizer.encode, parts)
    max_len, batch_size = settings["max_len"], settings["batch_size"]

    def batches(first=0):
        return mt.random_windows(
            train_ids, seq_len=max_len, batch_size=batch_size, seed=settings["seed"], first=first
        )

    batches()  # refuses a text that is too short, before anything is written
    rows = max(1, 2048 // max_len)
    valid = mt.consecutive_windows(valid_ids, seq_len=max_len, batch_size=rows)
    return Corpus(name, text, parts[1], tokenizer, train_ids, valid_ids, batches, valid)


def learn_tokens(text, train_text, settings):
    """Learn the tokens: all characters, or pieces of the training part."""
    if settings["tokenizer"] == "characters":
        return mt.CharTokenizer.train(text)
    tell("learning the pieces …")
    kinds = {"sentencepiece": mt.SentencePieceTokenizer, "bpe": mt.BytePairTokenizer}
    return kinds[settings["tokenizer"]].train(train_text, vocab_size=settings["vocab_size"])


def make_config(settings, vocab_size):
    """Make the configuration of the model: a GPT, or one with a memory."""
    names = ["max_len", "d_model", "num_heads", "num_layers", "dropout_rate"]
    if settings["longest"] > 1:
        names += ["longest", "rows", "memory_dropout_rate"]
        return mt.NGramGPTConfig(vocab_size=vocab_size, **{n: settings[n] for n in names})
    names += ["rotary", "activation"]
    sizes = {name: settings[name] for name in names}
    return mt.GPTConfig(vocab_size=vocab_size, use_bias=settings["bias"], **sizes)


def fit(run, corpus, config):
    """Make the model and train it."""
    import keras

    settings, vocab_size = run.settings, config.vocab_size
    keras.config.set_dtype_policy("mixed_bfloat16" if settings["mixed"] else "float32")
    keras.utils.set_random_seed(settings["seed"])
    with run.strategy.scope():
        schedule = mt.WarmupCosine(
            peak=settings["learning_rate"],
            final=settings["learning_rate"] * settings["final_rate"],
            warmup_steps=min(100, settings["steps"] // 10),
            steps=settings["steps"],
        )
        options = {"learning_rate": schedule, "beta_2": settings["beta_2"]}
        if isinstance(config, mt.NGramGPTConfig):
            model, make = mt.NGramGPT(config), mt.make_row_optimizer
            options["tables"] = model.memory.tables.values()
        else:
            model, make = mt.GPT(config), mt.make_optimizer
        if settings["muon"]:
            make = mt.make_muon_optimizer
        optimizer = make(model, **options)
        tell(
            f"text        {corpus.name}, {len(corpus.text):,} characters\n"
            f"tokens      {len(corpus.train_ids):,} to train on, "
            f"{len(corpus.valid_ids):,} to validate, {vocab_size:,} different ones\n"
            f"model       {model.count_params():,} parameters; a uniform guess costs "
            f"ln({vocab_size}) = {math.log(vocab_size):.2f} nats per token"
        )
        run.describe()
        run.train(model, optimizer, corpus.batches, corpus.valid)
    return model


def show(run, corpus, model):
    """Save the model, draw, summarize, and let it write."""
    model.save(run.folder)
    run.draw_losses("nats per token")
    tokenizer, valid_text = corpus.tokenizer, corpus.valid_text
    # The first token is given, not predicted.
    predicted = len(valid_text) - len(tokenizer.decode(corpus.valid_ids[:1]))
    last = run.log.rows[-1]
    bits = last.valid_loss * (len(corpus.valid_ids) - 1) / math.log(2)
    zipped = 8 * len(zlib.compress(valid_text.encode(), 9))
    tell(
        f"validation  {last.valid_loss:.4f} nats per token, "
        f"{bits / predicted:.3f} bits per character (zlib -9: {zipped / len(valid_text):.3f})\n"
        f"time        {last.seconds:.0f} s of training and validation\n"
        "compiling the generation …"
    )
    # The prompt: a few words of the validation text, on one line.
    line = next(filter(str.strip, valid_text.splitlines()), valid_text)
    words = line.strip()[:16].rsplit(None, 1)
    prompt = words[0] if words else valid_text[:1]
    ids = mt.generate(
        model,
        [tokenizer.encode(prompt)],
        max_new_tokens=300,
        temperature=0.8,
        seed=run.settings["seed"],
        use_xla=run.use_xla,
    )
    sample = tokenizer.decode(ids[0])
    run.write("sample.txt", sample + "\n")
    shown = tokenizer.encode(sample)[: min(24, model.config.max_len)]
    names = [tokenizer.decode([i]).replace("\n", "⏎").replace(" ", "␣") for i in shown]
    heatmap = mt.heatmap_svg(
        model.attention_maps([shown])[-1][0, 0].numpy(),
        names,
        names,
        label="Attention of the last layer's first head: a row for each "
        "token that attends, a column for each that is attended to",
    )
    run.write("attention.svg", heatmap)
    tell(f"drawn       {run.folder / 'loss.svg'}, {run.folder / 'attention.svg'}\n\n{sample}")
    next_try(
        ["generate.py", "--run", run.folder, "--prompt", prompt],
        ["train_gpt.py", "--text", "shakespeare"],
        ["train_gpt.py", "--steps", 5000, "--d-model", 192, "--num-heads", 6],
    )


if __name__ == "__main__":
    main()
