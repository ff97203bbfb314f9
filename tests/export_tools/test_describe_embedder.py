"""An embedder of the owner's: how it is described, what it may not be, and what its licence costs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from device.commands.checks import Outcome, check_pack, check_threshold
from device.config import Config
from device.errors import DoorwardError, PackError, UsageError
from device.keys import KeyFile, StateKeys
from device.vision.manifest import Licence, Preprocessing
from device.vision.pack import Pack
from export_tools import cli
from export_tools.build import build_pack, pack_directory, verify_pack
from export_tools.cards import EMBEDDERS_DIRECTORY, EmbedderCard, PackCard, load_card, load_pack_card
from export_tools.commands import embedder
from export_tools.describe import card_text, describe_embedder
from export_tools.recipe import BuildOptions
from export_tools.sources.fetch import Fetcher, default_cache
from tests.standins.embedder import sface_like

KEY = bytes(range(32))
FREE = Licence(id="Apache-2.0", commercial_use=True)
PRIVATE = Licence(id="CC-BY-NC-4.0", commercial_use=False, note="trained on pictures published for research")
HALVED = Preprocessing(colour="rgb", mean=127.5, divisor=127.5, geometry="face_chip")
WORDS = ("--name", "mine", "--licence", "Apache-2.0", "--commercial-use", "yes")


def _describe(data: bytes, **changes: Any) -> EmbedderCard:
    options = {"file": "mine.onnx", "name": "mine", "licence": FREE, "preprocessing": HALVED, **changes}
    return describe_embedder(data, **options)


def _changed(change: Callable[[onnx.GraphProto], object], **options: Any) -> bytes:
    model = onnx.load_from_string(sface_like(**options))
    change(model.graph)
    return bytes(model.SerializeToString())


def _sizes(info: onnx.ValueInfoProto, *sizes: int) -> None:
    del info.type.tensor_type.shape.dim[:]
    for size in sizes:
        info.type.tensor_type.shape.dim.add(dim_value=size)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The owner's folder with the model in it, and a cache of its own that has the archive of the other models."""
    (tmp_path / "mine.onnx").write_bytes(sface_like())
    wheel = load_pack_card("door")[0].sources["mediapipe"].file
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / wheel).symlink_to(default_cache() / wheel)
    return tmp_path


