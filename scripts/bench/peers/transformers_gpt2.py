"""Hugging Face's GPT-2, which generates with its cache."""

import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

from scripts.bench.peers.measure import cores


def sample(sizes, batch_size):
    torch.set_num_threads(cores())
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=sizes.vocab_size,
            n_positions=sizes.max_len,
            n_embd=sizes.d_model,
            n_layer=sizes.num_layers,
            n_head=sizes.num_heads,
            bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    prompt = torch.zeros((batch_size, 1), dtype=torch.long)
    options = GenerationConfig(
        do_sample=True, top_k=0, use_cache=True, pad_token_id=0, max_new_tokens=sizes.max_len - 1
    )
    seen = torch.ones_like(prompt)
    return lambda: model.generate(prompt, attention_mask=seen, generation_config=options)
