"""Strategies: the same steps on several devices or several machines.

`tf.distribute` does the work. Every worker runs the same program; this file
starts them, and sums values over them.
"""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from minitransformer.runs.signals import ENDING

EXAMPLE = (
    '{"cluster": {"worker": ["localhost:7001", "localhost:7002"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Make the strategy that a flag names.

    Args:
        name: "one" (one device), "mirrored" (all GPUs of this machine),
            "multiworker" (the processes that `TF_CONFIG` lists; waits for
            all of them, and must come before any other use of TensorFlow)
            or "tpu".

    Raises:
        ValueError: if there is no such strategy or no TPU, `TF_CONFIG` is
            missing or wrong, or a worker does not come.
    """
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multiworker":
        wait_for_chief(*read_cluster(os.environ.get("TF_CONFIG")))
        # TensorFlow waits in C++, where Python receives no signal: let the
        # system end the process.
        before = [signal.signal(n, signal.SIG_DFL) for n in ENDING]
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (RuntimeError, tf.errors.OpError) as error:
            raise ValueError(
                "The workers of TF_CONFIG did not find each other: start "
                "all of them within a few minutes, and let no other "
                "program use their ports."
            ) from error
        finally:
            for number, handler in zip(ENDING, before, strict=True):
                signal.signal(number, handler)
    if name == "tpu":
        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
        except (ValueError, RuntimeError, tf.errors.OpError) as error:
            raise ValueError(
                "No TPU answers: run this on a TPU machine, or name one in "
                "the variable TPU_NAME."
            ) from error
        return tf.distribute.TPUStrategy(resolver)
    if name != "one":
        raise ValueError(
            f"strategy={name!r}: choose one, mirrored, multiworker or tpu."
        )
    return tf.distribute.get_strategy()


def read_cluster(text: str | None) -> tuple[int, list[str]]:
    """Check the value of `TF_CONFIG`.

    Returns:
        The number of this worker, and the addresses of all workers.

    Raises:
        ValueError: if the value is missing or wrong.
    """
    if not text:
        raise ValueError(
            "The variable TF_CONFIG is not set: give each worker its own, "
            f"such as {EXAMPLE}."
        )
    try:
        config = json.loads(text)
        workers = list(config["cluster"]["worker"])
        kind, index = config["task"]["type"], int(config["task"]["index"])
        hosts = [address.rpartition(":") for address in workers]
        whole = workers and all(h and p.isdigit() for h, _, p in hosts)
    except (LookupError, TypeError, ValueError, AttributeError):
        whole = False
    except RecursionError:
        whole = False
    if not whole:
        raise ValueError(
            f"TF_CONFIG cannot be read: it should look like {EXAMPLE}."
        )
    if set(config["cluster"]) != {"worker"} or kind != "worker":
        raise ValueError(
            'TF_CONFIG lists other tasks, expected only the type "worker": '
            "the first worker is the chief."
        )
    if not 0 <= index < len(workers):
        raise ValueError(
            f"TF_CONFIG says that this is worker {index}, but lists "
            f"{len(workers)}: their numbers are 0 to {len(workers) - 1}."
        )
    if len(set(workers)) < len(workers):
        raise ValueError("TF_CONFIG lists the same address twice.")
    for host, _, port in hosts:
        try:
            socket.getaddrinfo(host, int(port), socket.AF_INET)
        except (OSError, UnicodeError, OverflowError) as error:
            raise ValueError(
                f"TF_CONFIG lists {host[:40]}:{port[:9]}, which is no host "
                f"with an IPv4 address: {error}."
            ) from error
        if not 0 < int(port) < 2**16:
            raise ValueError(f"TF_CONFIG: {port[:9]} is no port.")
    return index, workers


def wait_for_chief(index: int, workers: Sequence[str]) -> None:
    """Print a line, and wait until the first worker listens.

    Raises:
        ValueError: if another program listens at this worker's address.
    """
    (chief, _, chief_port), (_, _, port) = (
        workers[i].rpartition(":") for i in (0, index)
    )
    try:
        socket.create_server(("", int(port))).close()
    except OSError as error:
        raise ValueError(
            f"Port {port} of this machine, which TF_CONFIG gives to worker "
            f"{index}, cannot be used ({error.strerror}): give another."
        ) from error
    others = ", ".join(workers[1:] if index == 0 else workers[:1])
    print(f"waiting for {others}", file=sys.stderr, flush=True)
    while index:
        try:
            socket.create_connection((chief, int(chief_port)), 1).close()
            return
        except OSError:
            time.sleep(0.2)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Tell whether this is the process that writes and reports."""
    resolver = strategy.cluster_resolver
    return not getattr(resolver, "task_id", None)


def sum_over_workers(
    strategy: tf.distribute.Strategy,
) -> Callable[[list], list]:
    """Make a function that adds up values over all workers.

    Returns:
        A function of a list of arrays, with the same shapes at all workers.
        It returns their sums to every worker. All must call it together.
    """
    multiworker = tf.distribute.MultiWorkerMirroredStrategy
    if not isinstance(strategy, multiworker):
        return lambda values: values
    devices = len(strategy.extended.worker_devices)  # of this worker

    @tf.function(autograph=False)
    def total(values):
        def one_replica():
            context = tf.distribute.get_replica_context()
            return context.all_reduce("sum", [v / devices for v in values])

        sums = strategy.run(one_replica)
        return [strategy.experimental_local_results(v)[0] for v in sums]

    return lambda values: total(
        [tf.constant(v, tf.float64) for v in values]
    )


def send_from_chief(
    strategy: tf.distribute.Strategy, variables: Sequence[keras.Variable]
) -> None:
    """Set all workers' variables to the chief's values.

    The other workers add zeros, so the sum is the chief's value.
    """
    if strategy.num_replicas_in_sync == 1:
        return
    factor = 1 if is_chief(strategy) else 0
    total = sum_over_workers(strategy)
    sums = total([v.numpy().astype("float64") * factor for v in variables])
    for variable, value in zip(variables, sums, strict=True):
        variable.assign(tf.cast(value, variable.dtype))
