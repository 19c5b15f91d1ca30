"""Write the shipped translator of dates for docs/assets/js/transformer.js.

The weights stay as they are; the configuration and the vocabulary are added.
"""

import json

from minitransformer.runs.given import read_json
from minitransformer.runs.saving import CONFIG, WEIGHTS, write_atomically
from minitransformer.runs.shipped import shipped_folder
from minitransformer.tokenizers.sentencepieces import SPACE, SentencePieceTokenizer
from scripts.book.source import ROOT

OUT = ROOT / "docs" / "assets" / "dates" / "weights.safetensors"


def vocabulary(tokenizer):
    """List the pieces and their scores; pieces that are no text are empty."""
    processor, ids = tokenizer.processor, range(tokenizer.vocab_size)
    special = {tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id}
    no_text = special | {i for i in ids if processor.IsByte(i)}
    return {
        "pieces": ["" if i in no_text else processor.IdToPiece(i).replace(SPACE, " ") for i in ids],
        "scores": [processor.GetScore(i) for i in ids],
        "first_byte": processor.PieceToId("<0x00>"),
    }


def write(path=OUT):
    """Write one file, which is all that the page loads."""
    from safetensors.numpy import load_file, save

    folder = shipped_folder("transformer")
    source, target = (
        SentencePieceTokenizer.load(folder / f"{side}.model") for side in ("source", "target")
    )
    assert source.model == target.model, "the page has one vocabulary for both sides"
    about = {**read_json(folder / CONFIG), **vocabulary(source)}
    assert not about["norm_first"], "the page computes post-norm only"
    data = save(load_file(folder / WEIGHTS), metadata={"transformer": json.dumps(about)})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)
