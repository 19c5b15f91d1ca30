"""Train a small GPT on a text, and let it write.

Without flags: 0.8 M parameters, Python's own documentation, a few minutes
on two cores. The defaults are nanoGPT's recipe for a CPU.
"""

import argparse
import contextlib
import math
import sys
import zlib
from pathlib import Path

from minitransformer.runs.commands import (
    above_zero,
    add_run_flags,
    command,
    positive,
    run_training,
    seed,
)

# What makes a GPT learn faster: docs/guides/faster.md
RECIPES = {
    "nanogpt": {
        "steps": 2000,
        "learning_rate": 1e-3,
        "rotary": False,
        "activation": "gelu",
    },
    "quick": {
        "steps": 800,
        "learning_rate": 3e-3,
        "rotary": True,
        "activation": "squared_relu",
    },
}
DEFAULTS = {
    "recipe": "nanogpt",
    "text": None,
    "tokenizer": "characters",
    "vocab_size": 1024,
    "num_layers": 4,
    "num_heads": 4,
    "d_model": 128,
    "max_len": 64,
    "dropout_rate": 0.0,
    "bias": False,
    "batch_size": 12,
    "accumulate": 1,
    "final_rate": 0.1,
    "beta_2": 0.99,
    "evaluate_every": 1000,
    "seed": 0,
    "mixed": False,
    "xla": True,
}


def parse(argv):
    """Read the flags; only those given are in the result."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )

    nanogpt = {**DEFAULTS, **RECIPES["nanogpt"]}

    def flag(name, text, **options):
        default = nanogpt[name.replace("-", "_")]
        parser.add_argument(
            f"--{name}", help=f"{text} (default: {default})", **options
        )

    parser.add_argument(
        "--text",
        help="a file in UTF-8, or 'shakespeare' (fetched once); "
        "default: Python's own documentation",
    )
    add_run_flags(parser, "gpt")
    flag(
        "recipe",
        "what is not given: nanoGPT's, or one that learns more in "
        "800 steps than that in 2,000",
        choices=list(RECIPES),
    )
    flag("steps", "training steps", type=positive)
    flag("seed", "where all randomness begins", type=seed)
    flag("num-layers", "decoder blocks", type=positive)
    flag("num-heads", "attention heads; must divide d_model", type=positive)
    flag("d-model", "width", type=positive)
    flag("max-len", "tokens that it sees at once", type=positive)
    flag("batch-size", "windows in a batch", type=positive)
    flag("accumulate", "batches that make one step together", type=positive)
    flag("learning-rate", "the peak; it ends at a tenth", type=above_zero)
    flag("dropout-rate", "share dropped in training", type=float)
    flag("bias", "learn biases, too", action="store_true")
    flag(
        "tokenizer",
        "what a token is",
        choices=["characters", "sentencepiece", "bpe"],
    )
    flag("vocab-size", "tokens, for sentencepiece and bpe", type=positive)
    flag("evaluate-every", "steps between validations", type=positive)
    flag(
        "mixed",
        "compute in bfloat16, for GPUs and TPUs",
        action="store_true",
    )
    flag("xla", "compile with XLA", action=argparse.BooleanOptionalAction)
    given = vars(parser.parse_args(argv))
    if given.get("text") not in (None, "shakespeare"):
        given["text"] = str(Path(given["text"]).resolve())
    return given


def main(argv=None):
    given = parse(argv)

    def begin():
        from minitransformer.runs.progress import quiet_import

        with quiet_import():
            import tensorflow  # noqa: F401
        return prepare(given)

    return run_training(begin, fit, finish)


def load_text(source):
    """Find the text, and a name for it."""
    from minitransformer import python_docs, read_text, shakespeare

    if source is None:
        print("reading Python's documentation …", flush=True)
        return "Python's documentation", python_docs()
    if source == "shakespeare":
        return "tiny Shakespeare", shakespeare()
    return Path(source).name, read_text(source)


def prepare(given):
    """Do all that a mistake of the user's can stop."""
    from minitransformer import load_tokenizer
    from minitransformer.runs.sessions import begin, claim

    recipe = RECIPES[given.get("recipe", DEFAULTS["recipe"])]
    task = begin(given, {**DEFAULTS, **recipe}, moved=["text"])
    tokenizer = None
    if task["found"]:
        with contextlib.suppress(ValueError):  # killed before it was saved
            tokenizer = load_tokenizer(task["found"])
    # What cannot be trained is refused before anything is written.
    name, text = load_text(task["settings"]["text"])
    tokenizer, train_ids, valid_ids = tokenize(
        text, task["settings"], tokenizer
    )
    claim(task, prefix="gpt", data=text)
    if task["chief"]:
        tokenizer.save(task["folder"] / tokenizer.file_name)
    return task | {
        "name": name,
        "text": text,
        "tokenizer": tokenizer,
        "train_ids": train_ids,
        "valid_ids": valid_ids,
    }


