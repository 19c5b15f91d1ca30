"""Beam search: keep several hypotheses, since the best may begin badly."""


def beam_search(
    log_probabilities, beam_size, bos_id, eos_id, length_penalty
):
    """Find a likely sentence, token by token.

    A hypothesis is a list of n tokens. Its eos_id counts as one of them;
    bos_id, which comes before the first token, does not.

        score = sum of the tokens' log-probabilities / penalty(n)
        penalty(n) = ((5 + n) / 6) ^ length_penalty

    The search starts with one empty hypothesis. At each step t from 0 to
    time − 1:

    1. Each hypothesis makes candidates. An unfinished one makes one
       candidate per token of the vocabulary: itself, followed by this
       token. A finished one, which ends with eos_id, is a candidate
       as it is.
    2. All candidates compete by their scores, each with the penalty of
       its own n. The best `beam_size` are kept, or all, if there are
       fewer.

    So a finished hypothesis keeps its place while it is among the best.
    The result is the hypothesis with the best score after the last step,
    finished or not.

    Args:
        log_probabilities: Floats `(time, vocab, vocab)`, finite:
            `[t, previous, next]` is the log-probability of the token
            `next` at step t, after the token `previous`. At step 0 the
            previous token is bos_id.
        beam_size: How many hypotheses are kept, at least 1.
        bos_id, eos_id: Two different ids. If bos_id is predicted, it is
            a token like any other.
        length_penalty: A number, 0 or more.

    Returns:
        ids: A list of at most `time` integers, without the first bos_id.
            If the sentence has ended, eos_id is the last one.
        score: A float, the score of these ids.

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
