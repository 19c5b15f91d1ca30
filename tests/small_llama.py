"""A tiny Llama of Hugging Face's, as a folder and as a file of llama2.c."""

import json

import numpy as np
from conftest import ROOT
from safetensors import safe_open
from safetensors.numpy import save_file

FIXTURE = ROOT / "tests" / "fixtures" / "llama.safetensors"
LLAMA2C = [  # in the order of the file, within each kind by block
    "input_layernorm",
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "post_attention_layernorm",
    "mlp.gate_proj",
    "mlp.down_proj",
    "mlp.up_proj",
]


def read_fixture():
    """Return the settings, the weights, and the ids and logits."""
    with safe_open(FIXTURE, "numpy") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {name: file.get_tensor(name) for name in list(file.keys())}
    names = "token_ids", "logits", "greedy_ids"
    return config, tensors, {name: tensors.pop(name) for name in names}


def write_folder(folder, change=None, drop=(), **settings):
    """Write a folder as Hugging Face would; `change` edits its tensors."""
    config, tensors, _ = read_fixture()
    tensors |= change or {}
    tensors = {name: array for name, array in tensors.items() if name not in drop}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config | settings))
    return folder


def neighbours(rows, head_dim):
    """Put the rows of each head that turn together side by side."""
    halves = rows.reshape(-1, 2, head_dim // 2, rows.shape[-1])
    return halves.transpose(0, 2, 1, 3)


def write_llama2c(path, tied=False):
    """Write the same weights in llama2.c's first format."""
    config, tensors, _ = read_fixture()
    order = "hidden_size intermediate_size num_hidden_layers num_attention_heads "
    order += "num_key_value_heads vocab_size max_position_embeddings"
    header = [config[name] for name in order.split()]
    head_dim = header[0] // header[3]
    header[5] *= 1 if tied else -1
    parts = [tensors["model.embed_tokens.weight"]]
    for name in LLAMA2C:
        for i in range(config["num_hidden_layers"]):
            array = tensors[f"model.layers.{i}.{name}.weight"]
            turned = name.endswith(("q_proj", "k_proj"))
            parts.append(neighbours(array, head_dim) if turned else array)
    parts += [tensors["model.norm.weight"], np.full((13, head_dim), np.nan)]
    parts += [] if tied else [tensors["lm_head.weight"]]
    numbers = np.concatenate([part.ravel() for part in parts]).astype("<f4")
    path.write_bytes(np.array(header, "<i4").tobytes() + numbers.tobytes())
    return path
