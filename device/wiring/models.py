"""The model pack, and the parts of vision made of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from device.access.votes import is_as_strict
from device.config import Config
from device.errors import ConfigError, PackError
from device.gallery.exact import ExactIndex
from device.gallery.hnsw import make_hnsw_index
from device.interfaces import GalleryIndex, InferenceSession
from device.keys import StateKeys
from device.types import Face, Image
from device.vision.align import ALIGNMENTS
from device.vision.backends.awake import AwakeSession
from device.vision.backends.onnx import OnnxSession
from device.vision.backends.tensorrt import TensorRtSession
from device.vision.detector import BlazeFaceDetector, FaceDetector
from device.vision.embedder import FaceEmbedder
from device.vision.iris import EyeReader
from device.vision.landmarks import FaceMesh
from device.vision.liveness.passive import PassiveScorer
from device.vision.manifest import PAD_ROLES, Family, ModelEntry, Role
from device.vision.pack import Pack, load_pack, read_signature, write_manifest
from device.vision.photo import find_faces
from device.vision.pipeline import VisionPipeline
from device.vision.quality import Gates
from device.vision.warp import use_threads
from device.vision.yunet import YuNetDetector
from device.wiring.state import state_keys, writing

PACKS_NAME = "packs"

DETECTORS: Final[Mapping[Family, type[BlazeFaceDetector | YuNetDetector]]] = {
    "blazeface-full": BlazeFaceDetector,
    "yunet": YuNetDetector,
}


def has_passive(pack: Pack) -> bool:
    """Whether a pack has the networks that tell a replayed face from a living one without asking it anything."""
    return set(PAD_ROLES) <= set(pack.manifest.models)


SessionMaker = Callable[[bytes, str], InferenceSession]


def open_pack(state: Path, config: Config, keys: StateKeys) -> Pack:
    """The configured pack, authenticated. Raises PackError."""
    directory = state / PACKS_NAME / config.models.pack
    if not directory.is_dir():
        raise PackError(
            f"there is no model pack {config.models.pack!r} in {state}",
            reason="missing",
            hint=f"doorward-export build --pack {config.models.pack} --state {state}",
        )
    return load_pack(directory, mac_key=keys.pack_mac, signed_by=_signer(config), name=config.models.pack)


def _signer(config: Config) -> Ed25519PublicKey | None:
    key = config.models.signing_key
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)) if key is not None else None


def _is_whole(directory: Path, pack: Pack, keys: StateKeys, config: Config) -> bool:
    try:
        found = load_pack(directory, mac_key=keys.pack_mac, signed_by=_signer(config))
        found.require_whole()
    except PackError:
        return False
    return found.manifest == pack.manifest


def adopt_pack(source: Path, target: Path, config: Config) -> None:
    """Bring the pack of one state directory into another, sealed under its key; verified on the way.

    What lies there already is kept if it is the same pack, whole, and replaced if it is anything else.

    Raises:
        PackError: There is none to bring, or it was altered.
        FullError, StateError: The target cannot be written.
    """
    old_keys, new_keys = state_keys(source), state_keys(target, create=True)
    pack = open_pack(source, config, old_keys)
    directory = target / PACKS_NAME / config.models.pack
    if directory.exists() and _is_whole(directory, pack, new_keys, config):
        return
    with writing(target):
        if directory.exists():
            shutil.rmtree(directory)
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".adopting-", dir=directory.parent) as aside:
            folder = Path(aside) / config.models.pack
            folder.mkdir(mode=0o700)
            for entry in pack.manifest.files:
                (folder / entry.file).write_bytes(pack.read_file(entry))
            signature = read_signature(pack.directory)
            write_manifest(folder, pack.manifest, mac_key=new_keys.pack_mac, signature=signature)
            folder.rename(directory)


def match_threshold(pack: Pack, config: Config) -> float:
    """Cosine from which two faces match: the configured one, else the pack's.

    Raises:
        PackError: ``uncalibrated``, whatever is configured.
        ConfigError: A configured one is looser than anything measured for this pack's embedder, or the door counts
            votes by a looser rule than the one that was measured.
    """
    _require_rule(pack, config)
    return _in_force(pack, config.gallery.threshold, key="gallery.threshold", own=pack.thresholds.match_cosine)


def same_face_threshold(pack: Pack, config: Config) -> float:
    """Cosine from which a face is still the one a visit began with: the configured one, else the pack's loosest.

    Raises:
        PackError, ConfigError: As :func:`match_threshold`.
    """
    _require_rule(pack, config)
    return _in_force(pack, config.access.same_face, key="access.same_face", own=pack.thresholds.match[0].cosine)


def _require_rule(pack: Pack, config: Config) -> None:
    """A threshold belongs to the votes it was measured for: what 30 frames of 60 rarely reach, 3 of 5 reach often."""
    rule, votes, window = pack.thresholds.rule, config.access.votes, config.access.vote_window
    if not is_as_strict(k=votes, n=window, than_k=rule.votes, than_n=rule.window):
        raise ConfigError(
            f"the pack's thresholds were measured for {rule.votes} of {rule.window} frames, and access.votes"
            f" {votes} of access.vote_window {window} let more strangers in",
            hint=f"set access.votes {rule.votes} and access.vote_window {rule.window}, or calibrate for this door:"
            f" doorward-export calibrate --votes {votes} --window {window}",
        )


def _in_force(pack: Pack, configured: float | None, *, key: str, own: float) -> float:
    """A number written by hand was written for one embedder, and says nothing about another one.

    Cosines of different networks have nothing in common: where strangers reach 0.3 with one, they reach 0.8 with
    another. Below the loosest point that was measured for the embedder in use nobody knows how many strangers match.
    """
    if configured is None:
        return own
    loosest = pack.thresholds.match[0]
    if not configured >= loosest.cosine:
        raise ConfigError(
            f"{key} {configured:g} is below {loosest.cosine:g}, the loosest point measured for"
            f" {pack.manifest.models['embedder'].model_id}: was it set for another embedder?",
            hint=f"remove {key}, or calibrate this pack for a looser rate: doorward-export calibrate",
        )
    return configured


def make_index(pack: Pack, config: Config) -> GalleryIndex:
    """An empty gallery for this pack's embeddings. Raises ConfigError where the extra ``ann`` is missing."""
    entry = pack.manifest.models["embedder"]
    dimension = entry.outputs[0].shape[-1]
    if dimension is None:
        raise PackError("the embedder's output has no fixed dimension", reason="schema")
    if config.gallery.index == "hnsw":
        return make_hnsw_index(dimension=dimension, model=entry.model_id)
    return ExactIndex(dimension=dimension, model=entry.model_id)


