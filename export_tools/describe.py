"""A description of an embedder that the owner brings as an ONNX file: what its graph tells, and what only people know.

The graph tells input, output and batch. It does not tell who may use the weights, and neither colour order nor scale of
the input: those are the publisher's word.
"""

from __future__ import annotations

import hashlib
from typing import Final

import yaml
from pydantic import ValidationError

from device.errors import PackError, UsageError
from device.vision.manifest import Licence, Preprocessing, TensorSpec
from export_tools.cards import (
    CHIP_SIDES,
    DIMENSIONS,
    EMBEDDER_SOURCE,
    EmbedderCard,
    ModelCard,
    OutputSpec,
    embedder_tag,
)
from export_tools.convert.onnx_import import Signature, Tensor, import_onnx, read_signature
from export_tools.sources.pins import LocalFile

_SIDE: Final = CHIP_SIDES["arcface"]
_HEADER: Final = """\
# An embedder of the owner's, written by `doorward-export describe-embedder`.
#   doorward-export build --embedder THIS_FILE --mirror FOLDER_OF_THE_MODEL
# Colour order, mean and divisor are not in the file: hold them against the publisher's own code.
# No door opens with it before `doorward-export calibrate` has measured its threshold.
"""


def describe_embedder(
    data: bytes,
    *,
    file: str,
    name: str,
    licence: Licence,
    preprocessing: Preprocessing,
    output: str | None = None,
) -> EmbedderCard:
    """Describe an ArcFace-style network: chips of 112x112 in InsightFace's alignment in, 128 to 512 numbers out.

    Args:
        data: The ONNX file; its graph is looked at, not run.
        file: The file's name.
        name: What to call it; the tag of :func:`export_tools.cards.embedder_tag` is added.
        licence: Under what conditions its weights may be used.
        preprocessing: How it is fed, by its publisher's word.
        output: Which output is the embedding, where several could be.

    Raises:
        PackError: It is no such network (``unconvertible``), or cannot be described (``card``).
        UsageError: Several outputs could be the embedding.
    """
    given = read_signature(data).input
    batch = _batch(given)
    shape: list[int | None] = [batch, 3, _SIDE, _SIDE]
    try:
        signature = read_signature(data, input_shape=shape)
    except PackError as exc:
        raise _refuse(
            f"its input {given.name} takes {_shown(given.shape)}, and {_shown(tuple(shape))},"
            " which an ArcFace-style one is given, does not go through its layers"
        ) from exc
    found, dimension = _embedding(signature, wanted=output)
    digest = hashlib.sha256(data).hexdigest()
    tag = embedder_tag(sha256=digest, family="arcface", preprocessing=preprocessing, output=found)
    try:
        card = EmbedderCard(
            format=2,
            source=LocalFile(kind="local", version=digest[:12], file=file, sha256=digest, size_bytes=len(data)),
            model=ModelCard(
                name=f"{name}-{tag}",
                family="arcface",
                source=EMBEDDER_SOURCE,
                licence=licence,
                converter="onnx",
                precision={"onnxruntime": "fp32", "tensorrt": "fp16"},
                preprocessing=preprocessing,
                input=TensorSpec(
                    name="input", shape=shape, meaning="face chip aligned to InsightFace's five-point template"
                ),
                outputs=[
                    OutputSpec(
                        name="embedding", source=found, shape=[batch, dimension], meaning="embedding, of any length"
                    )
                ],
            ),
            thresholds=None,
        )
    except ValidationError as exc:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in exc.errors())
        raise PackError(
            f"{file} cannot be described: {problems}",
            reason="card",
            hint="a name has lower-case letters, digits, dots and dashes, at most 40; a file's name no blanks",
        ) from exc
    # What the build will do, so that a description that is written is one that can be built.
    import_onnx(data, model_input=card.model.input, outputs=card.model.outputs)
    return card


def card_text(card: EmbedderCard) -> str:
    """The description as the YAML that `doorward-export build --embedder` reads."""
    tree = card.model_dump(mode="json", exclude_none=True)
    # Free sizes and missing thresholds are null on purpose, the other fields that are null are not given.
    tree["model"]["input"]["shape"] = card.model.input.shape
    for told, spec in zip(tree["model"]["outputs"], card.model.outputs, strict=True):
        told["shape"] = spec.shape
    tree["thresholds"] = None
    return _HEADER + yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=120)


def _batch(given: Tensor) -> int | None:
    shape = given.shape
    wanted = (3, _SIDE, _SIDE)
    if shape is None:
        return None
    if len(shape) == 4 and shape[1:] == (_SIDE, _SIDE, 3):
        raise _refuse(f"its input {given.name} has the colours last, {_shown(shape)}: export it as (batch, 3, y, x)")
    fits = len(shape) == 4 and all(own in (None, size) for own, size in zip(shape[1:], wanted, strict=True))
    if not fits or shape[0] not in (None, 1, 2):
        raise _refuse(
            f"its input {given.name} is {_shown(shape)}, an ArcFace-style one (1, 2 or free, 3, {_SIDE}, {_SIDE})"
        )
    return shape[0]


def _embedding(signature: Signature, *, wanted: str | None) -> tuple[str, int]:
    names = [each.name for each in signature.outputs]
    if wanted is not None and wanted not in names:
        raise UsageError(f"it has no float32 output {wanted}", hint=f"it has {', '.join(names) or 'none'}")
    fitting = {
        each.name: each.shape[1]
        for each in signature.outputs
        if wanted in (None, each.name)
        and each.shape is not None
        and len(each.shape) == 2
        and each.shape[1] in DIMENSIONS
    }
    if len(fitting) > 1:
        raise UsageError(
            f"{len(fitting)} outputs could be the embedding: {', '.join(fitting)}", hint="name it with --output"
        )
    for name, dimension in fitting.items():
        if dimension is not None:
            return name, dimension
    told = ", ".join(f"{each.name} {_shown(each.shape)}" for each in signature.outputs) or "none of float32"
    raise _refuse(f"no output is (batch, {DIMENSIONS[0]} to {DIMENSIONS[-1]}); it has {told}")


def _shown(shape: tuple[int | None, ...] | None) -> str:
    return (
        "of unknown shape"
        if shape is None
        else f"({', '.join('free' if size is None else str(size) for size in shape)})"
    )


def _refuse(what: str) -> PackError:
    return PackError(
        f"this is no embedder that can be used: {what}",
        reason="unconvertible",
        hint=f"export the network with one float32 input (batch, 3, {_SIDE}, {_SIDE}) and the embedding as output",
    )
