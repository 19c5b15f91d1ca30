"""Public names. Made by `python -m scripts.book.names`."""

__version__: str
_MODULES: dict[str, list[str]]
_MODULE_OF: dict[str, str]

from minitransformer.attention import (
    attention_weights as attention_weights,
    scaled_dot_product_attention as scaled_dot_product_attention,
)
from minitransformer.masks import (
    causal_mask as causal_mask,
    banded_mask as banded_mask,
    padding_mask as padding_mask,
    widen_padding_mask as widen_padding_mask,
)
from minitransformer.positions import (
    sinusoidal_positions as sinusoidal_positions,
    SinusoidalPositions as SinusoidalPositions,
    LearnedPositions as LearnedPositions,
    rotate as rotate,
)
from minitransformer.multi_head import (
    split_heads as split_heads,
    merge_heads as merge_heads,
    MultiHeadAttention as MultiHeadAttention,
)
from minitransformer.embeddings import (
    TokenEmbedding as TokenEmbedding,
)
from minitransformer.normalization import (
    LayerNorm as LayerNorm,
    RMSNorm as RMSNorm,
)
from minitransformer.feed_forward import (
    FeedForward as FeedForward,
    GatedFeedForward as GatedFeedForward,
)
from minitransformer.blocks import (
    EncoderBlock as EncoderBlock,
    DecoderBlock as DecoderBlock,
)
from minitransformer.stacks import (
    Encoder as Encoder,
    Decoder as Decoder,
)
from minitransformer.models.gpt import (
    GPT as GPT,
    GPTConfig as GPTConfig,
)
from minitransformer.scoring import (
    DotScore as DotScore,
    ScaledDotScore as ScaledDotScore,
    GeneralScore as GeneralScore,
    AdditiveScore as AdditiveScore,
    attend as attend,
)
from minitransformer.recurrent import (
    PlainDecoder as PlainDecoder,
    TextbookDecoder as TextbookDecoder,
    InputFeedingDecoder as InputFeedingDecoder,
)
from minitransformer.models.lstm_seq2seq import (
    LSTMSeq2Seq as LSTMSeq2Seq,
    LSTMSeq2SeqConfig as LSTMSeq2SeqConfig,
)
from minitransformer.models.transformer import (
    Transformer as Transformer,
    TransformerConfig as TransformerConfig,
)
from minitransformer.models.bert import (
    Bert as Bert,
    BertConfig as BertConfig,
)
from minitransformer.models.bert_heads import (
    BertPretraining as BertPretraining,
    BertClassifier as BertClassifier,
)
from minitransformer.models.llama import (
    Llama as Llama,
    LlamaConfig as LlamaConfig,
)
from minitransformer.models.ngram_gpt import (
    NGramGPT as NGramGPT,
    NGramGPTConfig as NGramGPTConfig,
)
from minitransformer.tokenizers import (
    load_tokenizer as load_tokenizer,
)
from minitransformer.tokenizers.characters import (
    CharTokenizer as CharTokenizer,
)
from minitransformer.tokenizers.sentencepieces import (
    SentencePieceTokenizer as SentencePieceTokenizer,
)
from minitransformer.tokenizers.bpe import (
    BytePairTokenizer as BytePairTokenizer,
)
from minitransformer.tokenizers.wordpiece import (
    WordPieceTokenizer as WordPieceTokenizer,
)
from minitransformer.data.corpora import (
    python_docs as python_docs,
    shakespeare as shakespeare,
    read_text as read_text,
)
from minitransformer.data.pairs import (
    read_pairs as read_pairs,
    interface_pairs as interface_pairs,
)
from minitransformer.data.dates import (
    date_pairs as date_pairs,
)
from minitransformer.data.labelled import (
    read_labelled as read_labelled,
)
from minitransformer.data.objectives import (
    next_token as next_token,
    translation as translation,
    masked_lm as masked_lm,
    classification as classification,
)
from minitransformer.data.datasets import (
    random_windows as random_windows,
    consecutive_windows as consecutive_windows,
)
from minitransformer.data.buckets import (
    random_pairs as random_pairs,
    all_pairs as all_pairs,
)
from minitransformer.data.sentences import (
    encode_sentences as encode_sentences,
    embed_sentences as embed_sentences,
)
from minitransformer.data.next_sentence import (
    pretraining_batches as pretraining_batches,
)
from minitransformer.learning.losses import (
    masked_cross_entropy as masked_cross_entropy,
    masked_accuracy as masked_accuracy,
)
from minitransformer.learning.schedules import (
    WarmupCosine as WarmupCosine,
    WarmupInverseRoot as WarmupInverseRoot,
)
from minitransformer.learning.plain_step import (
    make_optimizer as make_optimizer,
    plain_step as plain_step,
)
from minitransformer.learning.rows import (
    make_row_optimizer as make_row_optimizer,
)
from minitransformer.learning.muon import (
    make_muon_optimizer as make_muon_optimizer,
)
from minitransformer.learning.validation import (
    compile_evaluation as compile_evaluation,
)
from minitransformer.learning.training import (
    train as train,
)
from minitransformer.learning.strategies import (
    make_strategy as make_strategy,
)
from minitransformer.learning.checkpoints import (
    Checkpoints as Checkpoints,
)
from minitransformer.writing.sampling import (
    choose as choose,
)
from minitransformer.writing.generation import (
    generate as generate,
    stream as stream,
)
from minitransformer.writing.search import (
    greedy_search as greedy_search,
    beam_search as beam_search,
)
from minitransformer.writing.translating import (
    translate as translate,
)
from minitransformer.writing.evaluation import (
    exact_match as exact_match,
    corpus_bleu as corpus_bleu,
)
from minitransformer.inside.capture import (
    capture as capture,
    sites as sites,
)
from minitransformer.inside.heads import (
    entropy as entropy,
    head_scores as head_scores,
)
from minitransformer.inside.lens import (
    logit_lens as logit_lens,
    attribution as attribution,
)
from minitransformer.inside.patching import (
    patch_effects as patch_effects,
)
from minitransformer.inside.probes import (
    fit_probe as fit_probe,
    read_probe as read_probe,
    neighbours as neighbours,
    strongest as strongest,
)
from minitransformer.runs.pretrained import (
    minilm_folder as minilm_folder,
)
from minitransformer.runs.shipped import (
    shipped_folder as shipped_folder,
)
from minitransformer.runs.run import (
    Run as Run,
)
from minitransformer.figures import (
    curve_svg as curve_svg,
    heatmap_svg as heatmap_svg,
)
from minitransformer.diagrams import (
    diagram_svg as diagram_svg,
)
from minitransformer.viewer import (
    view as view,
)
