"""Ed25519 public keys for which anybody can sign.

Eight points of the curve have a small order: multiplied by eight they vanish, so that a signature can be made for them
without any private key. RFC 8032 verifies such signatures.
"""

from __future__ import annotations

from typing import Final

_PRIME: Final = 2**255 - 19
_ORDER_EIGHT: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
"""y of two of the points of order eight, the root of d y^4 + 2 y^2 = 1; the other two have its negative."""
_SMALL: Final = frozenset({0, 1, _PRIME - 1, _ORDER_EIGHT, _PRIME - _ORDER_EIGHT})


def anybody_can_sign(public_key: bytes) -> bool:
    """Whether a public key is a point of small order, in any of its 14 encodings.

    Args:
        public_key: 32 bytes.
    """
    y = int.from_bytes(public_key, "little") & (2**255 - 1)
    return y % _PRIME in _SMALL
