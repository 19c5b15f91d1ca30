"""A BERT of sizes that all differ, for the tests of several rooms."""

import numpy as np

from minitransformer import Bert, BertConfig

IDS = np.array([[5, 7, 9, 4, 6, 0, 0], [8, 3, 2, 11, 22, 1, 13]])
SEGMENTS = np.array([[0, 0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1]])
SIZES = {
    "vocab_size": 23,
    "max_len": 11,
    "d_model": 12,
    "num_heads": 3,
    "num_layers": 2,
    "d_ff": 20,
    "dropout_rate": 0.0,
}


def make_bert(**options):
    """Make a BERT with weights far from their initial values."""
    model = Bert(BertConfig(**{**SIZES, **options}))
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(0.3 * rng.normal(size=weight.shape))
    return model
