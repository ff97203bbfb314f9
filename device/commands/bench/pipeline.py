"""The pipeline on a recording: stages, and the ratio of its time to that of its bare model runs.

Three rigs see the same frames: one only notes which models ran on what, one is timed as a whole, one stage by stage.
The noted calls are replayed on the bare sessions right after (or right before) the whole was timed, frame by frame,
so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from device.app.visit import Doorkeeper
from device.commands.bench.measure import Spread, Stage, Stopwatch
from device.config import Config
from device.interfaces import InferenceSession
from device.sim.clock import ManualClock
from device.sim.signals import PromptBoard
from device.types import Frame
from device.wiring.daemon import make_doorkeeper
from device.wiring.models import Vision, load_vision, onnx_session, open_pack
from device.wiring.people import open_roster
from device.wiring.state import open_state
from device.wiring.surroundings import make_door

#: The rigs must ask for the same turns to make the same calls.
_SEED = 1


@dataclass(frozen=True, slots=True)
class Call:
    """One run of one model."""

    session: InferenceSession
    tensor: NDArray[np.float32]


class Listener:
    """A session that notes a copy of every input."""

    def __init__(self, session: InferenceSession, calls: list[Call]) -> None:
        self._session = session
        self._calls = calls
        self.model = session.model
        self.input_shape = session.input_shape

    def run(self, tensor: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Note and run."""
        self._calls.append(Call(self._session, tensor.copy()))
        return self._session.run(tensor)

    def close(self) -> None:
        """The session's own."""
        self._session.close()


@dataclass(frozen=True, slots=True)
class PipelineCost:
    """What the pipeline costs.

    Attributes:
        stages: Wall time of each stage.
        ratio: Time of whole frames over time of the bare model runs that these frames made.
        pass_ratios: The same for each pass alone: how noisy the machine is.
        frames: Frames that were timed.
        frames_per_second: Frames over their time.
        model_runs: Bare model runs that were replayed.
        liveness_ms: Whole proof of life, mean over the frames that showed a face: networks, cues, corners, rules.
    """

    stages: dict[str, Spread]
    ratio: float
    pass_ratios: tuple[float, ...]
    frames: int
    frames_per_second: float
    model_runs: int
    liveness_ms: float | None


class Rigs:
    """Doorkeepers on state directories of their own, sharing the loaded models.

    Args:
        states: One state directory each for listening, whole and staged; each with the pack.
        config: The configuration.
        stack: Closes what is opened.
    """

    def __init__(self, states: Sequence[Path], config: Config, *, stack: ExitStack) -> None:
        self._config = config
        self._clocks = [ManualClock() for _ in states]
        self._states = [
            stack.enter_context(open_state(state, config, clock=clock, create=True))
            for state, clock in zip(states, self._clocks, strict=True)
        ]
        self.calls: list[Call] = []
        pack = open_pack(states[0], config, self._states[0].keys)
        self._plain = load_vision(pack, config)
        self._listening = load_vision(
            pack,
            config,
            make_session=lambda model, name: Listener(onnx_session(model, name, config), self.calls),
        )

    @property
    def vision(self) -> Vision:
        """The loaded models."""
        return self._plain

    def doorkeeper(self, which: int, *, listening: bool = False, watch: Stopwatch | None = None) -> Doorkeeper:
        """A fresh doorkeeper; with a stopwatch, its stages are timed."""
        state, clock = self._states[which], self._clocks[which]
        vision = self._listening if listening else self._plain
        roster = open_roster(state, vision.pack, self._config)
        if watch is not None:
            vision = replace(
                vision,
                detector=cast("Any", Stage(vision.detector, watch, detect="detect")),
                mesh=cast("Any", Stage(vision.mesh, watch, locate="landmarks")),
                embedder=cast("Any", Stage(vision.embedder, watch, embed="embed", embed_chip="embed")),
                passive=cast("Any", Stage(vision.passive, watch, score="passive")) if vision.passive else None,
            )
            roster = cast("Any", Stage(roster, watch, search="search"))
        keeper = make_doorkeeper(
            state,
            vision,
            roster,
            self._config,
            door=make_door(self._config, clock, pack=vision.pack),
            signals=PromptBoard(clock=clock),
            rng=random.Random(_SEED),  # noqa: S311  # the rigs must agree
            watch_proof=lambda proof: (
                cast("Any", Stage(proof, watch, observe="liveness")) if watch is not None else proof
            ),
        )
        return cast("Doorkeeper", Stage(keeper, watch, attend="whole frame")) if watch is not None else keeper

    def show(self, which: int, keeper: Doorkeeper, frame: Frame, *, begun_s: float) -> None:
        """Let a doorkeeper attend to a frame at its time."""
        now_s = begun_s + frame.captured_s
        self._clocks[which].advance_to(now_s)
        keeper.attend(replace(frame, captured_s=now_s))

    def now_s(self) -> float:
        """A time that has not been yet."""
        return max(clock.monotonic() for clock in self._clocks) + 60.0


def measure(rigs: Rigs, frames: Sequence[Frame], *, passes: int, only_with_runs: bool = False) -> PipelineCost:
    """Time the pipeline on these frames, several times over.

    Args:
        rigs: Three of them.
        frames: Times from 0.
        passes: How often all of them are shown to fresh doorkeepers.
        only_with_runs: Count only frames on which a model ran (idle frames between detections cost next to nothing).
    """
    ratios = []
    whole, bare, staged = Stopwatch(), Stopwatch(), Stopwatch()
    runs = counted = 0
    for number in range(passes):
        begun_s = rigs.now_s()
        before = whole.total_s("frame"), bare.total_s("run")
        listener, plain = rigs.doorkeeper(0, listening=True), rigs.doorkeeper(1)
        by_stage = rigs.doorkeeper(2, watch=staged)
        for frame in frames:
            rigs.calls.clear()
            rigs.show(0, listener, frame, begun_s=begun_s)
            calls = tuple(rigs.calls)

            counts = bool(calls) or not only_with_runs
            attended = partial(rigs.show, 1, plain, frame, begun_s=begun_s)
            steps = [partial(_replay, calls, bare), partial(whole.time, "frame" if counts else "left out", attended)]
            for step in steps if (number + frame.number) % 2 else steps[::-1]:
                step()
            rigs.show(2, by_stage, frame, begun_s=begun_s)
            runs += len(calls)
            counted += counts
        ratios.append((whole.total_s("frame") - before[0]) / max(bare.total_s("run") - before[1], 1e-9))
    total_s = whole.total_s("frame")
    stages = staged.spreads()
    liveness = stages.get("liveness")
    return PipelineCost(
        stages=stages,
        ratio=total_s / max(bare.total_s("run"), 1e-9),
        pass_ratios=tuple(round(ratio, 4) for ratio in ratios),
        frames=counted,
        frames_per_second=counted / total_s if total_s else 0.0,
        model_runs=runs,
        liveness_ms=liveness.total_ms / liveness.calls if liveness is not None else None,
    )


def _replay(calls: Sequence[Call], watch: Stopwatch) -> None:
    for call in calls:
        watch.time("run", partial(call.session.run, call.tensor))
