"""Start several workers of one command on this machine.

    python scripts/start_workers.py 2 scripts/train_gpt.py --recipe nanogpt --out runs/two

Each worker gets a TF_CONFIG of its own and `--strategy multiworker`. On a
cluster, start the same command on every machine instead, with a TF_CONFIG that
lists the machines.
"""

if __name__ == "__main__":
    from minitransformer.runs.signals import begin

    begin()

import argparse
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from minitransformer.runs.commands import say
from minitransformer.runs.flags import Parser, up_to
from minitransformer.runs.signals import ENDING


def free_ports(count):
    """Find ports that are free."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def environments(count):
    """Make the environment of each worker, the chief's first."""
    workers = [f"localhost:{port}" for port in free_ports(count)]
    for index in range(count):
        config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        yield {**os.environ, "TF_CONFIG": json.dumps(config)}


def end_with_parent():
    """Get SIGTERM when the launcher ends, even by `kill -9`: Linux only."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def start(count, script, arguments, **options):
    """Start the workers; return their processes, the chief's first."""
    command = [sys.executable, script, *arguments, "--strategy", "multiworker"]
    if sys.platform == "linux":
        options["preexec_fn"] = end_with_parent
    return [
        subprocess.Popen(command, env=environment, **options) for environment in environments(count)
    ]


def keep_to_this_machine():
    """Let only these processes reach the workers' ports.

    TensorFlow listens on all addresses. On Linux the launcher moves itself
    and its workers into a network of their own that has only a loopback.
    """
    libc, user, group = ctypes.CDLL(None, use_errno=True), os.getuid(), os.getgid()
    if libc.unshare(0x50000000 if user else 0x40000000):  # CLONE_NEWUSER, CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "unshare")
    if user:  # files belong to the same user as before
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as loopback:
        up = struct.pack("16sh14x", b"lo", 1)  # IFF_UP
        fcntl.ioctl(loopback, 0x8914, up)  # SIOCSIFFLAGS


def main(argv=None):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=up_to(64), help="number of workers")
    parser.add_argument("script", help="the program that each worker runs")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    flags = parser.parse_args(argv)
    if not Path(flags.script).is_file():
        parser.error(f"there is no script {flags.script}: give the path of one")
    try:
        keep_to_this_machine()
    except (OSError, AttributeError):
        say("warning: TensorFlow's workers listen on all addresses of this machine.")
    processes, received, began = [], [], time.monotonic()

    def forward(number, frame=None):
        received.append(number)
        if time.monotonic() - began < 2:  # Python is starting: Ctrl-C would
            number = signal.SIGTERM  # show a traceback
        for process in processes:
            process.send_signal(number)

    # The workers' own session gets no Ctrl-C: only `forward` sends it.
    for ending in ENDING:
        signal.signal(ending, forward)
    processes += start(flags.count, flags.script, flags.arguments, start_new_session=True)
    if received:  # while they were being started
        forward(received[0])
    codes = [process.wait() for process in processes]
    if received:
        return 128 + received[0]
    return max(code if code >= 0 else 128 - code for code in codes)


if __name__ == "__main__":
    sys.exit(main())
