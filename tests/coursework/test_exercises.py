"""Each known mistake is named, and no right answer is."""

import ast
import importlib.util
import re

import numpy as np
import pytest
from conftest import ROOT

from minitransformer.coursework.compare import same
from minitransformer.coursework.exercise import COURSE, read_course
from minitransformer.coursework.folder import stub
from minitransformer.coursework.judge import judge
from minitransformer.coursework.variants import (
    combinations,
    outcome,
    right_functions,
    wrong_functions,
)
from scripts.book import coursework_pages

TASKS = read_course()
CHECKED = [task for task in TASKS if not task.exercise.rubric]
OPEN = [task for task in TASKS if task.exercise.rubric]
MISTAKES = [(task, mistake) for task in CHECKED for mistake in task.exercise.mistakes]


def name(value):
    return getattr(value, "name", None)


def verdict_on(task, functions, seed):
    return judge(task, lambda call: outcome(functions, call), seed)


def styles(task):
    path = ROOT / "tests" / "coursework" / "styles" / f"{task.name}.py"
    spec = importlib.util.spec_from_file_location(f"style_{task.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.STYLES


def test_the_course_is_as_large_as_promised():
    assert len(CHECKED) >= 16
    assert len(OPEN) == 3
    assert len(MISTAKES) >= 80
    assert not [task.name for task in CHECKED if not task.points]
    assert not [task.name for task in OPEN if task.points]
    names = {path.stem for path in (COURSE.parent / "exercises").glob("*.toml")}
    assert {task.name for task in TASKS} == names


@pytest.mark.parametrize("task", CHECKED, ids=name)
def test_the_answer_is_right_for_any_seed(task):
    for seed in range(12):
        verdict = verdict_on(task, right_functions(task), seed)
        assert verdict.right, verdict


@pytest.mark.parametrize(("task", "mistake"), MISTAKES, ids=name)
def test_a_known_mistake_is_named(task, mistake):
    functions = wrong_functions(task, mistake)
    for seed in (1, 2, 2026):
        verdict = verdict_on(task, functions, seed)
        assert verdict.mistakes == (mistake,), verdict
        assert mistake.why in verdict.text


@pytest.mark.slow
@pytest.mark.parametrize("task", CHECKED, ids=name)
def test_two_mistakes_together_are_named_unless_one_hides_the_other(task):
    for pair in combinations(task):
        if len(pair) == 1:
            continue
        functions = wrong_functions(task, *pair)
        calls = list(task.exercise.calls(np.random.default_rng(1)))
        if not any("value" in outcome(functions, call) for call in calls):
            continue  # it does nothing but fail
        found = verdict_on(task, functions, 1).mistakes
        if found != pair:
            # Then what was named gives the very same answers.
            assert found, [mistake.name for mistake in pair]
            for call in calls:
                assert same(outcome(wrong_functions(task, *found), call), outcome(functions, call))


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(task, marks=[pytest.mark.slow] if task.name in ("gpt", "cache") else [])
        for task in CHECKED  # a whole GPT and its cache take seconds
    ],
    ids=name,
)
def test_right_answers_in_other_styles_raise_no_alarm(task):
    others = styles(task)
    assert len(others) >= 3
    for style, functions in others.items():
        assert functions.keys() == task.exercise.functions.keys()
        for seed in (1, 2, 2026):
            verdict = verdict_on(task, functions, seed)
            assert verdict.right, f"{style}: {verdict}"


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_a_stub_is_the_answer_without_its_lines(task):
    text, answer = stub(task), task.answer_path.read_text("utf-8")
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert [f.name for f in functions] == list(task.exercise.functions)
    for function in functions:
        documented, raised = function.body
        assert ast.unparse(raised) == "raise NotImplementedError"
        assert ast.get_source_segment(text, documented) in answer
    assert max(map(len, text.splitlines())) <= 76


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_an_exercise_has_a_goal_hints_and_pages_that_exist(task):
    exercise = task.exercise
    assert exercise.goal
    assert exercise.goal.endswith((".", "?"))
    assert len(exercise.hints) >= 2
    for page in {exercise.page, *(m.page for m in exercise.mistakes)}:
        assert (ROOT / "docs" / page.partition("#")[0]).is_file(), page
    names = [mistake.name for mistake in exercise.mistakes]
    assert len(names) == len(set(names))
    assert not any(";" in name for name in names)  # it joins two
    assert bool(exercise.rubric) != bool(exercise.mistakes)


@pytest.mark.parametrize("task", TASKS, ids=name)
def test_a_page_links_to_what_to_read_first_and_is_found_by_the_search(task):
    page = coursework_pages.exercise_page(task)
    link = re.search(r"^- \*\*Read first:\*\* \[.+?\]\((.+)\)$", page, re.M)[1]
    assert link == f"../{task.exercise.page}"
    assert "exclude" not in page.partition("# ")[0]


@pytest.mark.parametrize("task", CHECKED, ids=name)
def test_properties_hold_for_the_right_answer(task):
    functions = right_functions(task)
    assert task.exercise.properties

    def ask(function, **args):
        return functions[function](**args)

    for rule in task.exercise.properties:
        for seed in range(5):
            for broken in rule.broken(ask, np.random.default_rng(seed)):
                pytest.fail(f"{rule.name}: {broken}")
