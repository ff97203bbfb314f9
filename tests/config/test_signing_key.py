"""Which public keys a configuration may trust: none for which anybody can sign."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from device.config import parse_config
from device.errors import ConfigError, UsageError
from export_tools.commands.verify import public_key

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def _x_of(y: int) -> int | None:
    """RFC 8032, 5.1.3; None where no point has this y."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    for x in (root, root * pow(2, (P - 1) // 4, P) % P):
        if x * x % P == square:
            return x
    return None


def _doubled(point: tuple[int, int]) -> tuple[int, int]:
    (x, y) = point
    cross = D * x * x * y * y % P
    return 2 * x * y * pow(1 + cross, -1, P) % P, (y * y + x * x) * pow(1 - cross, -1, P) % P


def _is_small(y: int) -> bool:
    """Whether eight times the point is the neutral one, by the curve's own addition."""
    x = _x_of(y % P)
    if x is None:
        return False
    point = (x, y % P)
    for _ in range(3):
        point = _doubled(point)
    return point == (0, 1)


def _order_eight() -> int:
    """A y of a point of order eight: it doubles to one with y = 0, so x^2 = -y^2, and d y^4 + 2 y^2 = 1."""
    for root in (pow(1 + D, (P + 3) // 8, P), pow(1 + D, (P + 3) // 8, P) * pow(2, (P - 1) // 4, P) % P):
        if root * root % P != (1 + D) % P:
            continue
        for sign in (1, -1):
            y_square = (-1 + sign * root) * pow(D, -1, P) % P
            y = pow(y_square, (P + 3) // 8, P)
            for candidate in (y, y * pow(2, (P - 1) // 4, P) % P):
                if candidate * candidate % P == y_square and _is_small(candidate):
                    return candidate
    raise AssertionError("no such point")


def _small_encodings() -> list[str]:
    """All of them: every y of small order, as itself and with P added where that fits, with both signs of x."""
    eight = _order_eight()
    values = [y for base in (0, 1, P - 1, eight, P - eight) for y in (base, base + P) if y < 2**255]
    return [(y | sign << 255).to_bytes(32, "little").hex() for y in values for sign in (0, 1)]


def _config(digits: str) -> str | None:
    return parse_config(f"models: {{signing_key: '{digits}'}}".encode(), origin="test").models.signing_key


def test_all_fourteen_encodings_of_points_of_small_order_are_refused() -> None:
    """With what to do; by the configuration and where a signature is verified by hand."""
    encodings = _small_encodings()
    assert len(set(encodings)) == 14
    for digits in encodings:
        with pytest.raises(ConfigError) as caught:
            _config(digits)
        (problem,) = caught.value.problems
        assert "models.signing_key" in problem
        assert "anybody can sign" in problem
        with pytest.raises(UsageError, match="anybody can sign"):
            public_key(digits)


@pytest.mark.parametrize("digits", ["00" * 32, "01" + "00" * 31])
def test_anybody_could_have_signed_for_them(digits: str) -> None:
    """The attack: one signature, without any key, is good for some of any few messages."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(digits))

    def forged(message: bytes) -> bool:
        try:
            key.verify(b"\x01" + bytes(63), message)
        except InvalidSignature:
            return False
        return True

    assert any(forged(b"evil %d" % number) for number in range(64))


def test_a_key_that_somebody_made_is_taken(tmp_path: Path) -> None:
    """Every one."""
    for number in range(32):
        key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32).public_key().public_bytes_raw().hex()
        assert _config(key) == key
        assert public_key(key).public_bytes_raw().hex() == key
        assert not _is_small(int.from_bytes(bytes.fromhex(key), "little") & (2**255 - 1))
