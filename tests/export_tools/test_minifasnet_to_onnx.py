"""The converted networks against PyTorch's recorded answers, and refusals of anything that is not one of the two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort  # type: ignore[import-untyped]
import pytest

from device.errors import PackError
from export_tools.convert.minifasnet_to_onnx import convert_minifasnet
from tests.export_tools import pth_writer as write

GOLDEN: Final = Path(__file__).resolve().parent.parent / "golden" / "minifasnet.npz"
FILES: Final = {"close": "2.7_80x80_MiniFASNetV2.pth", "wide": "4_0_0_80x80_MiniFASNetV1SE.pth"}
TOLERANCE: Final = 1e-5
"""Probabilities; 1.4e-6 is measured on x86-64, the rest is room for another processor's order of summation."""
_STAGES: Final = (("conv_23", "conv_3", 4), ("conv_34", "conv_4", 6), ("conv_45", "conv_5", 2))

State = dict[str, write.Array]


def _norm(state: State, name: str, channels: int, rng: np.random.Generator) -> None:
    parts = {"weight": (0.5, 1.5), "bias": (-1, 1), "running_mean": (-1, 1), "running_var": (0.5, 2)}
    for part, (low, high) in parts.items():
        state[f"{name}.{part}"] = rng.uniform(low, high, channels).astype(np.float32)
    state[f"{name}.num_batches_tracked"] = np.array(7, np.int64)


def small_state(*, gated: bool, width: int = 4, prefix: str = "module.") -> State:
    """A MiniFASNet of ``width`` channels, inside of a block one more per stage, random weights."""
    rng = np.random.default_rng(5)
    state: State = {}

    def conv(name: str, shape: tuple[int, ...], *, norm: str, slope: str | None) -> None:
        spread = 1 / np.sqrt(np.prod(shape[1:]))
        state[f"{name}.weight"] = rng.normal(0, spread, shape).astype(np.float32)
        _norm(state, norm, shape[0], rng)
        if slope:
            state[slope] = rng.uniform(-0.3, 1, shape[0]).astype(np.float32)

    def block(name: str, shape: tuple[int, ...], *, active: bool = True) -> None:
        conv(f"{name}.conv", shape, norm=f"{name}.bn", slope=f"{name}.prelu.weight" if active else None)

    def depth_wise(name: str, inner: int) -> None:
        block(f"{name}.conv", (inner, width, 1, 1))
        block(f"{name}.conv_dw", (inner, 1, 3, 3))
        block(f"{name}.project", (width, inner, 1, 1), active=False)

    block("conv1", (width, 3, 3, 3))
    state["conv1.conv.weight"] /= 64
    block("conv2_dw", (width, 1, 3, 3))
    for stage, (strided, residual, blocks) in enumerate(_STAGES):
        depth_wise(strided, width + stage)
        for number in range(blocks):
            name = f"{residual}.model.{number}"
            depth_wise(name, width + stage + number)
            if gated and number == blocks - 1:
                gate = f"{name}.se_module"
                conv(f"{gate}.fc1", (2, width, 1, 1), norm=f"{gate}.bn1", slope=None)
                conv(f"{gate}.fc2", (width, 2, 1, 1), norm=f"{gate}.bn2", slope=None)
    block("conv_6_sep", (width * 2, width, 1, 1))
    block("conv_6_dw", (width * 2, 1, 5, 5), active=False)
    state["linear.weight"] = rng.normal(0, 0.3, (6, width * 2)).astype(np.float32)
    _norm(state, "bn", 6, rng)
    state["prob.weight"] = rng.normal(0, 0.3, (3, 6)).astype(np.float32)
    return {prefix + name: values for name, values in state.items()}


def _run(model: bytes, pictures: Any) -> Any:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    tensor = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2).astype(np.float32))
    return session.run(["probabilities"], {"input": tensor})[0]


@pytest.mark.parametrize("name", FILES)
def test_the_converted_networks_answer_as_pytorch_does(shared: Path, name: str) -> None:
    """Eight drawings and noises; the reference folds nothing and uses PyTorch's own PReLU."""
    model = convert_minifasnet((shared / "models" / FILES[name]).read_bytes(), batch=None)
    with np.load(GOLDEN) as golden:
        difference = np.abs(_run(model, golden["pictures"]) - golden[name]).max()
    assert difference <= TOLERANCE


