"""Verdicts on mistakes that are not known by name."""

import ast

import numpy as np
import pytest

from minitransformer.coursework.compare import difference, marked, same
from minitransformer.coursework.exercise import Mistake, find_task, make_mistake, read_course
from minitransformer.coursework.judge import Ended, Verdict, first_difference, judge
from minitransformer.coursework.variants import edit, outcome, right_functions, wrong_functions

TASKS = read_course()
TASK = find_task(TASKS, "02")
ATTENTION = "scaled_dot_product_attention"


def right(query, key, value, mask):
    return right_functions(TASK)[ATTENTION](query, key, value, mask)


def verdict_on(function, task=TASK):
    def ask(call):
        args = {k: np.array(v) for k, v in call.args.items()}
        result = outcome({ATTENTION: function}, type(call)(call.function, args))
        changed = any((args[k] != call.args[k]).any() for k in args)
        return result | {"mutated": changed}

    return judge(task, ask, 5)


def test_a_shape_is_told_with_the_names_of_its_axes():
    def exchanged(query, key, value, mask):
        output, weights = right(query, key, value, mask)
        return np.swapaxes(output, 1, 2), weights

    verdict = verdict_on(exchanged)
    assert not verdict.right
    assert "output has shape" in verdict.headline
    assert "heads and query are exchanged" in verdict.headline


def test_another_number_of_axes_or_results_is_told():
    verdict = verdict_on(lambda **k: (right(**k)[0][0], right(**k)[1]))
    assert "3 axes, not 4" in verdict.headline
    verdict = verdict_on(lambda **k: right(**k)[0])
    assert "expected 2 results: output, weights" in verdict.headline
    assert "the result is None" in verdict_on(lambda **k: None).headline


def test_another_kind_of_numbers_is_told():
    def whole(query, key, value, mask):
        output, weights = right(query, key, value, mask)
        return output, (weights > 0.5)

    assert "weights holds bools, expected floats" in verdict_on(whole).headline


def test_the_place_of_the_first_nan_is_told():
    def broken(query, key, value, mask):
        output, weights = right(query, key, value, mask)
        output = output.copy()
        output[..., -1, 0] = np.nan
        return output, weights

    verdict = verdict_on(broken)
    assert "output holds NaN, first at batch 0, heads 0, query 0" in verdict.headline


def test_a_broken_property_is_told_with_a_counter_example():
    def leaking(query, key, value, mask):
        output, weights = right(query, key, value, mask)
        return output + 0.1 * value.mean(axis=2, keepdims=True), weights

    verdict = verdict_on(leaking)
    assert "a masked key is not read" in verdict.headline
    assert "changing the value of key 2" in verdict.headline


def test_what_breaks_no_property_is_drawn_with_the_wrong_cells_marked():
    def nearly(query, key, value, mask):
        output, weights = right(query, key, value, mask)
        return output * 1.25, weights

    verdict = verdict_on(nearly)
    assert f"{ATTENTION}: output is wrong, first at batch 0" in verdict.headline
    assert any("*" in line for line in verdict.lines)


def test_a_drawing_marks_the_wrong_cells_alone():
    a = np.arange(6.0).reshape(1, 2, 3)
    b = a.copy()
    b[0, 1, 2] = 9
    yours, below, *expected = marked(a, b)
    assert yours.count("*") == 0
    assert below.rstrip().endswith("9*")
    assert not any("*" in line for line in expected)


def test_a_drawing_of_a_large_array_is_where_the_first_wrong_cell_is():
    a = np.zeros((3, 20, 30))
    b = a.copy()
    b[1, 17, 9] = 7
    title, *yours = marked(a, b)
    assert title == "rows from 16, columns from 8"
    assert sum(line.count("7*") for line in yours) == 1
    assert len(yours) == 2 * (20 - 16)


