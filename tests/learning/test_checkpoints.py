import keras
import numpy as np
import pytest

from minitransformer import Checkpoints


@pytest.fixture
def state():
    return [keras.Variable(np.zeros((2, 3))), keras.Variable(0, dtype="int64")]


def fill(state, value):
    for variable in state:
        variable.assign(np.full(variable.shape, value))


def save_steps(folder, state, *steps):
    checkpoints = Checkpoints(folder, state)
    for step in steps:
        fill(state, step)
        checkpoints.save(step)
    fill(state, -1)
    return checkpoints


def test_the_newest_state_comes_back_and_two_are_kept(tmp_path, state):
    checkpoints = save_steps(tmp_path, state, 10, 20, 30)
    assert [step for step, _ in checkpoints.files()] == [30, 20]
    assert Checkpoints(tmp_path, state).restore() == 30
    assert [int(np.max(v)) for v in state] == [30, 30]


def test_without_a_checkpoint_it_is_step_0_and_nothing_is_set(tmp_path, state):
    fill(state, 5)
    assert Checkpoints(tmp_path / "new", state).restore() == 0
    assert int(state[1]) == 5


def test_a_damaged_file_is_found_and_the_previous_one_is_used(tmp_path, state):
    checkpoints = save_steps(tmp_path, state, 10, 20)
    path = checkpoints.files()[0][1]
    whole = path.read_bytes()
    for place in (0, 4, 8, 60, len(whole) // 2, len(whole) - 1):
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF
        for data in (whole[:place], bytes(flipped)):
            path.write_bytes(data)
            fill(state, -1)
            with pytest.warns(UserWarning, match="damaged"):
                assert checkpoints.restore() == 10
            assert int(state[1]) == 10
    path.write_bytes(whole)
    assert checkpoints.restore() == 20


def test_a_checkpoint_of_another_model_is_not_loaded(tmp_path, state):
    save_steps(tmp_path, state, 10)
    other = [keras.Variable(np.zeros((3, 2))), state[1]]
    with pytest.warns(UserWarning, match="another model"):
        assert Checkpoints(tmp_path, other).restore() == 0


def test_a_full_disk_leaves_the_last_good_one(tmp_path, state, monkeypatch):
    checkpoints = save_steps(tmp_path, state, 10, 20)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(30)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-00000010.safetensors",
        "step-00000020.safetensors",
    ]
    assert checkpoints.restore() == 20


def test_a_stop_between_regular_states_changes_none_of_them(tmp_path, state):
    checkpoints = Checkpoints(tmp_path, state, keep=3, every=30)
    for step in (30, 60, 90, 100):  # stopped at 100
        checkpoints.save(step)
    assert [step for step, _ in checkpoints.files()] == [100, 90, 60]
    checkpoints.save(120)
    assert [step for step, _ in checkpoints.files()] == [120, 90, 60]
    checkpoints.save(130)  # the last step of all
    assert [step for step, _ in checkpoints.files()] == [130, 120, 90]


def test_without_a_whole_state_there_is_no_mean(tmp_path, state):
    with pytest.raises(ValueError, match="no checkpoint"):
        Checkpoints(tmp_path, state).average(state)


def test_only_the_weights_of_the_kept_states_are_averaged(tmp_path, state):
    checkpoints = Checkpoints(tmp_path, state, keep=3)
    for step in (10, 20, 30, 70):
        fill(state, step)
        checkpoints.save(step)
    assert [step for step, _ in checkpoints.files()] == [70, 30, 20]
    fill(state, -1)
    checkpoints.average(state[:1])
    assert int(state[1].numpy()) == -1
    np.testing.assert_array_equal(state[0], np.full((2, 3), 40))
    checkpoints.files()[0][1].write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="is not used"):
        checkpoints.average(state[:1])
    np.testing.assert_array_equal(state[0], np.full((2, 3), 25))
