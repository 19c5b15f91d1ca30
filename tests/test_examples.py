"""The examples in docstrings print what they say."""

import doctest
import importlib

import pytest

MODULES = [
    "masks",
    "positions",
    "multi_head",
    "tokenizers.bpe",
    "tokenizers.characters",
    "tokenizers.merges",
    "tokenizers.wordpiece",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_print_what_they_say(name):
    module = importlib.import_module(f"minitransformer.{name}")
    result = doctest.testmod(module)  # prints what is wrong
    assert result.attempted
    assert not result.failed