def test_changed_arguments_are_told_though_the_results_are_right():
    def careless(query, key, value, mask):
        result = right(query, key, value, mask)
        key *= 0
        return result

    verdict = verdict_on(careless)
    assert not verdict.right
    assert "changes its arguments" in verdict.headline


def test_an_exception_is_told_and_a_stub_is_no_mistake():
    def stub(**_):
        raise NotImplementedError

    def broken(**_):
        raise IndexError("index 7 is out of bounds")

    assert verdict_on(stub).headline == f"{ATTENTION} is not written yet"
    verdict = verdict_on(broken)
    assert "IndexError" in verdict.headline
    assert "index 7" in verdict.text


def test_two_mistakes_are_named_together():
    first, second = (
        mistake
        for mistake in TASK.exercise.mistakes
        if mistake.name in ("no scaling", "a masked score is 0")
    )
    functions = wrong_functions(TASK, first, second)
    verdict = verdict_on(functions[ATTENTION])
    assert verdict.headline == "no scaling; a masked score is 0"
    assert verdict.text == f"{first.why} {second.why}"


def test_a_list_of_another_length_is_shown_whole():
    task = next(task for task in TASKS if task.name == "byte_pairs")
    functions = dict(right_functions(task))
    encode = functions["encode"]
    functions["encode"] = lambda text, merges: [*encode(text, merges), 7]
    verdict = judge(task, lambda call: outcome(functions, call), 1)
    assert "encode" in verdict.headline or "decode" in verdict.headline
    assert "shape" not in verdict.headline


def test_an_accident_is_no_known_mistake():
    task = next(task for task in TASKS if task.name == "layer_norm")
    answer = {"error": "TypeError", "text": "no argument 'gain'"}
    verdict = judge(task, lambda call: answer, 1)
    assert verdict.headline == "TypeError in layer_norm"
    assert verdict.text == "no argument 'gain'"


def test_a_list_that_no_array_holds_is_no_array():
    task = next(task for task in TASKS if task.name == "one_query")
    huge = ["x" * 10**7, *[""] * 100_000]
    verdict = judge(task, lambda call: {"value": (huge, 1.0)}, 1)
    assert "expected an array of numbers" in verdict.headline


def test_an_end_is_told():
    def ask(call):
        raise Ended("no answer after 20 s")

    assert judge(TASK, ask, 1).headline == "no answer after 20 s"


def test_slow_loops_are_noted_and_cost_nothing(monkeypatch):
    def ask(call):
        result = outcome(right_functions(TASK), call)
        return result | {"mutated": False, "seconds": 3.0}

    verdict = judge(TASK, ask, 1)
    assert verdict.right
    assert "It is right, but slow: it takes 3 s" in verdict.note


def test_a_large_question_too_much_for_a_right_answer_costs_nothing():
    large = TASK.exercise.slow(np.random.default_rng(1))

    def ask(call):
        if call.args["query"].size == large.args["query"].size:
            raise Ended("no answer after 20 s")
        result = outcome(right_functions(TASK), call)
        return result | {"mutated": False, "seconds": 0.01}

    verdict = judge(TASK, ask, 1)
    assert verdict.right
    assert "slow on a large input" in verdict.note


def test_a_verdict_quotes_nothing_that_a_terminal_would_obey():
    verdict = Verdict(False, "two\nlines \x1b[31m\ud800", "a\nb\x07", lines=["\x1b[2J"])
    assert verdict.headline == "two lines [31m"
    assert verdict.text == "a\nb"
    assert verdict.lines == ["[2J"]
    assert len(Verdict(False, "x" * 10_000).headline) == 500


def test_integers_where_no_number_is_expected_are_of_the_right_kind():
    assert difference([], [1, 2], {"ids": "token"}) is None
    assert "holds floats" in difference([1], [1.5, 2.0], {"ids": "token"})


def test_what_should_be_refused_is_told():
    task = next(task for task in TASKS if task.name == "positions")

    def ask(call):
        try:
            return {"value": right_functions(task)[call.function](**call.args)}
        except ValueError:
            return {"value": np.zeros((2, 3), "float32")}

    verdict = judge(task, ask, 1)
    assert "accepts what it should refuse" in verdict.headline