@pytest.mark.parametrize("batch", [None, 1])
@pytest.mark.parametrize("gated", [False, True])
def test_a_network_of_other_channel_counts_is_converted(gated: bool, batch: int | None) -> None:
    """Counts are read off the weights, the gates off the names; the answers are probabilities."""
    model = convert_minifasnet(write.File(small_state(gated=gated)).data(), batch=batch)
    graph = onnx.load_from_string(model).graph
    assert sum(node.op_type == "Sigmoid" for node in graph.node) == (3 if gated else 0)
    assert not [node for node in graph.node if node.op_type in {"BatchNormalization", "PRelu"}]
    assert [size.dim_value or size.dim_param for size in graph.input[0].type.tensor_type.shape.dim] == [
        batch or "N",
        3,
        80,
        80,
    ]
    pictures = np.random.default_rng(2).integers(0, 256, (batch or 3, 80, 80, 3), np.uint8)
    answers = _run(model, pictures)
    assert answers.shape == (batch or 3, 3)
    assert np.abs(answers.sum(axis=1) - 1).max() < 1e-5


def test_container_and_prefix_do_not_change_the_model() -> None:
    """The same weights, out of a zip and without the prefix of parallel training."""
    expected = convert_minifasnet(write.File(small_state(gated=True)).data(), batch=1)
    other = write.File(small_state(gated=True, prefix=""), zipped=True).data()
    assert convert_minifasnet(other, batch=1) == expected


def test_the_batches_of_one_network_do_not_mix() -> None:
    """Each picture is answered as if it were alone."""
    model = convert_minifasnet(write.File(small_state(gated=True)).data(), batch=None)
    pictures = np.random.default_rng(4).integers(0, 256, (3, 80, 80, 3), np.uint8)
    alone = np.concatenate([_run(model, picture[None]) for picture in pictures])
    assert np.abs(_run(model, pictures) - alone).max() < 1e-6


def _without(part: str) -> Callable[[State], None]:
    def change(state: State) -> None:
        del state[f"module.{part}"]

    return change


def _set(part: str, values: Any) -> Callable[[State], None]:
    def change(state: State) -> None:
        state[f"module.{part}"] = np.asarray(values)

    return change


CHANGES: Final[dict[str, tuple[Callable[[State], None], str]]] = {
    "missing weights": (
        _without("conv_4.model.5.project.conv.weight"),
        "conv_4.model.5.project.conv.weight is missing",
    ),
    "missing statistics": (_without("conv1.bn.running_var"), "conv1.bn.running_var is missing"),
    "missing slope": (_without("conv_6_sep.prelu.weight"), "conv_6_sep.prelu.weight is missing"),
    "missing gate": (_without("conv_3.model.3.se_module.fc1.weight"), "fc1.weight is missing"),
    "another tensor": (_set("extra.weight", np.ones(3, np.float32)), "1 tensors are left over, extra.weight"),
    "a seventh block": (_set("conv_4.model.6.conv.conv.weight", np.ones((4, 4, 1, 1), np.float32)), "left over"),
    "a counter that is none": (_set("bn.num_batches_tracked", np.ones(2, np.int64)), "left over"),
    "integers": (_set("conv1.bn.bias", np.ones(4, np.int64)), "conv1.bn.bias is int64"),
    "four classes": (_set("prob.weight", np.ones((4, 6), np.float32)), "prob.weight is float32 of shape"),
    "another window": (_set("conv_6_dw.conv.weight", np.ones((8, 1, 7, 7), np.float32)), "conv_6_dw.conv.weight is"),
    "channels": (_set("conv_34.conv.conv.weight", np.ones((5, 9, 1, 1), np.float32)), "conv_34.conv.conv.weight is"),
    "no channels": (_set("conv1.conv.weight", np.ones((0, 3, 3, 3), np.float32)), "conv1.conv.weight is"),
    "steep slope": (_set("conv1.prelu.weight", np.full(4, 1.5, np.float32)), "slope above 1"),
    "variance": (_set("conv1.bn.running_var", np.full(4, -1, np.float32)), "negative variance"),
    "overflow": (_set("prob.weight", np.full((3, 6), 3.4e38, np.float32)), "does not fit into float32"),
    "two of one name": (
        lambda state: state.update({"conv1.bn.bias": np.ones(4, np.float32)}),
        "two tensors of one name",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_network_that_is_not_one_of_the_two_is_refused(change: str) -> None:
    """Every tensor must be there, of its shape, and none be left over."""
    alter, sentence = CHANGES[change]
    state = small_state(gated=True)
    alter(state)
    with pytest.raises(PackError, match=sentence) as refusal:
        convert_minifasnet(write.File(state).data(), batch=1)
    assert refusal.value.reason == "unconvertible"


def test_a_pickle_that_would_run_code_is_refused_before_anything_is_built() -> None:
    """The reader's reason reaches whoever asked for the conversion."""
    hostile = write.File(state=write.pickled(b"cos\nsystem\n" + write.text("true") + b"\x85R")).data()
    with pytest.raises(PackError) as refusal:
        convert_minifasnet(hostile, batch=1)
    assert refusal.value.reason == "pickle_code"
