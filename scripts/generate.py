"""Let a trained GPT continue a prompt. Only the text goes to stdout."""

if __name__ == "__main__":  # before slower imports
    from minitransformer.runs.signals import begin

    begin()

import argparse
import sys
from pathlib import Path

import minitransformer as mt
from minitransformer.figures import plain
from minitransformer.runs.commands import refuse, user_errors
from minitransformer.runs.flags import Parser, positive, seed
from minitransformer.runs.folders import newest_run
from minitransformer.runs.given import read_json
from minitransformer.runs.saving import CONFIG
from minitransformer.runs.shipped import named_folder


def parse(argv):
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--run",
        metavar="DIR",
        help="a run of train_gpt.py, a published GPT-2 or Llama, or 'shipped' for the "
        "trained GPT that came with the package (default: the newest in runs/)",
    )
    parser.add_argument("--prompt", required=True, help="the beginning of the text")
    parser.add_argument(
        "--max-new-tokens",
        type=positive,
        default=300,
        help="tokens to append (default: %(default)s)",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.8,
        help="0 always takes the likeliest token (default: %(default)s)",
    )
    parser.add_argument("--top-k", type=positive, help="choose among the k likeliest tokens only")
    parser.add_argument("--top-p", type=float, help="choose among the likeliest that reach p only")
    parser.add_argument("--seed", type=seed, help="the same seed gives the same text")
    parser.add_argument(
        "--xla", default=True, help="compile with XLA", action=argparse.BooleanOptionalAction
    )
    return parser.parse_args(argv)


def main(argv=None):
    flags = parse(argv)
    if not flags.prompt:
        refuse("The prompt is empty: give at least one character.")
    with user_errors():
        for piece in text(flags):
            print(plain(piece), end="", flush=True)
            if lost := getattr(sys.stdout, "lost", None):
                if isinstance(lost, BrokenPipeError):
                    return  # the reader has read enough (`| head`)
                raise lost
        print()


def load(path):
    """Load a model, whether a run's or a published one, and its tokenizer."""
    file = path / CONFIG
    settings = read_json(file) if file.is_file() else {}
    if path.suffix == ".bin" or settings.get("model_type") == "llama":
        model = mt.Llama.from_pretrained(path)
    elif settings and "d_model" not in settings:
        model = mt.GPT.from_pretrained(path)
    else:
        kinds = {"num_kv_heads": mt.Llama, "longest": mt.NGramGPT}
        names = kinds.keys() & settings
        model = (kinds[names.pop()] if names else mt.GPT).load(path)
    tokenizer = mt.load_tokenizer(path.parent if path.suffix == ".bin" else path)
    if tokenizer.vocab_size > model.config.vocab_size:
        raise ValueError(
            f"The tokenizer has {tokenizer.vocab_size} tokens, but the model "
            f"{model.config.vocab_size}: they do not belong together. Give the model's own."
        )
    return model, tokenizer


def text(flags):
    """Yield the prompt, then the new text as it is generated."""
    if flags.run:
        folder = named_folder(flags.run, "gpt")
    else:
        folder = newest_run("runs", ["characters.json", "sentencepiece.model", "bpe.json"])
    model, tokenizer = load(Path(folder))
    # In training, GPT-2 read an end after each text, and a Llama a beginning before each.
    bos_id = getattr(model.config, "bos_id", None)
    stop_id = tokenizer.eos_id if isinstance(tokenizer, mt.BytePairTokenizer) else bos_id
    unknown = tokenizer.unknown(flags.prompt)
    if unknown:
        raise ValueError(
            f"The prompt has characters that this model has never read: "
            f"{' '.join(map(repr, unknown))}. Leave them out."
        )
    begin = [] if bos_id is None else [bos_id]
    ids, shown = [], 0
    for part in mt.stream(
        model,
        [begin + tokenizer.encode(flags.prompt)],
        max_new_tokens=flags.max_new_tokens,
        temperature=flags.temperature,
        top_k=flags.top_k,
        top_p=flags.top_p,
        seed=flags.seed,
        stop_id=stop_id,
        use_xla=flags.xla,
    ):
        ids.extend(token for token in part[0].tolist() if token != stop_id)
        whole = tokenizer.decode(ids)
        # A character may be incomplete: wait for its last byte.
        ready = len(whole.rstrip("\N{REPLACEMENT CHARACTER}"))
        yield whole[shown:ready]
        shown = max(shown, ready)
    yield whole[shown:]


if __name__ == "__main__":
    main()
