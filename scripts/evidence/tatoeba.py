"""English to French: all three translators, with the same time each.

    python scripts/evidence/tatoeba.py --data ../shared/data --minutes 20

First it measures, one after the other, how many steps each model makes in so
many minutes of nothing but training: leave the machine alone for these five
minutes. Then each model makes its number of steps, and what else runs beside
it changes nothing but the seconds.

The folder holds `tatoeba_eng-fra.train.tsv`, `….valid.tsv` and `….test.tsv`.
It can be stopped and started again: what is measured is kept, and a training
goes on from its checkpoint. The result is docs/evidence/tatoeba.json.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "tatoeba.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.dates import (  # noqa: E402
    MODELS,
    about,
    count_parameters,
    train,
)

SETTINGS = ["--vocab-size", 4000, "--max-len", 40, "--buckets", 4, "--seed", 1]
BEST = {  # of the few that were tried
    "lstm": ["--batch-size", 64, "--learning-rate", 4e-3, "--dropout-rate", 0.3],
    "transformer": ["--batch-size", 128, "--dropout-rate", 0.2],
}
PENALTIES = [0.6, 1.0, 1.4]  # of length, in beam search
LIMITS = [4, 6, 8, 10, 12]  # words in an English sentence


def steps_in(minutes, options):
    """Measure how many steps a model makes in so many minutes."""
    from minitransformer.runs.logs import read_log

    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        train(*options, "--steps", 300, "--evaluate-every", 300, "--beam-size", 1, "--out", run)
        rows = read_log(run)
    # The first calls compile; the last one validates.
    later = rows[10:-1]
    pace = (later[-1].seconds - later[0].seconds) / (later[-1].step - later[0].step)
    return max(round(60 * minutes / pace / 100) * 100, 100)


def by_source_length(sources, ours, theirs, measure, limits):
    """Measure short and long sentences separately.

    Args:
        sources, ours, theirs: Lists of sentences, their translations by the
            model and their references, equally long.
        measure: `exact_match` or `corpus_bleu`.
        limits: Numbers of words: the first group has up to the first number
            of words in its source, and so on. Sources longer than the last
            limit are in no group.

    Returns:
        A list of (limit, number of sentences, measure) for each group that
        has a sentence.
    """
    groups = {limit: [] for limit in limits}
    for source, *pair in zip(sources, ours, theirs, strict=True):
        words = len(source.split())
        limit = min((limit for limit in limits if words <= limit), default=None)
        if limit and words:
            groups[limit].append(pair)
    return [
        (limit, len(pairs), measure(*map(list, zip(*pairs, strict=True))))
        for limit, pairs in groups.items()
        if pairs
    ]


def measure(run, valid, test):
    """Measure a finished run: how it searches best, and then on the test."""
    from minitransformer import corpus_bleu, exact_match, read_pairs, translate
    from minitransformer.runs.logs import read_log
    from scripts.translate import load

    model, tokenizers, max_len = load(run)

    def write(sources, beam_size, length_penalty):
        return translate(
            model,
            tokenizers,
            sources,
            max_len=max_len,
            beam_size=beam_size,
            length_penalty=length_penalty,
        )

    sources, theirs = zip(*read_pairs(valid), strict=True)
    greedy = corpus_bleu(write(sources, 1, 0.0), theirs)
    beams = {penalty: corpus_bleu(write(sources, 4, penalty), theirs) for penalty in PENALTIES}
    best = max(beams, key=beams.get)
    sources, theirs = map(list, zip(*read_pairs(test), strict=True))
    ours = write(sources, 4, best)
    last = read_log(run)[-1]
    return {
        "valid_bleu": {"greedy": greedy, **beams},
        "length_penalty": best,
        "bleu": corpus_bleu(ours, theirs),
        "exact_match": exact_match(ours, theirs),
        "bleu_by_length": by_source_length(sources, ours, theirs, corpus_bleu, LIMITS),
        "exact_match_by_length": by_source_length(sources, ours, theirs, exact_match, LIMITS),
        "seconds": last.seconds,
        "steps": last.step,
        "valid_loss": last.valid_loss,
        "parameters": count_parameters(run),
        "examples": list(zip(sources, ours, theirs, strict=True))[:8],
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    flags = parser.parse_args()
    files = {
        part: flags.data / f"tatoeba_eng-fra.{part}.tsv" for part in ("train", "valid", "test")
    }
    given = [
        "--pairs",
        files["train"],
        "--valid",
        files["valid"],
        "--test",
        files["test"],
        *SETTINGS,
    ]
    result = about(
        f"python scripts/evidence/tatoeba.py --data ../shared/data --minutes {flags.minutes:g}"
    ) | {"minutes": flags.minutes, "steps": {}, "models": {}}
    if RESULT.is_file():
        before = json.loads(RESULT.read_text(encoding="utf-8"))
        if before["minutes"] != flags.minutes:
            sys.exit(f"{RESULT} is of {before['minutes']:g} minutes: move it")
        result |= {key: before[key] for key in ("steps", "models")}
    models = {name: [*options, *BEST[options[1]], *given] for name, options in MODELS.items()}
    for name, options in models.items():
        if name not in result["steps"]:
            result["steps"][name] = steps_in(flags.minutes, options)
            RESULT.write_text(json.dumps(result, indent=1) + "\n")
    for name, options in models.items():
        if name in result["models"]:
            continue
        steps = result["steps"][name]
        run = flags.runs / f"tatoeba-{name.replace(' ', '-')}"
        train(
            *options, "--steps", steps, "--evaluate-every", max(10, steps // 80 * 10), "--out", run
        )
        result["models"][name] = measure(run, files["valid"], files["test"])
        RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
