"""The optimiser against torch's own."""

import pytest
import torch
from torch import Tensor, nn

from models.adam import Adam


def _network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(7, 33), nn.ReLU(), nn.Linear(33, 1), nn.Linear(2, 2))


def _step(network: nn.Sequential, optimizer: Adam | torch.optim.Adam, X: Tensor) -> None:
    optimizer.zero_grad()
    network[:3](X).square().mean().backward()  # the last layer has no gradient
    optimizer.step()


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_weights_are_those_of_torch_s_to_the_last_bit(weight_decay: float) -> None:
    chance = torch.Generator().manual_seed(5)
    ours, theirs = _network(), _network()
    mine = Adam(ours.parameters(), lr=0.01, weight_decay=weight_decay)
    reference = torch.optim.Adam(
        theirs.parameters(), lr=0.01, weight_decay=weight_decay, fused=True
    )

    for _ in range(50):
        X = torch.randn(20, 7, generator=chance)
        _step(ours, mine, X)
        _step(theirs, reference, X)

    for weight, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(weight, expected)
    assert torch.equal(ours[3].weight, _network()[3].weight)
