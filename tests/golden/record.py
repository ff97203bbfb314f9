"""Record what LiteRT and dlib answer to drawings: `python -m tests.golden.record [CACHE]`.

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

from export_tools.build import read_sources
from export_tools.cards import ModelCard, load_pack_card
from export_tools.sources.fetch import Fetcher, default_cache
from tests.golden.drawings import Picture, pictures


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
    sources = read_sources(card, fetcher)
    recorded: dict[str, NDArray[Any]] = {}
    for role, model in card.models.items():
        source = sources[role]
        inputs = pictures(model.input.shape[2] or 0)
        recorded[f"{role}/pictures"] = inputs
        outputs = dlib_outputs(source, inputs) if role == "embedder" else litert_outputs(model, source, inputs)
        for name, values in outputs.items():
            # Every eleventh cell of the detector is enough: all pass through the same layers.
            recorded[f"{role}/{name}"] = values[:, ::11] if role == "detector" else values
    np.savez_compressed(Path(__file__).with_name("door.npz"), allow_pickle=False, **recorded)


if __name__ == "__main__":
    main()
