"""A relay on a GPIO line of a Raspberry Pi, through gpiozero.

The line is let go by a thread of its own at a deadline on the monotonic clock: whoever pulsed it may hang or die in the
meantime. A killed process is another matter (Raspberry Pi kernels keep the last level): that takes an external
pull-down, ``dtparam=strict_gpiod`` and the unit's stop action.
"""

from __future__ import annotations

import importlib
import threading
import time

from gpiozero import Factory, OutputDevice  # type: ignore[import-untyped]
from gpiozero.exc import BadPinFactory  # type: ignore[import-untyped]

from device.errors import DoorError

_WIRING_HINT = "check door.pin, that you are in the group gpio, and that nothing else uses the line"
#: A line that does not obey is switched off again and again: the door must not stay open over one failed write.
_RETRY_S = 0.25
#: How long close() waits for the releasing thread; it has nothing to do but to let go.
_JOIN_S = 2.0


class GpioRelay:
    """An output line, off from the first moment on.

    Args:
        pin: BCM number.
        active_high: Whether a high level energises the relay.
        max_pulse_s: Longer pulses are refused.
        factory: gpiozero pin factory; None takes lgpio and nothing else (gpiozero's own search could end in a factory
            that the environment names, or in one that drives nothing). A factory that is given stays the caller's.

    Raises:
        DoorError: The line cannot be driven.
    """

    def __init__(self, pin: int, *, active_high: bool, max_pulse_s: float, factory: Factory | None = None) -> None:
        self._description = f"GPIO {pin} ({'active high' if active_high else 'active low'})"
        self._max_pulse_s = max_pulse_s
        self._own_factory = _lgpio_factory() if factory is None else None
        try:
            self._line = OutputDevice(
                pin,
                active_high=active_high,
                initial_value=False,
                pin_factory=factory if factory is not None else self._own_factory,
            )
        except Exception as exc:  # gpiozero lets each driver's own exceptions through
            self._close_factory()
            raise DoorError(f"cannot drive {self._description}: {exc}", hint=_WIRING_HINT) from exc
        self._changed = threading.Condition()
        self._deadline_s: float | None = None
        self._closed = False
        self._fault = ""
        self._releaser = threading.Thread(target=self._release_in_time, name="relay-release", daemon=True)
        self._releaser.start()

    @property
    def description(self) -> str:
        """Line and polarity."""
        return self._description

    @property
    def simulated(self) -> bool:
        """A line that exists."""
        return False

    @property
    def active(self) -> bool:
        """Whether the line is driven now, as the driver reads it back. Raises DoorError when it cannot."""
        with self._changed:
            if self._closed:
                return False
            try:
                return bool(self._line.is_active)
            except Exception as exc:
                raise DoorError(f"cannot read {self._description}: {exc}", hint=_WIRING_HINT) from exc

    def pulse(self, duration_s: float) -> None:
        """Drive the line for ``duration_s``; see :class:`device.interfaces.Relay`. Raises DoorError."""
        if not 0 < duration_s <= self._max_pulse_s:
            raise DoorError(
                f"a pulse of {duration_s} s is not within {self._max_pulse_s} s", hint="check door.max_pulse_s"
            )
        with self._changed:
            if self._closed:
                raise DoorError(f"{self._description} is closed", hint="start the daemon again")
            if self._fault or not self._releaser.is_alive():
                raise DoorError(
                    f"{self._description} could not be let go: {self._fault or 'its thread is gone'}",
                    hint="check the wiring, then start the daemon again",
                )
            # The deadline stands before the line moves.
            self._deadline_s = time.monotonic() + duration_s
            self._changed.notify_all()
            try:
                self._line.on()
            except Exception as exc:
                self._let_go()
                raise DoorError(f"cannot drive {self._description}: {exc}", hint=_WIRING_HINT) from exc

    def release(self) -> None:
        """Let go now; harmless when released or closed already. Raises DoorError when the line does not obey."""
        with self._changed:
            if self._closed:
                return
            self._let_go()
            if self._fault:
                raise DoorError(f"cannot let go of {self._description}: {self._fault}", hint=_WIRING_HINT)

    def close(self) -> None:
        """Let go and give the line back; harmless when closed already. Raises DoorError when the line does not obey."""
        with self._changed:
            if self._closed:
                return
            self._let_go()
            self._closed = True
            self._changed.notify_all()
            fault = self._fault
        self._releaser.join(_JOIN_S)
        try:
            self._line.close()
            self._close_factory()
        except Exception as exc:
            raise DoorError(f"cannot close {self._description}: {exc}", hint=_WIRING_HINT) from exc
        if fault:
            raise DoorError(f"cannot let go of {self._description}: {fault}", hint=_WIRING_HINT)

    def _let_go(self) -> None:
        """Switch off; the caller holds the condition. While the line does not obey, the thread tries again."""
        try:
            self._line.off()
        except Exception as exc:  # noqa: BLE001  # must not end the releasing thread
            self._fault = str(exc) or type(exc).__name__
            self._deadline_s = time.monotonic() + _RETRY_S
            self._changed.notify_all()
        else:
            self._fault = ""
            self._deadline_s = None

    def _release_in_time(self) -> None:
        with self._changed:
            while not self._closed:
                if self._deadline_s is None:
                    self._changed.wait()
                    continue
                left_s = self._deadline_s - time.monotonic()
                if left_s > 0:
                    self._changed.wait(left_s)
                else:
                    self._let_go()

    def _close_factory(self) -> None:
        if self._own_factory is not None:
            self._own_factory.close()


def _lgpio_factory() -> Factory:
    """The lgpio factory of gpiozero. Raises DoorError where the driver or the chip is missing."""
    try:
        # Importing it imports the driver, which only boards have.
        return importlib.import_module("gpiozero.pins.lgpio").LGPIOFactory()
    except (ImportError, BadPinFactory) as exc:
        raise DoorError(
            f"the GPIO driver is missing: {exc}", hint="install it: pip install 'doorward[pi]', or apt python3-lgpio"
        ) from exc
    except Exception as exc:
        raise DoorError(f"cannot open the GPIO chip: {exc}", hint=_WIRING_HINT) from exc
