"""Store attention weights of trained translators, for the figures of a page.

    python scripts/evidence/alignments.py

It reads the runs of dates.py and tatoeba.py, and writes
docs/evidence/alignments.json.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "evidence" / "alignments.json"
sys.path.insert(0, str(ROOT))

DATE = "Sunday, November 22nd 2026"
SENTENCE = "I don't know where my sister lives."


def rounded(weights):
    """Round each weight to three digits, so that the file stays small."""
    return [[round(float(weight), 3) for weight in row] for row in weights]


def read(run, sentence):
    """Translate a sentence; return its translation and attention weights."""
    from minitransformer import translate
    from minitransformer.data.buckets import encode_sentence
    from minitransformer.writing.translating import alignment
    from scripts.translate import load

    model, tokenizers, max_len = load(run)
    [translation] = translate(model, tokenizers, [sentence], max_len=max_len, use_xla=False)
    weights, rows, columns = alignment(model, tokenizers, sentence, translation, max_len=max_len)
    kept = {
        "run": run.name,
        "sentence": sentence,
        "translation": translation,
        "rows": rows,
        "columns": columns,
        "weights": rounded(weights),
    }
    if hasattr(model, "embedding"):  # only a Transformer has self-attention
        source = encode_sentence(tokenizers[0], sentence)
        encoder, _, _ = model.attention_maps([source], [[model.config.bos_id]])
        kept["encoder"] = [rounded(head) for head in encoder[-1][0].numpy()]
    return kept


def main():
    kept = {
        "command": "python scripts/evidence/alignments.py",
        "dates": [
            read(ROOT / "runs" / f"dates-{name}-1", DATE)
            for name in ("LSTM-with-attention", "Transformer")
        ],
        "sentences": [
            read(ROOT / "runs" / f"tatoeba-{name}", SENTENCE)
            for name in ("LSTM-with-attention", "Transformer")
        ],
    }
    RESULT.write_text(json.dumps(kept, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