def tokenize(text, settings, tokenizer=None):
    """Make the tokenizer, if there is none, and the tokens."""
    from minitransformer import (
        BytePairTokenizer,
        CharTokenizer,
        GPTConfig,
        SentencePieceTokenizer,
        consecutive_windows,
        random_windows,
    )

    train_text, valid_text = split(text)
    if tokenizer is None and settings["tokenizer"] == "characters":
        tokenizer = CharTokenizer.train(text)
    elif tokenizer is None:
        print("learning the pieces …", flush=True)
        kinds = {
            "sentencepiece": SentencePieceTokenizer,
            "bpe": BytePairTokenizer,
        }
        tokenizer = kinds[settings["tokenizer"]].train(
            train_text, vocab_size=settings["vocab_size"]
        )
    train_ids = tokenizer.encode(train_text)
    valid_ids = tokenizer.encode(valid_text)
    config(tokenizer, settings, GPTConfig)
    windows = {"seq_len": settings["max_len"], "batch_size": 1}
    random_windows(train_ids, seed=0, **windows)
    consecutive_windows(valid_ids, **windows)
    return tokenizer, train_ids, valid_ids


def split(text):
    """Keep the last tenth for validation."""
    place = int(0.9 * len(text))
    return text[:place], text[place:]


def config(tokenizer, settings, kind):
    return kind(
        vocab_size=tokenizer.vocab_size,
        max_len=settings["max_len"],
        d_model=settings["d_model"],
        num_heads=settings["num_heads"],
        num_layers=settings["num_layers"],
        dropout_rate=settings["dropout_rate"],
        use_bias=settings["bias"],
        rotary=settings["rotary"],
        activation=settings["activation"],
    )


def fit(task):
    """Train on what the strategy has; return the number of steps made."""
    from minitransformer.runs.sessions import in_scope

    with in_scope(task["strategy"]):
        return fit_in_scope(task)


