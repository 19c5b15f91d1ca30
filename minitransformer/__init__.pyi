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
from minitransformer.diagrams import (
    diagram_svg as diagram_svg,
)
from minitransformer.embeddings import (
    TokenEmbedding as TokenEmbedding,
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
from minitransformer.models.gpt import (
    GPT as GPT,
)
from minitransformer.models.gpt import (
    GPTConfig as GPTConfig,
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
from minitransformer.normalization import (
    LayerNorm as LayerNorm,
)
from minitransformer.objectives import (
    next_token as next_token,
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
from minitransformer.sampling import (
    choose as choose,
)
from minitransformer.schedules import (
    WarmupCosine as WarmupCosine,
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
from minitransformer.tokenizers.characters import (
    CharTokenizer as CharTokenizer,
)
from minitransformer.tokenizers.sentencepieces import (
    SentencePieceTokenizer as SentencePieceTokenizer,
)
from minitransformer.training import (
    train as train,
)

__version__: str
