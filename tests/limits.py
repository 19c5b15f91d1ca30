"""Limits on the time and the memory of what a test does."""

import contextlib
import signal

import pytest

SECONDS, MEGABYTES = 10, 1500
needs_alarm = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs an alarm")


@contextlib.contextmanager
def limits():
    """Fail what takes more than ten seconds, or 1.5 GB."""
    import resource

    def used():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000

    def too_late(*_):
        pytest.fail(f"it did not end within {SECONDS} s")

    before, old = used(), signal.signal(signal.SIGALRM, too_late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    assert used() - before < MEGABYTES, f"it took {used() - before:.0f} MB"
