"""Open: grouped-query attention."""

from minitransformer.coursework.exercise import Exercise

EXERCISE = Exercise(
    title="Grouped-query attention",
    goal=(
        "A model that writes reads its whole cache of keys and values for "
        "each new token, and that takes longer than the arithmetic. If "
        "several query heads share the keys and values of one, the cache "
        "is smaller by that factor. Write it, convert a model that was "
        "trained without it, and measure what is won and what is lost."
    ),
    page="modules/multi_head.md",
    functions={
        "grouped_query_attention": {
            "output": "batch heads query value_dim",
            "weights": "batch heads query key",
        },
        "pool_heads": {"pooled": "d_model width"},
    },
    hints=(
        "Each group serves heads // groups query heads, which are "
        "neighbours: np.repeat puts copies side by side, np.tile does not.",
        "Without copies: give the queries an axis for the groups, and the "
        "keys an axis of 1 beside it; broadcasting does the rest.",
        "The cache must hold the groups, not their copies. Repeat after "
        "reading from it.",
    ),
    rubric=(
        "`grouped_query_attention` is right and has no loop over heads. "
        "Tests show the shapes, with sizes that all differ, that groups "
        "which do not divide the heads are refused, and that masked "
        "weights are 0.",
        "The two ends, in tests: with as many groups as heads it is "
        "multi-head attention; with one group all heads read the same keys "
        "and values. In between, a test changes the keys of one group and "
        "sees that the outputs of its own heads change, and no others.",
        "`pool_heads` is right, and a test shows when nothing is lost: if "
        "all heads of each group had equal matrices, the model's output is "
        "the same as before.",
        "A small GPT writes with a cache of the groups alone, and a test "
        "shows the same logits with and without the cache. A table has the "
        "bytes of the cache for each token, by formula and as measured, "
        "and the time of a new token, for three numbers of groups or more.",
        "Trained from scratch: all heads, a few groups and one group, the "
        "same text and steps, three seeds each; validation losses, their "
        "means, and whether the differences are larger than the spread.",
        "Converted: a trained model's heads are pooled, and it is trained "
        "on for a twentieth of its steps, as in the paper. The losses "
        "before, at once after pooling and at the end are compared with "
        "another way to convert, such as taking the first head of each "
        "group.",
        "One page, for a reader who knows multi-head attention: why "
        "writing is bound by memory and training is not, what is shared "
        "and what is not, and what Ainslie et al. 2023 measured that a "
        "small model cannot show.",
    ),
)
