"""Start several workers of one command on this machine.

    python scripts/start_workers.py 2 scripts/train_gpt.py --out runs/two

Each gets a TF_CONFIG of its own and `--strategy multiworker`. On a cluster,
start the same command on every machine instead, with a TF_CONFIG that lists
the machines.
"""

import argparse
import json
import os
import socket
import subprocess
import sys


def free_ports(count):
    """Find ports that nobody listens at."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def environments(count):
    """Make each worker's environment, the chief's first."""
    workers = [f"localhost:{port}" for port in free_ports(count)]
    for index in range(count):
        config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        yield {**os.environ, "TF_CONFIG": json.dumps(config)}


def start(count, script, arguments, **options):
    """Start the workers; return their processes, the chief's first."""
    command = [sys.executable, script, *arguments, "--strategy", "multiworker"]
    return [
        subprocess.Popen(command, env=environment, **options) for environment in environments(count)
    ]


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int, help="number of workers")
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    flags = parser.parse_args(argv)
    if flags.count < 1:
        parser.error("count: give at least 1")
    processes = start(flags.count, flags.script, flags.arguments)
    while True:
        try:
            return max(process.wait() for process in processes)
        except KeyboardInterrupt:
            continue  # each worker has heard it, too, and saves


if __name__ == "__main__":
    sys.exit(main())
