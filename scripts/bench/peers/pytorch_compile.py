"""`pytorch.py`'s training, compiled by `torch.compile`: inductor writes C++."""

import torch

from scripts.bench.peers import pytorch


def train(sizes, meter):
    pytorch.train(sizes, meter, step=compiled_step())


def compiled_step():
    """Compile the loss with its gradient, and the optimizer's step."""
    loss_of, update = torch.compile(pytorch.loss_of), torch.compile(pytorch.update)

    def step(model, optimizer, inputs, targets):
        loss = loss_of(model, inputs, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        update(model, optimizer)
        return loss

    return step


def check(sizes, reference):
    return pytorch.check(sizes, reference, step=compiled_step())
