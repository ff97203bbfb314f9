"""The system's two clocks. The wall clock counts as trusted only while the kernel says that it is synchronised."""

from __future__ import annotations

import ctypes
import time
from datetime import datetime, timezone

#: ``STA_UNSYNC`` of adjtimex(2): set by the kernel until a time service has set the clock.
_STA_UNSYNC = 0x0040
#: ``TIME_ERROR`` of adjtimex(2): the clock is not synchronised to a reliable server.
_TIME_ERROR = 5


class SystemClock:
    """Linux: CLOCK_MONOTONIC, CLOCK_REALTIME and adjtimex(2)."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    def wall(self) -> datetime:
        """Now, UTC."""
        return datetime.now(timezone.utc)

    def wall_trusted(self) -> bool:
        """Whether the kernel counts the clock as synchronised; False where it cannot be asked."""
        # struct timex: 11 longs/ints we do not need individually; 256 bytes are ample on every Linux ABI.
        buffer = (ctypes.c_ubyte * 256)()
        adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
        if adjtimex is None:
            return False
        state = adjtimex(ctypes.byref(buffer))
        # modes (padded to a long), offset, freq, maxerror, esterror (longs), then the int ``status``.
        status = ctypes.c_int.from_buffer(buffer, ctypes.sizeof(ctypes.c_long) * 5).value
        return state not in (-1, _TIME_ERROR) and not status & _STA_UNSYNC