def _card(folder: Path, changes: Mapping[str, Any] | None = None, *, licence: Licence = FREE) -> Path:
    """A description of the folder's model, changed afterwards: ``changes`` are paths of keys joined by ``__``."""
    card = _describe((folder / "mine.onnx").read_bytes(), licence=licence)
    tree = _with(yaml.safe_load(card_text(card)), changes or {})
    (folder / "card.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    return folder / "card.yaml"


def _with(tree: Any, changes: Mapping[str, Any]) -> Any:
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = tree
        for key in parents:
            place = place[int(key) if key.isdigit() else key]
        place[last] = value
    return tree


def _fetcher(folder: Path) -> Fetcher:
    return Fetcher(cache=folder / "cache", mirror=folder, offline=True)


def _build(folder: Path, card: Path, **options: Any) -> Pack:
    chosen = BuildOptions(embedder=load_card(card, EmbedderCard)[0], **options)
    return build_pack("door", state=folder / "state", mac_key=KEY, fetcher=_fetcher(folder), options=chosen).pack


def test_an_embedder_of_the_owners_is_fetched_and_converted_as_it_is_built(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the words of `build`: its file into the cache, the network out as one ONNX file."""
    card = _card(folder)
    words = [
        "--embedder", str(card), "--mirror", str(folder), "--cache", str(folder / "cache"), "--offline", "--json",
    ]  # fmt: skip
    assert cli.run(["fetch", *words]) == 0
    fetched = json.loads(capsys.readouterr().out)["files"]
    assert fetched["mine.onnx"] == str(folder / "cache" / "mine.onnx")
    assert cli.run(["convert", "--role", "embedder", "--out", str(folder / "out.onnx"), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model_id"] == f"{load_card(card, EmbedderCard)[0].model.name}-fp32"
    assert [info.name for info in onnx.load(folder / "out.onnx").graph.output] == ["embedding"]


def test_a_model_that_answers_nonsense_is_named_and_no_pack_is_built(folder: Path) -> None:
    """Building again would give the same: the file or its description is at fault."""

    def spoil(graph: onnx.GraphProto) -> None:
        (bias,) = (each for each in graph.initializer if each.name == "bias")
        bias.CopyFrom(numpy_helper.from_array(np.full(128, np.nan, np.float32), "bias"))

    (folder / "mine.onnx").write_bytes(_changed(spoil))
    card = _card(folder)
    with pytest.raises(PackError, match=r"not finite") as refused:
        _build(folder, card)
    assert f"embedder {load_card(card, EmbedderCard)[0].model.name}" in refused.value.message
    assert refused.value.reason == "unconvertible"
    assert "export" in refused.value.hint
    assert not pack_directory(folder / "state", "door").exists()


# ---- Describing


@pytest.mark.parametrize(
    ("batch", "dimension", "source", "output", "shape"),
    [
        (1, 128, "data", "fc1", [1, 3, 112, 112]),
        ("N", 512, "input", "embedding", [None, 3, 112, 112]),
        (2, 256, "input.1", "683", [2, 3, 112, 112]),
    ],
)
def test_what_the_graph_tells_is_described(
    batch: int | str, dimension: int, source: str, output: str, shape: list[int | None]
) -> None:
    """SFace's, EdgeFace's and InsightFace's way of naming and shaping things."""
    data = sface_like(batch=batch, dimension=dimension, source=source, output=output)
    model = _describe(data).model
    assert model.input.shape == shape
    assert model.outputs[0].source == output
    assert model.outputs[0].shape == [shape[0], dimension]
    assert model.family == "arcface"


def test_a_description_reads_back_as_what_was_written(tmp_path: Path) -> None:
    """Through the strict reader, free batch and missing thresholds included."""
    card = _describe(sface_like(batch="N"), licence=PRIVATE)
    (tmp_path / "card.yaml").write_text(card_text(card), encoding="utf-8")
    assert load_card(tmp_path / "card.yaml", EmbedderCard)[0] == card
    assert card.thresholds is None


def test_the_name_follows_file_feeding_and_output() -> None:
    """Templates are told apart by the name alone."""
    first = _describe(sface_like()).model.name
    assert first == _describe(sface_like()).model.name
    fed = Preprocessing(colour="bgr", mean=127.5, divisor=127.5, geometry="face_chip")
    others = {_describe(sface_like(seed=2)).model.name, _describe(sface_like(), preprocessing=fed).model.name}
    assert len({first, *others}) == 3
    assert all(name.startswith("mine-") for name in others)


def test_a_network_that_does_not_fit_the_chip_is_told_both_sizes() -> None:
    """A detector that leaves its picture's size free, and whose layers do not fit together at the chip's."""

    def narrow(graph: onnx.GraphProto) -> None:
        for dim in graph.input[0].type.tensor_type.shape.dim[2:]:
            dim.Clear()
        for each in graph.initializer:
            if each.name == "projection":
                each.CopyFrom(numpy_helper.from_array(np.zeros((8 * 5 * 5, 128), np.float32), "projection"))

    with pytest.raises(PackError) as refused:
        _describe(_changed(narrow))
    assert "(1, 3, free, free)" in refused.value.message
    assert "(1, 3, 112, 112)" in refused.value.message
    assert "ShapeInference" not in refused.value.message
    assert refused.value.reason == "unconvertible"


@pytest.mark.shared
def test_a_detector_is_no_embedder(shared: Path) -> None:
    """YuNet, given by mistake."""
    with pytest.raises(PackError, match=r"takes \(1, 3, free, free\).*\(1, 3, 112, 112\)"):
        _describe((shared / "models" / "face_detection_yunet_2026may.onnx").read_bytes())


def test_sizes_that_no_file_tells_are_found_out() -> None:
    """An exporter that left every size of the output free."""

    def forget(graph: onnx.GraphProto) -> None:
        for dim in (*graph.output[0].type.tensor_type.shape.dim, *graph.input[0].type.tensor_type.shape.dim[2:]):
            dim.Clear()

    assert _describe(_changed(forget)).model.outputs[0].shape == [1, 128]


def test_of_several_outputs_the_owner_names_one() -> None:
    """None is guessed."""

    def twin(graph: onnx.GraphProto) -> None:
        graph.node.append(helper.make_node("Neg", ["fc1"], ["fc2"]))
        graph.output.append(helper.make_tensor_value_info("fc2", TensorProto.FLOAT, [1, 128]))

    data = _changed(twin)
    with pytest.raises(UsageError, match="fc1, fc2") as caught:
        _describe(data)
    assert "--output" in caught.value.hint
    assert _describe(data, output="fc2").model.outputs[0].source == "fc2"
    with pytest.raises(UsageError, match="fc3"):
        _describe(data, output="fc3")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "truncated"),
        (sface_like()[:5000], "truncated"),
        (_changed(lambda graph: _sizes(graph.input[0], 1, 112, 112, 3)), "colours last"),
        (_changed(lambda graph: _sizes(graph.input[0], 1, 3, 160, 160)), "112, 112"),
        (_changed(lambda graph: _sizes(graph.input[0], 1, 1, 112, 112)), "(1, 1, 112, 112)"),
        (_changed(lambda graph: _sizes(graph.input[0], 4, 3, 112, 112)), "1, 2 or free"),
        (_changed(lambda graph: _sizes(graph.input[0], 3, 112, 112)), "(3, 112, 112)"),
        (sface_like(dimension=64), "fc1 (1, 64)"),
        (sface_like(dimension=1024), "128 to 512"),
    ],
)
def test_what_is_no_such_network_is_refused_with_what_it_has(data: bytes, words: str) -> None:
    """Damaged, other sizes, other layout, too short or too long a vector."""
    with pytest.raises(PackError, match="be used") as caught:
        _describe(data)
    assert words in caught.value.message
    assert caught.value.reason == "unconvertible"
    assert caught.value.hint


