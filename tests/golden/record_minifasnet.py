"""Record what PyTorch answers to drawings: `python -m tests.golden.record_minifasnet FOLDER`.

Writes `minifasnet.npz` beside this file: the answers of both networks, whose two .pth files lie in FOLDER, to drawings
and noise, and two small state dicts as PyTorch itself writes them, one in each container. The networks are evaluated
here as they were trained: batch normalisation on its own, PyTorch's PReLU, loaded with `weights_only`. Runs in an
environment of its own with torch 2.13.0 and numpy; the project does not use PyTorch anywhere else.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found]
from torch.nn import functional  # type: ignore[import-not-found]

from export_tools.golden import drawing
from tests.golden.drawings import Picture, patches, pictures

FILES = {"close": "2.7_80x80_MiniFASNetV2.pth", "wide": "4_0_0_80x80_MiniFASNetV1SE.pth"}
STAGES = (("conv_23", "conv_3", 4), ("conv_34", "conv_4", 6), ("conv_45", "conv_5", 2))


class Network:
    """The forward pass, written from the description of the topology."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = {name.removeprefix("module."): tensor for name, tensor in state.items()}

    def normed(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """Batch normalisation with the trained statistics."""
        parts = (self.state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts, training=False, eps=1e-5)

    def linear_block(self, x: torch.Tensor, name: str, **window: Any) -> torch.Tensor:
        """Convolution, normalisation."""
        return self.normed(functional.conv2d(x, self.state[f"{name}.conv.weight"], **window), f"{name}.bn")

    def conv_block(self, x: torch.Tensor, name: str, **window: Any) -> torch.Tensor:
        """Convolution, normalisation, PReLU."""
        return functional.prelu(self.linear_block(x, name, **window), self.state[f"{name}.prelu.weight"])

    def depth_wise(self, x: torch.Tensor, name: str, *, stride: int) -> torch.Tensor:
        """Pointwise, depthwise 3 x 3, pointwise."""
        x = self.conv_block(x, f"{name}.conv")
        x = self.conv_block(x, f"{name}.conv_dw", stride=stride, padding=1, groups=x.shape[1])
        return self.linear_block(x, f"{name}.project")

    def squeeze_excite(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """Channels times their gates."""
        y = functional.adaptive_avg_pool2d(x, 1)
        y = functional.relu(self.normed(functional.conv2d(y, self.state[f"{name}.fc1.weight"]), f"{name}.bn1"))
        y = self.normed(functional.conv2d(y, self.state[f"{name}.fc2.weight"]), f"{name}.bn2")
        return x * torch.sigmoid(y)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Probabilities [N, 3] of BGR pictures [N, 3, 80, 80], 0..255."""
        x = self.conv_block(x, "conv1", stride=2, padding=1)
        x = self.conv_block(x, "conv2_dw", padding=1, groups=x.shape[1])
        for strided, stage, blocks in STAGES:
            x = self.depth_wise(x, strided, stride=2)
            for number in range(blocks):
                name = f"{stage}.model.{number}"
                y = self.depth_wise(x, name, stride=1)
                if f"{name}.se_module.fc1.weight" in self.state:
                    y = self.squeeze_excite(y, f"{name}.se_module")
                x = x + y
        x = self.conv_block(x, "conv_6_sep")
        x = self.linear_block(x, "conv_6_dw", groups=x.shape[1]).flatten(1)
        x = self.normed(functional.linear(x, self.state["linear.weight"]), "bn")
        return functional.softmax(functional.linear(x, self.state["prob.weight"]), dim=1)


def inputs() -> Picture:
    """Eight pictures: cartoon faces, coarse noise, fine noise, black and white, BGR [8, 80, 80, 3]."""
    fine = np.random.default_rng(11).integers(0, 256, (80, 80, 3), np.uint8)
    plain = [np.full((80, 80, 3), level, np.uint8) for level in (0, 255)]
    more = [drawing(80, 80, shift=-0.1, tilt=-0.5), patches(80, seed=3), fine, *plain]
    stacked: Picture = np.concatenate([pictures(80), np.stack(more)])[..., ::-1]
    return np.ascontiguousarray(stacked)


def small_state() -> dict[str, torch.Tensor]:
    """Every trait that a reader must follow: a counter, a scalar, two views of one storage."""
    whole = torch.arange(12, dtype=torch.float32) / 8
    module = torch.nn.BatchNorm1d(3)
    state: dict[str, torch.Tensor] = module.state_dict()
    return type(state)({**state, "head": whole[:4].reshape(2, 2), "tail": whole[6:], "scalar": torch.tensor(0.5)})


def written(*, zipped: bool) -> np.ndarray[Any, Any]:
    """The bytes of ``torch.save``."""
    stream = io.BytesIO()
    torch.save(small_state(), stream, _use_new_zipfile_serialization=zipped)
    return np.frombuffer(stream.getvalue(), np.uint8)


def main() -> None:
    """Record both networks and both containers."""
    folder, shown = Path(sys.argv[1]), inputs()
    recorded: dict[str, Any] = {"pictures": shown, "torch/zip": written(zipped=True)}
    recorded["torch/legacy"] = written(zipped=False)
    recorded |= {f"torch/{name}": tensor.numpy() for name, tensor in small_state().items()}
    tensor = torch.from_numpy(shown.transpose(0, 3, 1, 2).astype(np.float32))
    for name, file in FILES.items():
        network = Network(torch.load(folder / file, map_location="cpu", weights_only=True))
        with torch.no_grad():
            recorded[name] = network(tensor).numpy()
    np.savez_compressed(Path(__file__).with_name("minifasnet.npz"), allow_pickle=False, **recorded)


if __name__ == "__main__":
    main()
