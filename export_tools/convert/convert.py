"""From one description and its upstream bytes to the FP32 ONNX file it promises."""

from __future__ import annotations

import onnx

from device.errors import PackError
from export_tools.cards import ModelCard
from export_tools.convert.dlib_to_onnx import convert_dlib
from export_tools.convert.minifasnet_to_onnx import convert_minifasnet
from export_tools.convert.onnx_import import import_onnx
from export_tools.convert.tflite_to_onnx import Output, convert_tflite


def convert(card: ModelCard, source: bytes) -> bytes:
    """Convert one model and prove that what came out has the inputs and outputs its description promises.

    Raises:
        PackError: It cannot be converted (``unconvertible``), or the result is not what is described (``card``).
    """
    try:
        data = _converted(card, source)
    except PackError as exc:
        raise PackError(
            f"{card.name} ({card.member or card.source}): {exc.message}", reason=exc.reason, hint=exc.hint
        ) from exc
    graph = onnx.load_from_string(data).graph
    promised = [[(spec.name, spec.shape) for spec in specs] for specs in ([card.input], card.outputs)]
    found = [[_described(info) for info in infos] for infos in (graph.input, graph.output)]
    if found != promised:
        raise PackError(
            f"{card.name}: the converted model has {found}, its description promises {promised}",
            reason="card",
            hint="correct the pack description",
        )
    return data


def _converted(card: ModelCard, source: bytes) -> bytes:
    batch = card.input.shape[0]
    if card.converter == "dlib":
        return convert_dlib(source)
    if card.converter == "minifasnet":
        return convert_minifasnet(source, batch=batch)
    if card.converter == "onnx":
        return import_onnx(source, model_input=card.input, outputs=card.outputs)
    outputs = tuple(
        Output(source=output.source, name=output.name, shape=tuple(-1 if dim is None else dim for dim in output.shape))
        for output in card.outputs
    )
    return convert_tflite(source, outputs=outputs, batch=batch)


def _described(info: onnx.ValueInfoProto) -> tuple[str, list[int | None]]:
    dims = info.type.tensor_type.shape.dim
    return info.name, [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
