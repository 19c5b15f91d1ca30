"""Beam search, in other people's styles."""

import heapq
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

from minitransformer.writing.search import beam_search as package_search


def with_heap(log_probabilities, beam_size, bos_id, eos_id, length_penalty):
    def entry(tokens, total, ended):
        n = len(tokens) - 1
        score = total / ((5.0 + n) / 6.0) ** length_penalty
        return {"tokens": tokens, "total": total, "end": ended, "score": score}

    time, vocab_size, _ = np.shape(log_probabilities)
    beam = [entry((bos_id,), 0.0, False)]
    for t in range(time):
        if all(b["end"] for b in beam):
            break
        heap = []
        for b in beam:
            if b["end"]:
                more = [b]
            else:
                more = [
                    entry(
                        (*b["tokens"], token),
                        b["total"] + float(log_probabilities[t][b["tokens"][-1]][token]),
                        token == eos_id,
                    )
                    for token in range(vocab_size)
                ]
            for new in more:
                heapq.heappush(heap, (new["score"], id(new), new))
                if len(heap) > beam_size:
                    heapq.heappop(heap)
        beam = [new for *_, new in heap]
    best = max(beam, key=lambda b: b["score"])
    return list(best["tokens"][1:]), best["score"]


def with_arrays(log_probabilities, beam_size, bos_id, eos_id, length_penalty):
    time, vocab_size, _ = log_probabilities.shape
    nothing = np.full(vocab_size, -np.inf)
    nothing[0] = 0  # one candidate, of any token, stands for what has ended
    totals, lengths = np.zeros(1), np.zeros(1, int)
    last, ended = np.array([bos_id]), np.array([False])
    written = np.full((1, time), -1)
    for t in range(time):
        more = np.where(ended[:, None], nothing, log_probabilities[t, last])
        lengths = lengths + ~ended
        every = totals[:, None] + more  # (beam, vocab)
        scores = every / ((5 + lengths[:, None]) / 6) ** length_penalty
        order = np.argsort(-scores, axis=None, kind="stable")[:beam_size]
        order = order[np.isfinite(scores.ravel()[order])]
        parent, token = np.unravel_index(order, scores.shape)
        written = written[parent]
        written[:, t] = np.where(ended[parent], -1, token)
        totals, lengths = every.ravel()[order], lengths[parent]
        last = np.where(ended[parent], last[parent], token)
        ended = ended[parent] | (token == eos_id) & ~ended[parent]
    scores = totals / ((5 + lengths) / 6) ** length_penalty
    best = scores.argmax()
    return written[best][: lengths[best]], scores[best]


def with_recursion(log_probabilities, beam_size, bos_id, eos_id, length_penalty):
    def penalty(n):
        return np.exp(length_penalty * (np.log(5 + n) - np.log(6)))

    def search(t, beam):
        if t == len(log_probabilities):
            return max(beam)
        new = []
        for score, ids in beam:
            if ids[-1:] == [eos_id]:
                new.append((score, ids))
            else:
                total = score * penalty(len(ids))
                row = log_probabilities[t, ([bos_id, *ids])[-1]]
                new += [
                    ((total + p) / penalty(len(ids) + 1), [*ids, i])
                    for i, p in enumerate(row.tolist())
                ]
        return search(t + 1, sorted(new)[-beam_size:])

    score, ids = search(0, [(0.0, [])])
    return ids, np.float32(score)


class Table:
    """Stands in for a model; one more token is padding."""

    def __init__(self, log_probabilities, bos_id, eos_id):
        time, vocab_size, _ = log_probabilities.shape
        rows = ((0, 0), (0, 1), (0, 1))
        self.table = tf.constant(np.pad(log_probabilities, rows, constant_values=-1e9))
        self.config = SimpleNamespace(
            pad_id=vocab_size, bos_id=bos_id, eos_id=eos_id, max_len=time, source_vocab_size=1
        )

    def start(self, source_ids, max_len):
        return source_ids[:, 0]

    def step(self, token_ids, state, position):
        return tf.gather(self.table[position], token_ids), state


def with_package(log_probabilities, beam_size, bos_id, eos_id, length_penalty):
    model = Table(log_probabilities, bos_id, eos_id)
    tf.config.run_functions_eagerly(True)  # each table would be compiled
    try:
        [ids], [score] = package_search(
            model,
            [[0]],
            beam_size=beam_size,
            max_len=len(log_probabilities),
            length_penalty=length_penalty,
            use_xla=False,
        )
    finally:
        tf.config.run_functions_eagerly(False)
    return ids[ids != model.config.pad_id], score


STYLES = {
    "heap": {"beam_search": with_heap},
    "arrays": {"beam_search": with_arrays},
    "recursion": {"beam_search": with_recursion},
    "package": {"beam_search": with_package},
}
