"""Adam by torch's fused kernel, without torch.optim.

The first optimiser of torch.optim imports torch's compiler, which takes a second and 70 MB of every
worker, and spends most of a small network's step on what only the compiler needs.
"""

from collections.abc import Iterable

import torch
from torch import nn


class Adam:
    """Adam (Kingma and Ba, 2015, algorithm 1); `weight_decay` times a weight joins its gradient.

    The weights are those of torch.optim.Adam(fused=True), to the last bit.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, lr: float, weight_decay: float = 0.0
    ) -> None:
        self.lr = lr
        self.weight_decay = weight_decay
        self._weights = list(parameters)
        self._means = [torch.zeros_like(weight) for weight in self._weights]
        self._squares = [torch.zeros_like(weight) for weight in self._weights]
        self._steps = [torch.zeros((), device=weight.device) for weight in self._weights]

    def zero_grad(self) -> None:
        for weight in self._weights:
            weight.grad = None

    def step(self) -> None:
        """Weights without a gradient stay."""
        state = zip(self._weights, self._means, self._squares, self._steps, strict=True)
        moved = [(each[0], each[0].grad, *each[1:]) for each in state if each[0].grad is not None]
        weights, gradients, means, squares, steps = (
            list(each) for each in zip(*moved, strict=True)
        )
        with torch.no_grad():
            torch._foreach_add_(steps, 1)
            torch._fused_adam_(
                weights,
                gradients,
                means,
                squares,
                [],
                steps,
                lr=self.lr,
                beta1=0.9,
                beta2=0.999,
                weight_decay=self.weight_decay,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )
