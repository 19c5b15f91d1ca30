"""Write a trained GPT for docs/assets/js/gpt.js, and how it was made."""

if __name__ == "__main__":  # before what takes longer to import
    from minitransformer.runs.signals import begin

    begin()

import argparse
import hashlib
import json
import runpy
import shlex
import sys
from importlib.metadata import version
from pathlib import Path

from minitransformer.runs import saving
from minitransformer.runs.folders import read_settings
from minitransformer.runs.given import read_json
from minitransformer.runs.logs import read_log
from minitransformer.runs.progress import quiet_import


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    folder = {"type": Path, "required": True, "metavar": "DIR"}
    parser.add_argument("--run", help="a run of train_gpt.py", **folder)
    parser.add_argument("--out", help="where the page finds it", **folder)
    flags = parser.parse_args(argv)
    try:
        export(flags.run, flags.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def export(run, out):
    """Write `weights.safetensors`, `provenance.json` and `sample.txt`."""
    import numpy as np

    with quiet_import():
        from minitransformer import GPT, CharTokenizer, load_tokenizer
    tokenizer = load_tokenizer(run)
    if not isinstance(tokenizer, CharTokenizer):
        raise ValueError(f"{run} reads pieces of words: give one that reads characters.")
    with_memory = "longest" in read_json(run / saving.CONFIG)
    model = None if with_memory else GPT.load(run)
    computed = {"rotary": True, "activation": "squared_relu", "band": None}
    if not model or computed.items() - vars(model.config).items():
        raise ValueError(f"{run} is no GPT of the recipe muon, which the page computes.")
    weights = halve(model, tokenizer)
    if len(weights) > 2_000_000:
        raise ValueError(f"{run} makes {len(weights):,} bytes: a page takes 2,000,000.")
    sample = (run / "sample.txt").read_text(encoding="utf-8")
    prompt = sample[: min(16, model.config.max_len)]
    ids = np.array([tokenizer.encode(prompt)])
    provenance = {
        **describe(run),
        "parameters": model.count_params(),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        # What follows the prompt, by the rounded weights.
        "prompt": prompt,
        "logits": [round(float(logit), 4) for logit in model(ids)[0, -1]],
    }
    text = json.dumps(provenance, indent=2) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    saving.write_atomically(out / "weights.safetensors", weights)
    saving.write_atomically(out / "provenance.json", text)
    saving.write_atomically(out / "sample.txt", sample)
    print(f"{out}: {len(weights):,} bytes of weights")


def halve(model, tokenizer):
    """Round a model's weights to float16; return them as a file's bytes."""
    from safetensors.numpy import save

    halves = {
        name: variable.numpy().astype("float16")
        for name, variable in saving.named_weights(model).items()
    }
    saving.assign_weights(model, halves)
    about = {**vars(model.config), "characters": tokenizer.characters}
    # One entry: several would come in another order each time.
    return save(halves, metadata={"gpt": json.dumps(about)})


def describe(run):
    """Tell how a run was made, and how well it went."""
    script = Path(__file__).parents[1] / "train_gpt.py"
    names, flags = runpy.run_path(str(script)), []
    settings, log = read_settings(run), read_log(run)
    recipe = settings.get("recipe", "nanogpt")
    # The recipe itself is a flag, if it is not the default.
    defaults = names["DEFAULTS"] | names["RECIPES"][recipe]
    text = settings["text"] and Path(settings["text"]).name
    for name, value in {**settings, "text": text}.items():
        flag = name.replace("_", "-")
        if value == defaults.get(name, value):
            continue
        if isinstance(value, bool):
            flags.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            flags += [f"--{flag}", str(value)]
    return {
        "command": shlex.join(["python", "scripts/train_gpt.py", *flags]),
        "corpus": text or "Python's documentation",
        "corpus_sha256": settings["text_sha256"],
        "steps": settings["steps"],
        "valid_loss": log[-1].valid_loss if log else None,
        # The versions that exported it; a run does not record its own.
        "python": sys.version.split()[0],
        **{name: version(name) for name in ("tensorflow", "keras")},
    }


if __name__ == "__main__":
    sys.exit(main())