@pytest.mark.parametrize(
    ("a", "b", "alike"),
    [
        (np.float32([1, 2]), [1.0, 2.0], True),
        (np.float32([1, 2]), [1.0, 2.1], False),
        (np.float32([1, 2]), [1, 2], False),
        (np.array([1, 2]), [1, 2], True),
        (np.array([50_000]), [50_001], False),
        (np.array([True]), [1], False),
        (np.float32([np.nan]), [float("nan")], True),
        (np.float32(0.5), 0.5, True),
        ("ab", "ab", True),
        ("ab", "ac", False),
        ("ab", 3, False),
        ([], [], True),
        ([(1, 2)], np.array([[1, 2]]), True),
        ((1.0, 2.0), [1.0, 2.0], True),
        ((1.0, 2.0), (1.0,), False),
        ([1, 2], [[1], [2, 3]], False),
    ],
)
def test_values_are_compared_by_what_they_hold(a, b, alike):
    assert same({"value": a}, {"value": b}) is alike


def test_an_error_is_like_an_error_of_its_kind():
    assert same({"error": "ValueError"}, {"error": "ValueError"})
    assert not same({"error": "ValueError"}, {"error": "TypeError"})
    assert not same({"error": "ValueError"}, {"value": 1})
    assert not same({"value": 1}, {"error": "ValueError"})


def first_mistake(name, *edits):
    """Give a task, and a mistake of these edits."""
    task = next(task for task in TASKS if task.name == name)
    return task, Mistake("odd", list(edits), "", "")


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (["nowhere", "1"], "has 0 times, expected 1"),
        (["scores", "1"], "times, expected 1"),
        (["scores", "1", 99], "times, expected 99"),
        (["1 +", "1"], "invalid syntax"),
        (["a = 1; b = 2", "1"], "is not one statement"),
        (["scores", "a = 1"], "has 0 times"),
    ],
)
def test_a_mistake_that_does_not_fit_the_answer_is_refused(edit, problem):
    task, mistake = first_mistake("one_query", edit)
    with pytest.raises(ValueError, match=problem):
        wrong_functions(task, mistake)


def test_an_edit_fits_however_the_answer_is_written():
    tree = ast.parse("def f(x):\n  return (g( x,[ 'a' ], ) # why\n  + 1)\n")
    _, mistake = first_mistake("one_query", ['g(x, ["a"])', "h(x)"])
    edit(tree, mistake)
    assert ast.unparse(tree) == "def f(x):\n    return h(x) + 1"


def test_edits_of_a_mistake_are_made_at_once():
    tree = ast.parse("keys = w(a)\nvalues = w(b)")
    _, mistake = first_mistake("one_query", ["w(a)", "w(b)"], ["w(b)", "w(a)"])
    edit(tree, mistake)
    assert ast.unparse(tree) == "keys = w(b)\nvalues = w(a)"


def test_a_mistake_without_a_reason_must_be_a_shared_one():
    with pytest.raises(ValueError, match="expected edits, why"):
        make_mistake("x.toml", "odd", {"edits": []})


def test_lots_and_fates_are_told_where_they_decide():
    task = next(task for task in TASKS if task.name == "bert_masking")

    call = list(task.exercise.calls(np.random.default_rng(1)))[-1]
    right = outcome(right_functions(task), call)
    inputs, *others = right["value"]
    wrong = {"value": (np.where(np.arange(inputs.shape[1]) == 2, 99, inputs), *others)}
    outputs = task.exercise.functions["mask_tokens"]
    _, lines = first_difference(call, right, wrong, outputs)
    lot, fate = (call.args[name][0, 2] for name in ("lots", "fates"))
    assert f"there {lot:.3g}" in lines[0]
    assert f"there {fate:.3g}" in lines[0]