@dataclass(frozen=True, slots=True)
class Vision:
    """The models of one pack, loaded; one session each. Used by one thread."""

    pack: Pack
    config: Config
    detector: FaceDetector
    mesh: FaceMesh
    embedder: FaceEmbedder
    passive: PassiveScorer | None = None
    eyes: EyeReader | None = None

    def pipeline(self) -> VisionPipeline:
        """A pipeline for one camera."""
        return VisionPipeline(self.detector, self.mesh, self.embedder, self.config.vision)

    def find_faces(self, image: Image, *, gates: Gates | None = None) -> tuple[Face, ...]:
        """All faces of a still picture, judged by the door's gates or by others."""
        return find_faces(
            image,
            detector=self.detector,
            mesh=self.mesh,
            min_presence=self.config.vision.min_presence,
            gates=gates or Gates.for_door(self.config.vision),
        )


def onnx_session(model: bytes, name: str, config: Config) -> InferenceSession:
    """A model on onnxruntime. Raises ModelError."""
    return OnnxSession(model, model=name, threads=config.models.threads)


def open_session(pack: Pack, role: Role, config: Config) -> InferenceSession:
    """A model on what the pack was built for; there is no second choice. Raises PackError, ModelError."""
    entry = pack.model(role)
    if entry.engine is None:
        return onnx_session(pack.read(role), entry.model_id, config)
    return TensorRtSession(pack.read_engine(role), model=entry.model_id, tag=entry.engine, model_sha256=entry.sha256)


def make_detector(session: InferenceSession, entry: ModelEntry, config: Config) -> FaceDetector:
    """The detector of the pack's family. Raises ModelError where the model is not one of it."""
    configured = config.vision.min_detection_score
    min_score = configured if configured is not None else entry.min_score
    if min_score is None:
        raise PackError(f"no least score is known for {entry.model_id}", reason="schema")
    return DETECTORS[entry.family](session, min_score=min_score, max_faces=config.vision.max_faces)


def make_embedder(session: InferenceSession, entry: ModelEntry) -> FaceEmbedder:
    """The embedder with the alignment of its family. Raises ModelError where the model is not one of it."""
    return FaceEmbedder(session, alignment=ALIGNMENTS[entry.family], preprocessing=entry.preprocessing)


def load_vision(pack: Pack, config: Config, *, make_session: SessionMaker | None = None) -> Vision:
    """Load the models that the door needs: the passive networks where the pack has them, iris where blinks are counted.

    Args:
        pack: Where the models are.
        config: Thresholds and threads.
        make_session: What loads a model from its ONNX file instead of what the pack was built for.

    Raises:
        PackError: A model was altered.
        ModelError: A model cannot be loaded, or is not what the manifest says.
    """
    use_threads(config.models.threads)

    def session(role: Role) -> InferenceSession:
        if make_session is None:
            return AwakeSession(open_session(pack, role, config))
        return AwakeSession(make_session(pack.read(role), pack.model(role).model_id))

    return Vision(
        pack=pack,
        config=config,
        detector=make_detector(session("detector"), pack.model("detector"), config),
        mesh=FaceMesh(session("landmarks")),
        embedder=make_embedder(session("embedder"), pack.model("embedder")),
        passive=PassiveScorer(*map(session, PAD_ROLES)) if has_passive(pack) else None,
        eyes=EyeReader(session("iris")) if config.liveness.count_blinks else None,
    )
