"""The cluster is checked, and every mistake in it gets one sentence."""

import json
import socket
from types import SimpleNamespace

import pytest
import tensorflow as tf

from minitransformer.learning.strategies import (
    is_chief,
    make_strategy,
    read_cluster,
    send_from_chief,
    sum_over_workers,
    wait_for_chief,
)

TWO = ["localhost:7001", "localhost:7002"]


def cluster(index=0, workers=TWO, kind="worker", **others):
    return json.dumps(
        {"cluster": {"worker": workers, **others}, "task": {"type": kind, "index": index}}
    )


def test_a_whole_cluster_is_read():
    assert read_cluster(cluster(index=1)) == (1, TWO)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "TF_CONFIG is not set"),
        ("", "TF_CONFIG is not set"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"cluster": {"worker": ["a:1"]}}', "cannot be read"),
        (cluster(workers=[]), "cannot be read"),
        (cluster(workers=["localhost"]), "cannot be read"),
        (cluster(index="first"), "cannot be read"),
        (cluster(index=2), "worker 2, but lists 2"),
        (cluster(index=-1), "worker -1"),
        (cluster(kind="chief"), "other tasks"),
        (cluster(ps=["localhost:7003"]), "other tasks"),
        (cluster(workers=["a:1", "a:1"]), "same address twice"),
        (cluster(workers=["[::1]:7001"]), "no host with an IPv4"),
        (cluster(workers=["no-such-host.invalid:7001"]), "no host with an IPv4"),
        (cluster(workers=["localhost:70000"]), "70000"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_wrong_cluster_gives_one_sentence(text, message, monkeypatch):
    with pytest.raises(ValueError, match=message) as caught:
        read_cluster(text)
    assert "\n" not in str(caught.value)
    # The strategy refuses before it waits for anybody.
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=message):
        make_strategy("multiworker")


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"Port {port} .*give another"):
            wait_for_chief(0, [f"localhost:{port}", "localhost:1"])


def test_a_worker_prints_whom_it_waits_for(capsys):
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    with socket.create_server(("localhost", 0)) as chief:
        address = f"localhost:{chief.getsockname()[1]}"
        wait_for_chief(1, [address, f"localhost:{port}"])
    assert f"waiting for {address}" in capsys.readouterr().err


def test_no_tpu_gives_one_sentence(monkeypatch):
    class Nowhere:
        def __init__(self):
            raise ValueError("please provide a TPU name")

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", Nowhere)
    with pytest.raises(ValueError, match="No TPU answers"):
        make_strategy("tpu")


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match="one, mirrored, multiworker"):
        make_strategy("many")


def test_the_first_worker_is_the_chief():
    for index, chief in ((0, True), (1, False)):
        resolver = SimpleNamespace(task_id=index)
        assert is_chief(SimpleNamespace(cluster_resolver=resolver)) is chief


def test_one_process_is_its_own_chief_and_sums_nothing():
    for name in ("one", "mirrored"):
        strategy = make_strategy(name)
        assert is_chief(strategy)
        assert sum_over_workers(strategy)([3.0]) == [3.0]
        variable = tf.Variable([1.0, 2.0])
        send_from_chief(strategy, [variable])
        assert variable.numpy().tolist() == [1, 2]
