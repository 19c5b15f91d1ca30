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
    "scoring": [
        "DotScore",
        "ScaledDotScore",
        "GeneralScore",
        "AdditiveScore",
        "attend",
    ],
    "recurrent": [
        "PlainDecoder",
        "TextbookDecoder",
        "InputFeedingDecoder",
    ],
    "models.lstm_seq2seq": ["LSTMSeq2Seq", "LSTMSeq2SeqConfig"],
    "models.transformer": ["Transformer", "TransformerConfig"],
    "models.gpt": ["GPT", "GPTConfig"],
    "pretrained": ["minilm_folder"],
    "models.bert": [
        "Bert",
        "BertConfig",
        "BertPretraining",
        "BertClassifier",
    ],
    "tokenizers": ["load_tokenizer"],
    "tokenizers.characters": ["CharTokenizer"],
    "tokenizers.sentencepieces": ["SentencePieceTokenizer"],
    "tokenizers.bpe": ["BytePairTokenizer"],
    "tokenizers.wordpiece": ["WordPieceTokenizer"],
    "corpora": ["python_docs", "shakespeare", "read_text"],
    "pairs": ["read_pairs", "interface_pairs"],
    "dates": ["date_pairs"],
    "objectives": [
        "next_token",
        "translation",
        "masked_lm",
        "classification",
    ],
    "datasets": ["random_windows", "consecutive_windows"],
    "buckets": ["random_pairs", "all_pairs"],
    "sentences": ["encode_sentences", "embed_sentences"],
    "next_sentence": ["pretraining_batches"],
    "labelled": ["read_labelled"],
    "losses": ["masked_cross_entropy", "masked_accuracy"],
    "schedules": ["WarmupCosine", "WarmupInverseRoot"],
    "checkpoints": ["Checkpoints"],
    "strategies": ["make_strategy"],
    "steps": ["make_optimizer", "compile_evaluation"],
    "training": ["train"],
    "sampling": ["choose"],
    "generation": ["generate", "stream"],
    "search": ["greedy_search", "beam_search"],
    "translating": ["translate"],
    "evaluation": ["exact_match", "corpus_bleu"],
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
