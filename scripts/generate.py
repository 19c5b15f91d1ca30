"""Let a trained GPT continue a prompt. stdout holds the text alone."""

if __name__ == "__main__":  # before what takes longer to import
    from minitransformer.runs.signals import begin

    begin()

import argparse
import sys

import minitransformer as mt
from minitransformer.figures import plain
from minitransformer.runs.commands import say, speak_utf8
from minitransformer.runs.flags import Parser, positive, seed
from minitransformer.runs.folders import newest_run
from minitransformer.runs.progress import quiet_import


def parse(argv):
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--run", metavar="DIR", help="a run of train_gpt.py (default: the newest in runs/)"
    )
    parser.add_argument("--prompt", required=True, help="how the text begins")
    parser.add_argument(
        "--max-new-tokens",
        type=positive,
        default=300,
        help="tokens to append (default: %(default)s)",
    )
    parser.add_argument(
        "--temperature", type=float, default=0.8, help="0 = the likeliest (default: %(default)s)"
    )
    parser.add_argument("--top-k", type=positive, help="the k likeliest only")
    parser.add_argument("--top-p", type=float, help="the likeliest that reach p only")
    parser.add_argument("--seed", type=seed, help="for the same text again")
    parser.add_argument(
        "--xla", default=True, help="compile with XLA", action=argparse.BooleanOptionalAction
    )
    return parser.parse_args(argv)


def main(argv=None):
    flags = parse(argv)
    speak_utf8()
    try:
        for piece in text(flags):
            print(plain(piece), end="", flush=True)
            if lost := getattr(sys.stdout, "lost", None):
                if isinstance(lost, BrokenPipeError):
                    return 0  # whoever read it has enough (`| head`)
                raise lost
        print()
    except BrokenPipeError:
        return 0
    except (TypeError, ValueError, OSError) as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        print()
        return 130
    return 0


def text(flags):
    """Yield the prompt, then new text as it comes."""
    if not flags.prompt:
        raise ValueError("The prompt is empty: give at least a character.")
    folder = flags.run or newest_run("runs", ["characters.json", "sentencepiece.model", "bpe.json"])
    with quiet_import():  # the first use of a name loads TensorFlow
        load = mt.GPT.load
    model, tokenizer = load(folder), mt.load_tokenizer(folder)
    unknown = tokenizer.unknown(flags.prompt)
    if unknown:
        raise ValueError(
            f"The prompt has characters that this model never saw: "
            f"{' '.join(map(repr, unknown))}. Leave them out."
        )
    ids, shown = [], 0
    for part in mt.stream(
        model,
        [tokenizer.encode(flags.prompt)],
        max_new_tokens=flags.max_new_tokens,
        temperature=flags.temperature,
        top_k=flags.top_k,
        top_p=flags.top_p,
        seed=flags.seed,
        use_xla=flags.xla,
    ):
        ids.extend(part[0].tolist())
        whole = tokenizer.decode(ids)
        # A character may be half made: wait for its last byte.
        ready = len(whole.rstrip("\N{REPLACEMENT CHARACTER}"))
        yield whole[shown:ready]
        shown = max(shown, ready)
    yield whole[shown:]


if __name__ == "__main__":
    sys.exit(main())
