"""Open: rotary positions."""

from minitransformer.coursework.exercise import Exercise

EXERCISE = Exercise(
    title="Rotary positions",
    goal=(
        "Attention sees a set, so something must tell it the order. Most "
        "newer models add nothing to their vectors: they turn queries and "
        "keys, each by an angle that grows with its position. Write the "
        "rotation, show with tests of your own what it promises, and "
        "measure what a GPT gains or loses by it."
    ),
    page="modules/positions.md",
    functions={"rotate": {"turned": "batch heads seq head_dim"}},
    hints=(
        "x[..., 0::2] are the first features of all pairs, x[..., 1::2] "
        "the second ones. Put them back the same way.",
        "Turn queries and keys after they are split into heads, and leave "
        "the values alone.",
        "For the comparison, GPTConfig has rotary=True. Change nothing "
        "else: the same text, steps and seeds.",
    ),
    rubric=(
        "`rotate` is right and has no loop over positions. Tests show the "
        "shape, with four different sizes; that vectors keep their "
        "lengths; that position 0 is not turned; and that an odd width "
        "is refused.",
        "The law, in a test: the score of a query at p and a key at q is "
        "the same as at p + s and q + s, for several shifts s, and another "
        "one when only q moves. The test fails if the angles of the query "
        "are wrong, and this was tried.",
        "The cache, in a test: vectors turned one by one, each with its "
        "own `start`, are those that were turned all at once.",
        "A test compares with `minitransformer.rotate`, which pairs other "
        "features. It finds the order of the features in which both agree, "
        "and a sentence says why a trained model would not bear the "
        "exchange.",
        "A comparison: a small GPT with learned positions and one with "
        "rotary ones, the same text and steps, three seeds each. A table "
        "has each validation loss, the means, and the number of weights; "
        "the text says whether the difference is larger than the spread "
        "between seeds.",
        "A measurement beyond it: the loss at each position, up to twice "
        "the length that the model was trained with, as a curve, and what "
        "it says. (Give the model a larger max_len than its windows.)",
        "One page, for a reader who knows attention: why a rotation makes "
        "scores depend on the distance alone, what slow and fast pairs are "
        "for, and where the paper (Su et al. 2021) and the package differ.",
    ),
)
