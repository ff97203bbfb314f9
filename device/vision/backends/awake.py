"""A session that notices when its model no longer looks: two inputs that differ, one answer, bit by bit.

A runtime that hangs, a driver that hands out its last buffer or a model that was replaced says the same of everybody.
An embedder stuck at the last visitor would let the next one in under that name; a detector stuck at an empty corridor
would never see who joins. No two pictures of a sensor are alike, and no network that looks at them answers them alike:
one grey level in one value of a face changed every answer of 1,200 (MiniFASNet).
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.errors import ModelError
from device.interfaces import InferenceSession

#: Inputs are told apart by about so many of their values, whatever the size of the input.
_SAMPLES: Final = 4096


class AwakeSession:
    """Keeps :class:`device.interfaces.InferenceSession` over another one.

    Args:
        session: The model.
    """

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        # Two: a driver with two buffers may hand out one and the other for ever.
        self._last: deque[tuple[bytes, list[bytes]]] = deque(maxlen=2)
        self._asleep = False

    @property
    def model(self) -> str:
        """Id of the model."""
        return self._session.model

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the model."""
        return self._session.input_shape

    def run(self, tensor: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """The model's outputs; once stuck, an error until it answers otherwise, whatever it is shown.

        Raises:
            ModelError: The model failed, or answered another input just so.
        """
        flat = tensor.reshape(-1)
        # Before the run, which drives the input out of the processor's caches: 3 us, not 50.
        seen = flat[:: max(1, flat.size // _SAMPLES)].tobytes()
        outputs = self._session.run(tensor)
        answer = [output.tobytes() for output in outputs]
        self._asleep = any(answer == said and (self._asleep or seen != saw) for saw, said in self._last)
        self._last.append((seen, answer))
        if self._asleep:
            raise ModelError(
                f"model {self.model} gave different pictures the same answer",
                hint="doorward-export verify tells whether the models compute rightly on this machine",
            )
        return outputs

    def close(self) -> None:
        """Free the model; harmless when closed already."""
        self._session.close()
