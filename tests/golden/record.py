"""Record what LiteRT and dlib answer to drawings: `python tests/golden/record.py [CACHE]`.

Writes `door.npz` beside this file. The inputs are drawings and noise, never pictures of people; the models come from
the archives of the pack `door` in the cache of `doorward-export`. Recorded again only when the pack changes its models.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import dlib  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
from numpy.typing import NDArray

from export_tools.cards import ModelCard, load_pack_card
from export_tools.sources.fetch import Fetcher, default_cache

Picture = NDArray[np.uint8]


def drawing(size: int, *, shift: float, tilt: float) -> Picture:
    """A cartoon face on a gradient, RGB [size, size, 3]: smooth areas and edges, as the networks expect them."""
    rows, columns = np.mgrid[0:size, 0:size] / size - 0.5
    x = columns * np.cos(tilt) + rows * np.sin(tilt) - shift
    y = rows * np.cos(tilt) - columns * np.sin(tilt)
    picture = np.stack([90 + 80 * columns, 110 + 60 * rows, 140 - 50 * columns], axis=-1)

    def paint(cx: float, cy: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        picture[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] = colour

    paint(0, -0.05, 0.30, 0.38, (70, 45, 30))
    paint(0, 0, 0.26, 0.34, (224, 180, 150))
    for side in (-1, 1):
        paint(0.11 * side, -0.07, 0.055, 0.028, (245, 245, 245))
        paint(0.11 * side, -0.07, 0.024, 0.026, (60, 40, 30))
        paint(0.11 * side, -0.14, 0.065, 0.012, (70, 45, 30))
    paint(0, 0.05, 0.035, 0.06, (205, 155, 130))
    paint(0, 0.18, 0.09, 0.028, (170, 70, 70))
    clipped: Picture = np.clip(picture, 0, 255).astype(np.uint8)
    return clipped


def patches(size: int, *, seed: int) -> Picture:
    """Noise in blocks, RGB [size, size, 3]."""
    cells = 8 if size == 64 else 10
    noise = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), np.uint8)
    times = -(-size // cells)
    return noise.repeat(times, axis=0).repeat(times, axis=1)[:size, :size]


def pictures(size: int) -> Picture:
    """The inputs of one model, RGB [3, size, size, 3]."""
    return np.stack([drawing(size, shift=0.0, tilt=0.0), drawing(size, shift=0.06, tilt=0.3), patches(size, seed=size)])


def litert_outputs(card: ModelCard, source: bytes, inputs: Picture) -> dict[str, NDArray[np.float32]]:
    """What LiteRT answers, by the output names of the pack."""
    runtime = Interpreter(model_content=source, num_threads=1)
    runtime.allocate_tensors()
    details: dict[str, Any] = {output["name"]: output for output in runtime.get_output_details()}
    answers: dict[str, list[NDArray[np.float32]]] = {output.name: [] for output in card.outputs}
    for picture in inputs:
        prepared = (picture.astype(np.float32) - card.preprocessing.mean) / card.preprocessing.divisor
        runtime.set_tensor(runtime.get_input_details()[0]["index"], prepared[None].astype(np.float32))
        runtime.invoke()
        for output in card.outputs:
            raw = runtime.get_tensor(details[output.source]["index"])
            answers[output.name].append(raw.reshape([dim or 1 for dim in output.shape])[0])
    return {name: np.stack(values) for name, values in answers.items()}


def dlib_outputs(source: bytes, inputs: Picture) -> dict[str, NDArray[np.float32]]:
    """What dlib answers."""
    with tempfile.NamedTemporaryFile(suffix=".dat") as file:
        file.write(source)
        file.flush()
        model = dlib.face_recognition_model_v1(file.name)
    return {"embedding": np.array([model.compute_face_descriptor(picture) for picture in inputs], np.float32)}


def main() -> None:
    """Record all roles."""
    fetcher = Fetcher(cache=Path(sys.argv[1]) if len(sys.argv) > 1 else default_cache())
    card, _ = load_pack_card("door")
    recorded: dict[str, NDArray[Any]] = {}
    for role, model in card.models.items():
        (source,) = fetcher.members(card.archives[model.archive], [model.source])
        inputs = pictures(model.input.shape[2] or 0)
        recorded[f"{role}/pictures"] = inputs
        outputs = dlib_outputs(source, inputs) if role == "embedder" else litert_outputs(model, source, inputs)
        for name, values in outputs.items():
            # Every eleventh cell of the detector is enough: all pass through the same layers.
            recorded[f"{role}/{name}"] = values[:, ::11] if role == "detector" else values
    np.savez_compressed(Path(__file__).with_name("door.npz"), allow_pickle=False, **recorded)


if __name__ == "__main__":
    main()
