"""minitransformer: the transformer, built from one dot product.

The public names, in reading order. They are loaded when first used, so that
`import minitransformer` and a script's `--help` need no TensorFlow.
"""

import importlib
import os

__version__ = "0.1.0"

# The layers are written in TensorFlow, whatever keras.json says.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

_MODULES = {
    "masks": ["causal_mask", "padding_mask", "widen_padding_mask"],
    "attention": ["attention_weights", "scaled_dot_product_attention"],
    "multi_head": ["split_heads", "merge_heads", "MultiHeadAttention"],
    "positions": [
        "sinusoidal_positions",
        "SinusoidalPositions",
        "LearnedPositions",
        "rotate",
    ],
    "embeddings": ["TokenEmbedding"],
    "normalization": ["LayerNorm"],
    "feed_forward": ["FeedForward"],
    "blocks": ["EncoderBlock", "DecoderBlock"],
    "stacks": ["Encoder", "Decoder"],
    "models.gpt": ["GPT", "GPTConfig"],
    "tokenizers": ["load_tokenizer"],
    "tokenizers.characters": ["CharTokenizer"],
    "tokenizers.sentencepieces": ["SentencePieceTokenizer"],
    "corpora": ["python_docs", "shakespeare", "read_text"],
    "objectives": ["next_token"],
    "datasets": ["random_windows", "consecutive_windows"],
    "losses": ["masked_cross_entropy"],
    "schedules": ["WarmupCosine"],
    "checkpoints": ["Checkpoints"],
    "strategies": ["make_strategy"],
    "steps": ["make_optimizer", "compile_evaluation"],
    "training": ["train"],
    "sampling": ["choose"],
    "generation": ["generate", "stream"],
    "figures": ["curve_svg", "heatmap_svg"],
    "diagrams": ["diagram_svg"],
}
_MODULE_OF = {
    name: module for module, names in _MODULES.items() for name in names
}
__all__ = list(_MODULE_OF)


def __getattr__(name):
    if name not in _MODULE_OF:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}"
        )
    module = importlib.import_module(f"{__name__}.{_MODULE_OF[name]}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__():
    return sorted([*globals(), *__all__])
