"""minitransformer: the transformer, built from one dot product.

The public names, in reading order. A name is loaded when it is first used,
so `import minitransformer` and a script's `--help` need no TensorFlow.
"""

import importlib
import os
import sys

__version__ = "0.1.0"

# The layers are written in TensorFlow, whatever the user's settings say.
os.environ["KERAS_BACKEND"] = "tensorflow"

# The one list of names: `python -m scripts.book.names` writes the rest.
_MODULES = {
    "attention": ["attention_weights", "scaled_dot_product_attention"],
    "masks": [
        "causal_mask",
        "banded_mask",
        "padding_mask",
        "widen_padding_mask",
    ],
    "positions": [
        "sinusoidal_positions",
        "SinusoidalPositions",
        "LearnedPositions",
        "rotate",
    ],
    "multi_head": ["split_heads", "merge_heads", "MultiHeadAttention"],
    "embeddings": ["TokenEmbedding"],
    "normalization": ["LayerNorm", "RMSNorm"],
    "feed_forward": ["FeedForward", "GatedFeedForward"],
    "blocks": ["EncoderBlock", "DecoderBlock"],
    "stacks": ["Encoder", "Decoder"],
    "models.gpt": ["GPT", "GPTConfig"],
    "scoring": [
        "DotScore",
        "ScaledDotScore",
        "GeneralScore",
        "AdditiveScore",
        "attend",
    ],
    "recurrent": ["PlainDecoder", "TextbookDecoder", "InputFeedingDecoder"],
    "models.lstm_seq2seq": ["LSTMSeq2Seq", "LSTMSeq2SeqConfig"],
    "models.transformer": ["Transformer", "TransformerConfig"],
    "models.bert": ["Bert", "BertConfig"],
    "models.bert_heads": ["BertPretraining", "BertClassifier"],
    "models.llama": ["Llama", "LlamaConfig"],
    "models.ngram_gpt": ["NGramGPT", "NGramGPTConfig"],
    "tokenizers": ["load_tokenizer"],
    "tokenizers.characters": ["CharTokenizer"],
    "tokenizers.sentencepieces": ["SentencePieceTokenizer"],
    "tokenizers.bpe": ["BytePairTokenizer"],
    "tokenizers.wordpiece": ["WordPieceTokenizer"],
    "data.corpora": ["python_docs", "shakespeare", "read_text"],
    "data.pairs": ["read_pairs", "interface_pairs"],
    "data.dates": ["date_pairs"],
    "data.labelled": ["read_labelled"],
    "data.objectives": [
        "next_token",
        "translation",
        "masked_lm",
        "classification",
    ],
    "data.datasets": ["random_windows", "consecutive_windows"],
    "data.buckets": ["random_pairs", "all_pairs"],
    "data.sentences": ["encode_sentences", "embed_sentences"],
    "data.next_sentence": ["pretraining_batches"],
    "learning.losses": ["masked_cross_entropy", "masked_accuracy"],
    "learning.schedules": ["WarmupCosine", "WarmupInverseRoot"],
    "learning.plain_step": ["make_optimizer", "plain_step"],
    "learning.rows": ["make_row_optimizer"],
    "learning.muon": ["make_muon_optimizer"],
    "learning.validation": ["compile_evaluation"],
    "learning.training": ["train"],
    "learning.strategies": ["make_strategy"],
    "learning.checkpoints": ["Checkpoints"],
    "writing.sampling": ["choose"],
    "writing.generation": ["generate", "stream"],
    "writing.search": ["greedy_search", "beam_search"],
    "writing.translating": ["translate"],
    "writing.evaluation": ["exact_match", "corpus_bleu"],
    "inside.capture": ["capture", "sites"],
    "inside.heads": ["entropy", "head_scores"],
    "inside.lens": ["logit_lens", "attribution"],
    "inside.patching": ["patch_effects"],
    "inside.probes": [
        "fit_probe",
        "read_probe",
        "neighbours",
        "strongest",
    ],
    "runs.pretrained": ["minilm_folder"],
    "runs.shipped": ["shipped_folder"],
    "runs.run": ["Run"],
    "figures": ["curve_svg", "heatmap_svg"],
    "diagrams": ["diagram_svg"],
    "viewer": ["view"],
}
_MODULE_OF = {
    name: module for module, names in _MODULES.items() for name in names
}
__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}"
        )
    keras = sys.modules.get("keras")
    if keras and keras.config.backend() != "tensorflow":
        raise ImportError(
            f"Keras computes with {keras.config.backend()} already: import "
            "minitransformer before keras, or unset KERAS_BACKEND."
        )
    module = importlib.import_module(f"{__name__}.{_MODULE_OF[name]}")
    value = globals()[name] = getattr(module, name)
    if hasattr(value, "from_config"):  # so that Keras can load it again
        register = sys.modules["keras"].saving.register_keras_serializable
        register(__name__)(value)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
