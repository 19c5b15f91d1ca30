"""What is published works where the repository is not."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow


def test_the_wheel_trains_and_writes_elsewhere(tmp_path):
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(tmp_path),
            str(ROOT),
        ],
        check=True,
    )
    wheel = next(tmp_path.glob("minitransformer-*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "minitransformer/py.typed" in names
    assert "minitransformer/__init__.pyi" in names
    for name in ("course", "mistakes", "forbidden", "exercises/attention"):
        assert f"minitransformer/coursework/{name}.toml" in names
    for name in ("gpt", "bert", "transformer", "lstm"):
        assert f"minitransformer/shipped/{name}/weights.safetensors" in names
        assert f"minitransformer/shipped/{name}/provenance.json" in names
    for path in (ROOT / "minitransformer" / "runs" / "bands").glob("*.json"):
        assert f"minitransformer/runs/bands/{path.name}" in names
    assert all(name.split("/")[0].startswith("minitransformer") for name in names)
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(site), str(wheel)],
        check=True,
    )
    for name in ("train_gpt", "generate"):
        shutil.copy(ROOT / "scripts" / f"{name}.py", tmp_path)
    text = tmp_path / "text"
    text.write_text("What is not there cannot be imported. " * 40)
    code = (
        "import sys, runpy, minitransformer\n"
        f"assert minitransformer.__file__.startswith({str(site)!r})\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    train = ["train_gpt.py", "--text", str(text), "--steps", "2", "--out", "run", "--max-len", "16"]
    write = ["generate.py", "--run", "shipped", "--prompt", "The ", "--max-new-tokens", "2"]
    for command in (train, write):
        result = subprocess.run(
            [sys.executable, "-c", code, *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(site)},
        )
        assert result.returncode == 0
    assert (tmp_path / "run" / "weights.safetensors").is_file()
