import io
import subprocess
import sys

from rich.console import Console

from minitransformer.learning.training import Row
from minitransformer.runs.progress import TrainingProgress


def report(terminal):
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100)
    with TrainingProgress(2000, console=console) as progress:
        for step, valid in ((10, None), (20, 1.5), (2000, 1.25)):
            row = Row(step, 2.0, valid, 1e-3, 1.0, 9999.0, 5.0)
            progress.report(row)
    return text.getvalue()


def test_without_a_terminal_only_validations_are_printed_in_plain_text():
    text = report(terminal=False)
    assert "\x1b" not in text
    lines = text.splitlines()
    assert len(lines) == 3
    assert "20/2,000" in lines[1]
    assert "validation 1.5000" in lines[1]
    assert "9,999 tokens/s" in lines[1]
    assert "left" in lines[1]
    assert "left" not in lines[2]


def test_in_a_terminal_a_line_is_alive():
    assert "\x1b" in report(terminal=True)


def test_importing_is_quiet_and_a_failure_is_not():
    code = (
        "from minitransformer.runs.progress import quiet_import\n"
        "import os\n"
        "with quiet_import():\n"
        "    os.write(2, b'noise')\n"
        "    {}\n"
    )
    for line, shown in (("pass", False), ("1 / 0", True)):
        result = subprocess.run(
            [sys.executable, "-c", code.format(line)], capture_output=True, text=True
        )
        assert ("noise" in result.stderr) is shown