def fit_in_scope(task):
    """Make the model, and train it."""
    import keras

    from minitransformer import (
        GPT,
        GPTConfig,
        WarmupCosine,
        compile_evaluation,
        consecutive_windows,
        make_optimizer,
        random_windows,
    )
    from minitransformer.runs.compilation import xla_works
    from minitransformer.runs.sessions import resume_and_train

    settings, tokenizer = task["settings"], task["tokenizer"]
    steps = settings["steps"]
    keras.config.set_dtype_policy(
        "mixed_bfloat16" if settings["mixed"] else "float32"
    )
    keras.utils.set_random_seed(settings["seed"])
    model = task["model"] = GPT(config(tokenizer, settings, GPTConfig))
    optimizer = make_optimizer(
        model,
        learning_rate=WarmupCosine(
            peak=settings["learning_rate"],
            final=settings["learning_rate"] * settings["final_rate"],
            warmup_steps=min(100, steps // 10),
            steps=steps,
        ),
        beta_2=settings["beta_2"],
    )
    print(f"text        {task['name']}, {len(task['text']):,} characters")
    print(
        f"tokens      {len(task['train_ids']):,} to train on, "
        f"{len(task['valid_ids']):,} to validate, "
        f"{tokenizer.vocab_size:,} different ones"
    )
    print(
        f"model       {model.count_params():,} parameters; guessing blindly "
        f"costs ln({tokenizer.vocab_size}) = "
        f"{math.log(tokenizer.vocab_size):.2f} nats a token"
    )
    print(
        "settings    "
        + ", ".join(
            f"{name} {value}"
            for name, value in settings.items()
            if name not in ("text", "text_sha256")
        )
    )
    print(f"run         {task['folder']}", flush=True)

    def batches(first):
        return random_windows(
            task["train_ids"],
            seq_len=settings["max_len"],
            batch_size=settings["batch_size"],
            seed=settings["seed"],
            first=first,
        )

    valid = consecutive_windows(
        task["valid_ids"],
        seq_len=settings["max_len"],
        batch_size=max(1, 2048 // settings["max_len"]),
    )
    mean_loss = compile_evaluation(
        model, use_xla=settings["xla"] and xla_works()
    )
    return resume_and_train(
        task, model, optimizer, batches, evaluate=lambda: mean_loss(valid)
    )


def finish(task):
    """Save the model, draw, sum up, and let it write."""
    if not task["chief"]:
        return
    from minitransformer import curve_svg, heatmap_svg
    from minitransformer.runs.logs import curve
    from minitransformer.runs.saving import write_atomically

    folder, model, log = task["folder"], task["model"], task["log"]
    tokenizer = task["tokenizer"]
    model.save(folder)
    curves = {
        "training": curve(log.rows, "loss"),
        "validation": curve(log.rows, "valid_loss"),
    }
    write_atomically(
        folder / "loss.svg",
        curve_svg(
            curves,
            x_label="step",
            y_label="loss (nats a token)",
            label="Training and validation loss",
        ),
    )

    valid_text = split(task["text"])[1]
    # The first token of all is given, not guessed.
    guessed = len(valid_text) - len(tokenizer.decode(task["valid_ids"][:1]))
    last = log.rows[-1]
    nats = last["valid_loss"] * (len(task["valid_ids"]) - 1)
    bits = nats / guessed / math.log(2)
    data = valid_text.encode()
    zipped = 8 * len(zlib.compress(data, 9)) / len(valid_text)
    print(
        f"validation  {last['valid_loss']:.4f} nats a token, {bits:.3f} "
        f"bits a character (zlib -9: {zipped:.3f})"
    )
    print(f"time        {last['seconds']:.0f} s of training and validation")

    # A few words of the validation text, on one line.
    line = next(filter(str.strip, valid_text.splitlines()), valid_text)
    words = line.strip()[:16].rsplit(None, 1)
    prompt = words[0] if words else valid_text[:1]
    sample = write(model, tokenizer, prompt, task["settings"])
    write_atomically(folder / "sample.txt", sample + "\n")
    shown = tokenizer.encode(sample)[: min(24, model.config.max_len)]
    names = [
        tokenizer.decode([i]).replace("\n", "⏎").replace(" ", "␣")
        for i in shown
    ]
    heads = model.attention_maps([shown])[-1]
    write_atomically(
        folder / "attention.svg",
        heatmap_svg(
            heads[0, 0].numpy(),
            names,
            names,
            label="Attention of the last layer's first head: a row for each "
            "token that looks, a column for each that is seen",
        ),
    )
    print(f"drawn       {folder / 'loss.svg'}, {folder / 'attention.svg'}")
    train, other = sys.argv[0], Path(sys.argv[0]).with_name("generate.py")
    larger = ["--steps", 5000, "--d-model", 192, "--num-heads", 6]
    print(f"\n{sample}\n\nNext, try")
    print(" ", command(other, "--run", folder, "--prompt", prompt))
    print(" ", command(train, "--text", "shakespeare"))
    print(" ", command(train, *larger))


def write(model, tokenizer, prompt, settings):
    """Let the model go on from a prompt for 300 tokens."""
    from minitransformer import generate

    print("compiling the generation …", flush=True)
    ids = generate(
        model,
        [tokenizer.encode(prompt)],
        max_new_tokens=300,
        temperature=0.8,
        seed=settings["seed"],
        use_xla=settings["xla"],
    )
    return tokenizer.decode(ids[0])


if __name__ == "__main__":
    sys.exit(main())