@pytest.mark.parametrize("changes", [{"name": "Mine"}, {"name": ""}, {"name": "x" * 60}, {"file": "my model.onnx"}])
def test_a_name_that_no_description_may_have_is_refused(changes: dict[str, str]) -> None:
    """Told as what it is, not as a mistake in the program."""
    with pytest.raises(PackError) as caught:
        _describe(sface_like(), **changes)
    assert caught.value.reason == "card"
    assert caught.value.hint


# ---- The command


def test_the_command_writes_a_description_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Never over what is there, unless told to; nothing else is left in the folder."""
    words = ["describe-embedder", str(folder / "mine.onnx"), *WORDS, "--out", str(folder / "card.yaml")]
    assert cli.run(words) == 0
    told = capsys.readouterr().out
    assert "rgb, (value - 127.5) / 127.5" in told
    assert "--embedder" in told
    (folder / "card.yaml").write_text("mine", encoding="utf-8")
    assert cli.run(words) == 64
    assert (folder / "card.yaml").read_text(encoding="utf-8") == "mine"
    assert cli.run([*words, "--force"]) == 0
    assert load_card(folder / "card.yaml", EmbedderCard)
    assert sorted(path.name for path in folder.iterdir()) == ["cache", "card.yaml", "mine.onnx"]


def test_a_description_that_came_a_moment_ago_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking and writing somebody else wrote one."""

    def meanwhile(*words: Any, **options: Any) -> EmbedderCard:
        (folder / "card.yaml").write_text("mine", encoding="utf-8")
        return describe_embedder(*words, **options)

    monkeypatch.setattr(embedder, "describe_embedder", meanwhile)
    assert cli.run(["describe-embedder", str(folder / "mine.onnx"), *WORDS, "--out", str(folder / "card.yaml")]) == 64
    assert (folder / "card.yaml").read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["cache", "card.yaml", "mine.onnx"]


