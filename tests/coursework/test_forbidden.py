"""Names are followed to their origin; only those of a library are forbidden."""

import os

import pytest

from minitransformer.coursework.checking import check_exercise
from minitransformer.coursework.exercise import find_task, read_course
from minitransformer.coursework.forbidden import UNREAD, forbidden_names, used_names

OWN = {
    "e02_attention.py": "def scaled_dot_product_attention(): pass",
    "pieces.py": "class Attention: pass",
    "lib/core.py": "class Attention: pass",
}
CLASS = "class A:\n  def f(self, x): return "
RIGHT = [
    CLASS + "self.layer_normalization(x)",
    CLASS + "self.scaled_dot_product_attention(x)",
    CLASS + "self.sparse_categorical_crossentropy(x)",
    "import e02_attention as e2\ne2.scaled_dot_product_attention(1)",
    "import importlib as i\ni.import_module('e02_attention').scaled_dot_product_attention",
    "import pieces as P\nP.Attention(1)",
    "from pieces import Attention as A\nA()",
    "from numpy import *\nfrom e02_attention import *\nscaled_dot_product_attention(1)",
    "import sys\nsys.path.append('lib')\nimport core\ncore.Attention()",
    "from lib.core import Attention",
    "def f(model): return model.MultiHeadAttention",
    "GPT = {'Attention': 1}\nGPT['Attention']",
    "import keras\nself.Attention = keras.layers.Dense(1)\nself.Attention.call",
    "import tensorflow as tf\ntf.nn.softmax(1), tf.nn.gelu(1)",
    "from minitransformer.coursework.checking import check_here\ncheck_here('01')",
    "import minitransformer.coursework.checking as c\nc.check_here('01')",
    "a" + ".b" * 900,
]
WRONG = [
    "import keras\nkeras.layers.MultiHeadAttention(1, 2)",
    "import keras\r\nkeras.layers.Attention()\r\n",
    "\ufeffimport keras\nkeras.layers.Attention()",
    b"import keras  # \xe9\nkeras.layers.Attention()",
    b"# coding: latin-1\n# \xe9\nimport keras\nkeras.layers.Attention()",
    "import tensorflow as tf\ntf.keras.layers.LayerNormalization()",
    "import tensorflow as t\nt.nn.batch_normalization(1)",
    "from keras import layers as L\nL.Attention()",
    "from keras.layers import *\nAttention()",
    "from keras.layers import Attention as Mine",
    "import keras\nL = keras.layers\nM = L\ndef f(): return M.Attention()",
    "import keras\nclass A:\n  def __init__(self): self.l = keras.layers\n"
    "  def f(self): return self.l.Attention()",
    "import keras\ngetattr(keras.layers, 'Multi' + 'HeadAttention')",
    "import keras\nvars(keras.layers)['Attention']",
    "import keras\nkeras.layers.__dict__['Attention']",
    "import sys, keras\nsys.modules['keras'].layers.Attention",
    "import importlib\nimportlib.import_module('keras.layers').Attention",
    "from importlib import import_module as im\nim('keras.layers').Attention",
    "__import__('keras').layers.Attention",
    "import torch.nn.functional as F\nF.scaled_dot_product_attention(1)",
    "import sentencepiece",
    "import minitransformer",
    "import minitransformer.gpt as g",
    "from minitransformer import attention",
]


@pytest.fixture
def names(tmp_path):
    def found(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return forbidden_names(used_names(tmp_path))

    return found


@pytest.mark.parametrize("text", RIGHT)
def test_a_students_own_may_have_any_name(names, text):
    assert names(OWN | {"mine.py": text}) == []


@pytest.mark.parametrize("text", WRONG)
def test_a_librarys_is_found_under_any_name(names, text):
    assert names(OWN | {"mine.py": text})


@pytest.mark.parametrize(
    "files",
    [
        {"own.py": "from keras import layers", "mine.py": "from own import layers as l\nl.GPT"},
        {"own.py": "import keras", "mine.py": "import own as o\no.keras.layers.Attention"},
        {"own.py": "import keras", "mine.py": "from own import *\nkeras.layers.Attention"},
        {"p/own.py": "import keras", "p/mine.py": "from .own import keras\nkeras.layers.GPT"},
        {"p/own.py": "import keras", "p/mine.py": "from . import own\nown.keras.GPT"},
        {"tf.py": "", "mine.py": "import tensorflow as tf\ntf.keras.layers.Attention"},
        {"tf.py": "from tensorflow import *", "mine.py": "import tf\ntf.keras.layers.Attention"},
        {"notes/keras.py": "", "mine.py": "import keras\nkeras.layers.Attention"},
        {"numpy.py": "", "mine.py": "import keras\nkeras.layers.Attention"},
    ],
)
def test_a_librarys_is_found_through_a_students_modules(names, files):
    assert names(files)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_an_unreadable_file_is_named_and_links_are_followed(names, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.py").write_text("import keras\nkeras.layers.Attention()")
    (folder / "link").symlink_to(tmp_path / "far")
    (folder / "b.py").symlink_to(tmp_path / "far" / "a.py")
    (folder / "loop").symlink_to(folder)
    (folder / "gone.py").symlink_to("nowhere")
    (folder / "c.pyc").write_bytes(b"")
    (folder / "large.py").write_bytes(b"#" * (1 << 21))
    os.mkfifo(folder / "pipe.py")
    found = forbidden_names(used_names(folder))
    unread = ["c.pyc", "gone.py", "large.py", "pipe.py"]
    assert found == [
        *(f"{name}: {UNREAD}" for name in unread),
        "b.py, line 2: keras.layers.Attention",
        "link/a.py, line 2: keras.layers.Attention",
    ]


def test_a_compiled_file_is_reported_as_unreadable(tmp_path):
    (tmp_path / "c.pyc").write_bytes(b"")
    verdict = check_exercise(tmp_path, find_task(read_course(), "01"))
    assert verdict.headline == "has a file that the check cannot read"
    assert "c.pyc" in verdict.text


def test_a_right_answer_with_ordinary_names_gets_its_points(tmp_path):
    task = find_task(read_course(), "01")
    (tmp_path / "adapters.py").write_text("WHERE = {'one_query_attention': 'mine:run'}\n")
    (tmp_path / "pieces.py").write_text(
        "import numpy as np\nclass Attention:\n"
        "    def scaled_dot_product_attention(self, query, keys, values):\n"
        "        s = keys @ query / np.sqrt(len(query))\n        w = np.exp(s - s.max())\n"
        "        w = w / w.sum()\n        return w @ values, w\n"
    )
    (tmp_path / "mine.py").write_text(
        "\ufeffimport pieces as P\nfrom minitransformer.coursework.checking import check_here\n"
        "def run(query, keys, values):\n"
        "    return P.Attention().scaled_dot_product_attention(query, keys, values)\n"
        "check_here('01', run)\n",
        encoding="utf-8",
    )
    for name in ("typing.py", "math.py", "numbers.py", "numpy.py", "tf.py"):
        (tmp_path / name).write_text("x = 1\n")
    verdict = check_exercise(tmp_path, task)
    assert verdict.right, verdict
