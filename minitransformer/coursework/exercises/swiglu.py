"""Open: RMSNorm and SwiGLU."""

from minitransformer.coursework.exercise import Exercise

EXERCISE = Exercise(
    title="RMSNorm with SwiGLU",
    goal=(
        "Since Llama, many models have the same attention as GPT-2, but "
        "another norm and another feed-forward layer: a norm that takes "
        "off no mean, and a hidden layer with a gate. Write both, put them "
        "into a small GPT, and find out which of the two makes the "
        "difference, if there is one."
    ),
    page="modules/feed_forward.md",
    functions={
        "rms_norm": {"output": "batch seq d_model"},
        "swiglu": {"output": "batch seq d_model"},
    },
    hints=(
        "RMSNorm is layer norm without its mean and its bias. SwiGLU is "
        "two first matrices instead of one, and a product.",
        "Three matrices have as many weights as two, if each is a third "
        "smaller: take two thirds of d_ff, rounded.",
        "For the GPT write two Keras layers with the calls of LayerNorm "
        "and FeedForward, and a block of your own that uses them.",
    ),
    rubric=(
        "`rms_norm` and `swiglu` are right, and have no loops. Tests show "
        "the shapes, with sizes that all differ, and that large numbers "
        "(±1,000) give neither NaN nor infinity.",
        "The laws of the norm, in tests: a vector that is twice as long "
        "gives the same, but for ε; one that is shifted by a constant does "
        "not, though it does in layer norm; for vectors of mean 0 both "
        "norms agree.",
        "The layer, in tests: no token sees another; where the gate is 0 "
        "the output is 0; the gradient reaches all three matrices.",
        "The weights are counted: a block with SwiGLU has as many as one "
        "with d_ff = 4 · d_model, to within 2 %, and the text shows the "
        "sum.",
        "A comparison of four small GPTs, with either norm and either "
        "layer: the same text, steps and seeds, three seeds each. A table "
        "has the validation losses, their means and the time of a step; "
        "the text says which differences are larger than the spread "
        "between seeds.",
        "One page, for a reader who knows the GPT of this book: what each "
        "change leaves out or adds, what it costs, and which reasons the "
        "papers give (Zhang & Sennrich 2019; Shazeer 2020, who gives "
        "none). Claims are marked as measured, as quoted or as guessed.",
    ),
)