def test_without_a_file_the_description_goes_to_standard_output(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As YAML, or as JSON for machines."""
    words = ["describe-embedder", str(folder / "mine.onnx"), *WORDS]
    assert cli.run(words) == 0
    card = EmbedderCard.model_validate(yaml.safe_load(capsys.readouterr().out))
    assert cli.run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["card"]["model"]["name"] == card.model.name


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nowhere.onnx", *WORDS], 66),
        (["mine.onnx", *WORDS[:4]], 64),
        (["mine.onnx", *WORDS[:4], "--commercial-use", "perhaps"], 64),
        (["mine.onnx", *WORDS, "--divisor", "0"], 64),
        (["mine.onnx", *WORDS, "--mean", "nan"], 64),
        (["mine.onnx", *WORDS, "--colour", "grey"], 64),
        (["mine.onnx", *WORDS, "--output", "fc7"], 64),
        (["text.onnx", *WORDS], 70),
        (["mine.onnx", *WORDS, "--out", "no/such/folder/card.yaml"], 64),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    """One line on what happened, one on what to do."""
    monkeypatch.chdir(folder)
    (folder / "text.onnx").write_text("no model", encoding="utf-8")
    assert cli.run(["describe-embedder", *words]) == code
    error = capsys.readouterr().err.splitlines()
    assert error[0].startswith("error: ")
    assert error[-1].startswith("hint: ")
    assert sorted(path.name for path in folder.iterdir()) == ["cache", "mine.onnx", "text.onnx"]


# ---- Building with it


def test_a_licence_that_forbids_commercial_use_needs_a_word(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without it nothing is written; with it the manifest and `check` say so for ever."""
    card = _card(folder, licence=PRIVATE)
    state = folder / "state"
    words = ["build", "--target", "onnxruntime", "--offline", "--state", str(state), "--mirror", str(folder)]
    words += ["--embedder", str(card), "--cache", str(folder / "cache")]
    assert cli.run(words) == 70
    error = capsys.readouterr().err
    assert "CC-BY-NC-4.0" in error
    assert "published for research" in error
    assert "--accept-non-commercial" in error
    assert not pack_directory(state, "door").exists()
    assert cli.run([*words, "--accept-non-commercial"]) == 0
    pack = verify_pack(
        pack_directory(state, "door"), mac_key=StateKeys.derive(KeyFile(state / "state.key").load()).pack_mac
    )
    assert pack.manifest.models["embedder"].source.licence == PRIVATE
    told = check_pack(pack)
    assert told.outcome is Outcome.AMBER
    assert pack.manifest.models["embedder"].model_id in told.detail


def test_the_licence_gate_is_an_error_with_its_own_reason(folder: Path) -> None:
    """`licence`, before anything is fetched."""
    card = _card(folder, licence=PRIVATE)
    (folder / "mine.onnx").unlink()
    with pytest.raises(PackError) as caught:
        _build(folder, card)
    assert caught.value.reason == "licence"
    assert not (folder / "state").exists()


def test_a_description_of_another_role_is_no_embedder(tmp_path: Path) -> None:
    """A detector's, a pack's, one with another geometry, one of other sizes."""
    (tmp_path / "mine.onnx").write_bytes(sface_like())
    detector = load_pack_card("door-plus")[0].models["detector"].model_dump(mode="json")
    changes: Mapping[str, Any]
    for changes in (
        {"model": {**detector, "source": "embedder"}},
        {"model__family": "facemesh"},
        {"model__family": "dlib-resnet"},
        {"model__source": "mine"},
        {"model__preprocessing__geometry": "letterbox"},
        {"model__input__shape": [1, 3, 96, 96]},
        {"model__outputs": []},
        {"thresholds": {}},
    ):
        with pytest.raises(PackError) as caught:
            load_card(_card(tmp_path, changes), EmbedderCard)
        assert caught.value.reason == "card", changes
    with pytest.raises(PackError):
        load_card(EMBEDDERS_DIRECTORY.parent / "packs" / "door.yaml", EmbedderCard)


def test_thresholds_of_another_embedder_are_none_of_this_one(folder: Path) -> None:
    """Copied from the pack's own description: what they were measured with stands in them."""
    own = load_pack_card("door")[0].thresholds
    assert own is not None
    borrowed = own.model_dump(mode="json")
    with pytest.raises(PackError, match="another embedder") as caught:
        load_card(_card(folder, {"thresholds": borrowed}), EmbedderCard)
    assert caught.value.reason == "card"
    borrowed["rule"]["model_id"] = _describe((folder / "mine.onnx").read_bytes()).model.model_id("fp32")
    assert load_card(_card(folder, {"thresholds": borrowed}), EmbedderCard)[0].thresholds is not None


def test_a_local_name_without_its_digits_is_refused(folder: Path) -> None:
    """Nor with those of another way of feeding; the message says which are right."""
    name = _describe((folder / "mine.onnx").read_bytes()).model.name
    for changes in ({"model__name": "mine"}, {"model__preprocessing__colour": "bgr"}):
        with pytest.raises(PackError, match="must end with -") as caught:
            load_card(_card(folder, changes), EmbedderCard)
        assert caught.value.reason == "card"
    assert load_card(_card(folder), EmbedderCard)[0].model.name == name


@pytest.mark.parametrize(
    "change",
    [
        {"source__sha256": "ab" * 32},
        {"model__preprocessing__colour": "bgr"},
        {"model__preprocessing__divisor": 127.5},
        {"model__outputs__0__source": "fc2"},
        {"model__family": "dlib-resnet", "model__input__shape": [1, 3, 150, 150]},
        {"model__name": "sface-2021dec"},
    ],
)
def test_no_two_embedders_share_a_name_wherever_they_come_from(tmp_path: Path, change: Mapping[str, Any]) -> None:
    """Nor one of an address: another file, alignment, feeding or output needs other digits."""
    tree = yaml.safe_load((EMBEDDERS_DIRECTORY / "sface.yaml").read_bytes())
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(_with(tree, change)), encoding="utf-8")
    with pytest.raises(PackError, match="must end with -") as caught:
        load_card(tmp_path / "card.yaml", EmbedderCard)
    assert caught.value.reason == "card"
    load_card(EMBEDDERS_DIRECTORY / "sface.yaml", EmbedderCard)


