"""Files of networks: weights as safetensors, with what rebuilds the network in their metadata."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from safetensors.torch import save as in_bytes
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from configs.errors import ArtifactDamaged, BadParameter
from models.hyperparameters import Spec, Whole, read
from models.trees import MOST_FEATURES

VERSION = "1"

_LENGTH = 8
"""Bytes at the start of a safetensors file, which say how long its header of JSON is."""


def save(network: nn.Module, path: Path, *, kind: str, description: Mapping[str, Any]) -> None:
    """Write the weights, and the `description` that makes the network anew; equal ones give equal
    bytes, so that a network fitted again is known as the same model.
    """
    # Copies, because TabNet's layers share weights and safetensors knows no sharing.
    tensors = {
        name: value.cpu().clone(memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }
    metadata = {"kind": kind, "version": VERSION, "network": json.dumps(description)}
    path.write_bytes(_in_order(in_bytes(tensors, metadata=metadata)))


def load(
    path: Path, *, kind: str, specs: Mapping[str, Spec]
) -> tuple[int, dict[str, Any], dict[str, Tensor]]:
    """What `save` wrote: the number of features, the values of `specs`, and the weights.

    Raises:
        ArtifactDamaged: the file is not one of this kind.
    """
    all_specs = {"n_features": Whole(1, MOST_FEATURES), **specs}
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if (metadata.get("kind"), metadata.get("version")) != (kind, VERSION):
            raise ArtifactDamaged(f"{path}: not a {kind} model of version {VERSION}")
        description = json.loads(metadata["network"])
        if not isinstance(description, dict) or description.keys() != all_specs.keys():
            raise ArtifactDamaged(f"{path}: not a {kind} model: it is described as another thing")
        values = {name: read(name, spec, description[name]) for name, spec in all_specs.items()}
        return values.pop("n_features"), values, load_file(path)
    except (
        safetensors.SafetensorError,
        BadParameter,
        KeyError,
        ValueError,
        RecursionError,
    ) as error:
        raise ArtifactDamaged(f"{path}: not a {kind} model: {error}") from error


def _in_order(content: bytes) -> bytes:
    """A safetensors file with the names in its header sorted: the library writes those of metadata
    in an order of chance. Weights stay where they are: their places count from the header's end.
    """
    end = _LENGTH + int.from_bytes(content[:_LENGTH], "little")
    names = json.loads(content[_LENGTH:end])
    header = json.dumps(names, sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _LENGTH)  # weights begin where the library would align them
    return len(header).to_bytes(_LENGTH, "little") + header + content[end:]


def rebuild(make: Callable[[], nn.Module], weights: Mapping[str, Tensor]) -> nn.Module:
    """A network of exactly these weights. Until they have proved to be its own it takes no memory,
    whatever sizes the file claims.

    Raises:
        ArtifactDamaged: the file describes another network than it holds.
    """
    with torch.device("meta"), _Undrawn():
        network = make()
    wanted = {name: (value.shape, value.dtype) for name, value in network.state_dict().items()}
    if wanted != {name: (value.shape, value.dtype) for name, value in weights.items()}:
        raise ArtifactDamaged("the model file holds other weights than its description says")
    network.load_state_dict(weights, assign=True)
    return network.eval()


class _Undrawn(TorchFunctionMode):
    """First weights are not drawn: for want of a kernel that draws on the meta device torch would
    import its compiler.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.normal_:
            return args[0]
        return func(*args, **(kwargs or {}))
