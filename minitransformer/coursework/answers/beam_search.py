"""Beam search: keep several hypotheses; the best may begin badly."""


def beam_search(
    log_probabilities, beam_size, bos_id, eos_id, length_penalty
):
    """Find a likely sentence, token by token.

    A hypothesis is a row of n tokens. bos_id, which stands before the
    first, is not one of them; eos_id, which ends a sentence, is.

        score = sum of the tokens' log-probabilities / penalty(n)
        penalty(n) = ((5 + n) / 6) ^ length_penalty

    At first there is a single, empty hypothesis. Then, at each step t
    from 0 to time − 1:

    1. Each hypothesis that was kept makes candidates. If it has not
       ended, these are the hypothesis followed by each token of the
       vocabulary. If it has ended, it is a candidate itself, as it is.
    2. All candidates compete by their scores, each with the penalty of
       its own n. The best `beam_size` are kept, or all, if there are
       fewer.

    What has ended keeps its place in the beam as long as it is among the
    best. The result is what has the best score after the last step,
    whether it has ended or not.

    Args:
        log_probabilities: Floats `(time, vocab, vocab)`, finite:
            `[t, previous, next]` is the logarithm of the probability of
            the token `next` at step t, behind the token `previous`; at
            step 0 that is bos_id.
        beam_size: How many hypotheses are kept, at least 1.
        bos_id, eos_id: Two different ids. bos_id may be predicted, and
            then is a token like others.
        length_penalty: A number, 0 or more.

    Returns:
        ids: A list of integers, at most `time`: without the first bos_id,
            with eos_id if the sentence has ended, nothing behind it.
        score: A float, its score.

    No two scores that are compared are equal.
    """

    def score(hypothesis):
        ids, total = hypothesis
        return total / ((5 + len(ids)) / 6) ** length_penalty

    beam: list = [([], 0.0)]
    for step in log_probabilities:
        candidates = []
        for ids, total in beam:
            if ids and ids[-1] == eos_id:
                candidates.append((ids, total))
                continue
            row = step[ids[-1] if ids else bos_id]
            for token, more in enumerate(row):
                candidates.append(([*ids, token], total + float(more)))
        beam = sorted(candidates, key=score, reverse=True)[:beam_size]
    best = max(beam, key=score)
    return best[0], score(best)
