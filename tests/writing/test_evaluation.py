import importlib.util

import pytest

from minitransformer import corpus_bleu, exact_match
from scripts.evidence.tatoeba import by_source_length


def test_exact_match_is_letter_by_letter():
    assert exact_match(["a b", "c", "d "], ["a b", "c", "d"]) == pytest.approx(2 / 3)
    for wrong in (([], []), (["a"], ["a", "b"])):
        with pytest.raises(ValueError, match="one reference per translation"):
            exact_match(*wrong)


def test_bleu_is_sacrebleus_over_the_whole_corpus():
    pytest.importorskip("sacrebleu")
    references = ["the cat sat on the mat today", "it rains in the north"]
    assert corpus_bleu(references, references) == pytest.approx(100)
    assert corpus_bleu(["a b c d e", "f g h i j"], references) < 5
    half = [references[0], "it snows in the south"]
    assert 20 < corpus_bleu(half, references) < 90


def test_without_sacrebleu_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install sacrebleu"):
        corpus_bleu(["a"], ["a"])


def test_short_and_long_sentences_are_measured_separately():
    sources = ["a", "a b", "a b c", "a b c d", "a b c d e"]
    ours, theirs = ["x", "y", "z", "w", "v"], ["x", "-", "z", "w", "v"]
    assert by_source_length(sources, ours, theirs, exact_match, [2, 4]) == [
        (2, 2, 0.5),
        (4, 2, 1.0),
    ]
    assert by_source_length(sources[:2], ours[:2], theirs[:2], exact_match, [4, 9]) == [(4, 2, 0.5)]


@pytest.mark.parametrize("measure", [exact_match, corpus_bleu])
def test_a_string_is_no_list_of_translations(measure):
    for translations, references, message in (
        ("cat", "cat", "translations is one string"),
        (["cat"], "cat", "references is one string"),
        (["cat"], [["cat"]], "references has list"),
        ([None], ["cat"], "translations has NoneType"),
    ):
        with pytest.raises(TypeError, match=message):
            measure(translations, references)
