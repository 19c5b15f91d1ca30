"""The public names for type checkers and editors; a test compares them."""

from minitransformer.attention import (
    attention_weights as attention_weights,
)
from minitransformer.attention import (
    scaled_dot_product_attention as scaled_dot_product_attention,
)
from minitransformer.blocks import (
    DecoderBlock as DecoderBlock,
)
from minitransformer.blocks import (
    EncoderBlock as EncoderBlock,
)
from minitransformer.buckets import (
    all_pairs as all_pairs,
)
from minitransformer.buckets import (
    random_pairs as random_pairs,
)
from minitransformer.checkpoints import (
    Checkpoints as Checkpoints,
)
from minitransformer.corpora import (
    python_docs as python_docs,
)
from minitransformer.corpora import (
    read_text as read_text,
)
from minitransformer.corpora import (
    shakespeare as shakespeare,
)
from minitransformer.datasets import (
    consecutive_windows as consecutive_windows,
)
from minitransformer.datasets import (
    random_windows as random_windows,
)
from minitransformer.dates import (
    date_pairs as date_pairs,
)
from minitransformer.diagrams import (
    diagram_svg as diagram_svg,
)
from minitransformer.embeddings import (
    TokenEmbedding as TokenEmbedding,
)
from minitransformer.evaluation import (
    corpus_bleu as corpus_bleu,
)
from minitransformer.evaluation import (
    exact_match as exact_match,
)
from minitransformer.feed_forward import (
    FeedForward as FeedForward,
)
from minitransformer.figures import (
    curve_svg as curve_svg,
)
from minitransformer.figures import (
    heatmap_svg as heatmap_svg,
)
from minitransformer.generation import (
    generate as generate,
)
from minitransformer.generation import (
    stream as stream,
)
from minitransformer.labelled import (
    read_labelled as read_labelled,
)
from minitransformer.losses import (
    masked_accuracy as masked_accuracy,
)
from minitransformer.losses import (
    masked_cross_entropy as masked_cross_entropy,
)
from minitransformer.masks import (
    causal_mask as causal_mask,
)
from minitransformer.masks import (
    padding_mask as padding_mask,
)
from minitransformer.masks import (
    widen_padding_mask as widen_padding_mask,
)
from minitransformer.models.bert import (
    Bert as Bert,
)
from minitransformer.models.bert import (
    BertClassifier as BertClassifier,
)
from minitransformer.models.bert import (
    BertConfig as BertConfig,
)
from minitransformer.models.bert import (
    BertPretraining as BertPretraining,
)
from minitransformer.models.gpt import (
    GPT as GPT,
)
from minitransformer.models.gpt import (
    GPTConfig as GPTConfig,
)
from minitransformer.models.lstm_seq2seq import (
    LSTMSeq2Seq as LSTMSeq2Seq,
)
from minitransformer.models.lstm_seq2seq import (
    LSTMSeq2SeqConfig as LSTMSeq2SeqConfig,
)
from minitransformer.models.transformer import (
    Transformer as Transformer,
)
from minitransformer.models.transformer import (
    TransformerConfig as TransformerConfig,
)
from minitransformer.multi_head import (
    MultiHeadAttention as MultiHeadAttention,
)
from minitransformer.multi_head import (
    merge_heads as merge_heads,
)
from minitransformer.multi_head import (
    split_heads as split_heads,
)
from minitransformer.next_sentence import (
    pretraining_batches as pretraining_batches,
)
from minitransformer.normalization import (
    LayerNorm as LayerNorm,
)
from minitransformer.objectives import (
    classification as classification,
)
from minitransformer.objectives import (
    masked_lm as masked_lm,
)
from minitransformer.objectives import (
    next_token as next_token,
)
from minitransformer.objectives import (
    translation as translation,
)
from minitransformer.pairs import (
    interface_pairs as interface_pairs,
)
from minitransformer.pairs import (
    read_pairs as read_pairs,
)
from minitransformer.positions import (
    LearnedPositions as LearnedPositions,
)
from minitransformer.positions import (
    SinusoidalPositions as SinusoidalPositions,
)
from minitransformer.positions import (
    rotate as rotate,
)
from minitransformer.positions import (
    sinusoidal_positions as sinusoidal_positions,
)
from minitransformer.pretrained import (
    minilm_folder as minilm_folder,
)
from minitransformer.recurrent import (
    InputFeedingDecoder as InputFeedingDecoder,
)
from minitransformer.recurrent import (
    PlainDecoder as PlainDecoder,
)
from minitransformer.recurrent import (
    TextbookDecoder as TextbookDecoder,
)
from minitransformer.sampling import (
    choose as choose,
)
from minitransformer.schedules import (
    WarmupCosine as WarmupCosine,
)
from minitransformer.schedules import (
    WarmupInverseRoot as WarmupInverseRoot,
)
from minitransformer.scoring import (
    AdditiveScore as AdditiveScore,
)
from minitransformer.scoring import (
    DotScore as DotScore,
)
from minitransformer.scoring import (
    GeneralScore as GeneralScore,
)
from minitransformer.scoring import (
    ScaledDotScore as ScaledDotScore,
)
from minitransformer.scoring import (
    attend as attend,
)
from minitransformer.search import (
    beam_search as beam_search,
)
from minitransformer.search import (
    greedy_search as greedy_search,
)
from minitransformer.sentences import (
    embed_sentences as embed_sentences,
)
from minitransformer.sentences import (
    encode_sentences as encode_sentences,
)
from minitransformer.stacks import (
    Decoder as Decoder,
)
from minitransformer.stacks import (
    Encoder as Encoder,
)
from minitransformer.steps import (
    compile_evaluation as compile_evaluation,
)
from minitransformer.steps import (
    make_optimizer as make_optimizer,
)
from minitransformer.strategies import (
    make_strategy as make_strategy,
)
from minitransformer.tokenizers import (
    load_tokenizer as load_tokenizer,
)
from minitransformer.tokenizers.bpe import (
    BytePairTokenizer as BytePairTokenizer,
)
from minitransformer.tokenizers.characters import (
    CharTokenizer as CharTokenizer,
)
from minitransformer.tokenizers.sentencepieces import (
    SentencePieceTokenizer as SentencePieceTokenizer,
)
from minitransformer.tokenizers.wordpiece import (
    WordPieceTokenizer as WordPieceTokenizer,
)
from minitransformer.training import (
    train as train,
)
from minitransformer.translating import (
    translate as translate,
)

__version__: str
