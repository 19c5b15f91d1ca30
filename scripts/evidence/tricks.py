"""Trials of the lab notebook that need code and did not become a part of the package.

Each function of `TRICKS` changes names that `train_gpt.py` uses, before it runs
in a process of its own: see `speedrun.py`.
"""

from functools import partial

import tensorflow as tf

import minitransformer as mt
from minitransformer import multi_head
from minitransformer.learning import muon
from minitransformer.learning.plain_step import build_optimizer
from minitransformer.learning.rows import RowAdamW
from minitransformer.models import ngram_gpt
from minitransformer.runs import run


class RowAverage(RowAdamW):
    """`RowAdamW` that also keeps a mean of the weights over the last steps."""

    kept = 0.95

    def build(self, variables):
        super().build(variables)
        # Keras would take what it tracks for the optimizer's own state.
        object.__setattr__(self, "variables_of_model", [*variables])
        self.means = [self.add_variable_from_reference(v, "mean") for v in variables]
        for mean, variable in zip(self.means, variables, strict=True):
            mean.assign(variable)

    def apply(self, grads, trainable_variables=None):
        super().apply(grads, trainable_variables)
        for mean, variable in zip(self.means, self.variables_of_model, strict=True):
            mean.assign(self.kept * mean + (1 - self.kept) * variable)

    def swap(self):
        """Exchange the weights and their means."""
        for mean, variable in zip(self.means, self.variables_of_model, strict=True):
            now = tf.identity(variable)
            variable.assign(mean)
            mean.assign(now)


def with_optimizer(kind, seen=lambda optimizer: None):
    """Let `train_gpt` build its optimizer of another class."""

    def make(model, *, tables, learning_rate, beta_2):
        optimizer = kind(
            learning_rate,
            tables=tables,
            beta_2=beta_2,
            epsilon=1e-8,
            weight_decay=0.1,
        )
        seen(optimizer)
        return build_optimizer(optimizer, model.trainable_variables)

    mt.make_row_optimizer = make


class WarmupLinear(mt.WarmupCosine):
    """`WarmupCosine`, but the rate falls along a line."""

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        rise = (step + 1) / (self.warmup_steps + 1)
        left = (self.steps - step) / (self.steps - self.warmup_steps)
        return self.peak * tf.minimum(rise, left)


def linear():
    mt.WarmupCosine = WarmupLinear


def three_rounds():
    muon.RowMuon = partial(muon.RowMuon, ns_steps=3)


def average():
    """Validate with the mean of the weights."""
    made, compile_evaluation = [], run.compile_evaluation
    with_optimizer(RowAverage, made.append)

    def compile_both(model, **options):
        mean_loss = compile_evaluation(model, **options)

        def evaluate(valid):
            made[0].swap()
            loss = mean_loss(valid)
            made[0].swap()
            return loss

        return evaluate

    run.compile_evaluation = compile_both


def short_windows_first():
    """Cut the windows of the first half of the steps into four."""
    train = run.train

    def train_twice(model, optimizer, batches, *, steps, start, **options):
        def cut(first):
            def four(array):
                return tf.reshape(array, (-1, array.shape[-1] // 4))

            return batches(first).map(lambda batch: tf.nest.map_structure(four, batch))

        silent = {"checkpoints": None, "report": lambda row: None, "evaluate": lambda: 0.0}
        train(model, optimizer, cut, steps=steps // 2, start=start, **options | silent)
        return train(model, optimizer, batches, steps=steps, start=steps // 2, **options)

    run.train = train_twice


def zero_ends():
    """Begin with 0 at the end of every residual branch."""
    initialize = mt.NGramGPT.initialize

    def initialize_and_clear(model):
        initialize(model)
        for weight in model.trainable_variables:
            if weight.path.endswith(("output_dense/kernel", "contract_dense/kernel")):
                weight.assign(tf.zeros_like(weight))

    mt.NGramGPT.initialize = initialize_and_clear


class ShiftedNorm(mt.LayerNorm):
    """A norm that then mixes in the token before, by a learned share per channel."""

    def build(self, x_shape):
        super().build(x_shape)
        self.share = self.add_weight(shape=x_shape[-1:], initializer="zeros", name="share")

    def call(self, x):
        x = super().call(x)
        before = tf.pad(x, [[0, 0], [1, 0], [0, 0]])[:, :-1]
        return x + self.share * (before - x)


class TwoHashes(ngram_gpt.NGramMemory):
    """Two rows for each n-gram, by two hashes, in two tables of half the rows."""

    def build(self, marks_shape):
        self.rows = {(n, extra): rows // 2 for n, rows in self.rows.items() for extra in (0, 2)}
        self.tables = {
            key: self.add_weight(
                shape=(rows, self.d_model), initializer="zeros", name=f"memory_{i}"
            )
            for i, (key, rows) in enumerate(self.rows.items())
        }

    def call(self, marks, start, seq):
        memory, size = 0.0, (tf.shape(marks)[0], seq)
        for (n, extra), table in self.tables.items():
            rows = ngram_gpt.ngram_rows(marks, n, self.base + extra, self.rows[n, extra])
            memory += self.dropout(tf.gather(table, tf.slice(rows, (0, start), size)))
        return memory


def with_blocks(**options):
    """Build the blocks of other parts."""
    ngram_gpt.Decoder = partial(mt.Decoder, **options)


def gated():
    """SwiGLU, with as many weights as the feed-forward layers had."""

    def with_gates(*, d_ff, **options):
        options |= {"feed_forward": mt.GatedFeedForward, "activation": "silu"}
        return mt.Decoder(d_ff=2 * d_ff // 3, **options)

    ngram_gpt.Decoder = with_gates


def normed_heads():
    """Bring queries and keys to a root mean square of 1 before the rotation."""
    rotate = multi_head.rotate

    def rotate_normed(x, start):
        size = tf.reduce_mean(x**2, axis=-1, keepdims=True)
        return rotate(x * tf.math.rsqrt(size + 1e-6), start)

    multi_head.rotate = rotate_normed


def two_hashes():
    ngram_gpt.NGramMemory = TwoHashes


TRICKS = {
    "linear": linear,
    "three rounds": three_rounds,
    "average": average,
    "short windows first": short_windows_first,
    "zero ends": zero_ends,
    "token shift": partial(with_blocks, norm=ShiftedNorm),
    "rms norm": partial(with_blocks, norm=mt.RMSNorm),
    "band": partial(with_blocks, band=32),
    "gated": gated,
    "normed heads": normed_heads,
    "two hashes": two_hashes,
}