def test_names_that_collide_with_the_packs_own_are_refused(folder: Path) -> None:
    """A model of one name would inherit the other's templates; a file of one name the other's bytes."""
    pack = load_pack_card("door")[0]
    sface = load_card(EMBEDDERS_DIRECTORY / "sface.yaml", EmbedderCard)[0]
    for role in ("embedder", "landmarks"):
        taken = sface.model.model_copy(update={"name": pack.models[role].name})
        with pytest.raises(PackError, match=pack.models[role].name) as caught:
            pack.with_embedder(sface.model_copy(update={"model": taken}))
        assert caught.value.reason == "card"
    source = sface.source.model_copy(update={"file": pack.sources["mediapipe"].file})
    with pytest.raises(PackError, match="mediapipe"):
        pack.with_embedder(sface.model_copy(update={"source": source}))
    tree = yaml.safe_load((EMBEDDERS_DIRECTORY.parent / "packs" / "door.yaml").read_bytes())
    tree["sources"]["embedder"] = tree["sources"].pop("mediapipe")
    for model in tree["models"].values():
        model["source"] = model["source"].replace("mediapipe", "embedder")
    with pytest.raises(PackError, match="calls a source 'embedder'"):
        PackCard.model_validate(tree).with_embedder(sface)


def test_an_embedder_that_is_not_the_one_described_is_not_built(folder: Path) -> None:
    """Another file under its name, and none at all; the pack that is there stays."""
    card = _card(folder)
    (folder / "mine.onnx").write_bytes(sface_like(seed=3))
    with pytest.raises(DoorwardError, match="sha256"):
        _build(folder, card)
    (folder / "mine.onnx").unlink()
    with pytest.raises(DoorwardError, match="yours to bring"):
        _build(folder, card)
    assert not pack_directory(folder / "state", "door").exists()


def test_an_embedder_without_thresholds_opens_nothing(folder: Path) -> None:
    """Reason ``uncalibrated``, with what to do."""
    pack = _build(folder, _card(folder))
    with pytest.raises(PackError, match="no threshold") as caught:
        _ = pack.thresholds
    assert caught.value.reason == "uncalibrated"
    assert "calibrate" in caught.value.hint
    with pytest.raises(PackError):
        check_threshold(Config(), pack, match=0.9, same_face=0.9)


def test_what_only_the_replaced_embedder_needs_is_not_fetched(shared: Path, folder: Path) -> None:
    """Door-plus with another embedder, built without the archive of dlib's."""
    pack = load_pack_card("door-plus")[0]
    mirror = folder / "mirror"
    shutil.copytree(shared / "models", mirror)
    shutil.copy2(folder / "mine.onnx", mirror / "mine.onnx")
    options = BuildOptions(embedder=load_card(_card(folder), EmbedderCard)[0])
    fetcher = Fetcher(cache=folder / "cache", mirror=mirror, offline=True)
    built = build_pack("door-plus", state=folder / "state", mac_key=KEY, fetcher=fetcher, options=options).pack
    assert built.manifest.models["embedder"].family == "arcface"
    assert built.manifest.models["embedder"].source.origin == "a file of the owner's"
    assert pack.sources["face-recognition-models"].file not in {path.name for path in (folder / "cache").iterdir()}
    assert built.manifest.models["detector"].family == "yunet"
