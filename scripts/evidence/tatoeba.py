"""Train all three translators from English to French, for equal times.

    python scripts/evidence/tatoeba.py --data ../shared/data --minutes 20

First it measures how many steps each model makes in this number of minutes.
This takes about five minutes, in which no other program should run. Then it
trains each model for its number of steps. Other programs may run meanwhile:
they change only the seconds.

The folder holds `tatoeba_eng-fra.train.tsv`, `….valid.tsv` and `….test.tsv`.
You can stop the script and start it again: it keeps finished measurements and
resumes a training from its checkpoint. The result is
docs/evidence/tatoeba.json.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "tatoeba.json"
sys.path.insert(0, str(ROOT))

from scripts.evidence.common import about, train  # noqa: E402
from scripts.evidence.dates import MODELS, count_parameters  # noqa: E402

SCRIPT = "train_translation.py"
SETTINGS = ["--vocab-size", 4000, "--max-len", 40, "--buckets", 4, "--seed", 1]
BEST = {  # the best of the few settings that we tried
    "lstm": ["--batch-size", 64, "--learning-rate", 4e-3, "--dropout-rate", 0.3],
    "transformer": ["--batch-size", 128, "--dropout-rate", 0.2],
}
PENALTIES = [0.6, 1.0, 1.4]  # for length, in beam search
LIMITS = [4, 6, 8, 10, 12]  # words in an English sentence


def steps_in(minutes, options):
    """Estimate how many steps a model makes in this number of minutes."""
    from minitransformer.runs.logs import read_log

    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        train(
            SCRIPT,
            *options,
            "--steps",
            300,
            "--evaluate-every",
            300,
            "--beam-size",
            1,
            "--out",
            run,
        )
        rows = read_log(run)
    # The first calls also compile, and the last one also validates.
    later = rows[10:-1]
    pace = (later[-1].seconds - later[0].seconds) / (later[-1].step - later[0].step)
    return max(round(60 * minutes / pace / 100) * 100, 100)


def by_source_length(sources, ours, theirs, measure, limits):
    """Measure short and long sentences separately.

    Args:
        sources, ours, theirs: Lists of sentences, of their translations by
            the model, and of their references.
        measure: `exact_match` or `corpus_bleu`.
        limits: The largest number of words in a source sentence of each
            group. Longer sentences than the last limit are in no group.

    Returns:
        A list of (limit, number of sentences, measure), without empty groups.
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
    """Choose the length penalty on the validation file; measure on the test."""
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
    parser.add_argument("--data", type=Path, required=True, help="the folder of the three files")
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
            sys.exit(
                f"{RESULT}: found results of {before['minutes']:g} minutes, expected "
                f"{flags.minutes:g}. Move the file, or change --minutes."
            )
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
            SCRIPT,
            *options,
            "--steps",
            steps,
            "--evaluate-every",
            max(10, steps // 80 * 10),
            "--out",
            run,
        )
        result["models"][name] = measure(run, files["valid"], files["test"])
        RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
