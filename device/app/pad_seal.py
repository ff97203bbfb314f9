"""A report as a file, signed by the device that was tried.

    {"report":{"about":...,"figures":...,"tries":[...]},"signature":"..."}

One line of canonical JSON. The signature (Ed25519, RFC 8032) is over a header and the very bytes of ``report``, and is
checked before any of them is parsed.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from device.app.pad_report import FORM, Report
from device.audit.canonical import canonical_json
from device.ed25519 import anybody_can_sign
from device.errors import AuditError, UsageError

#: Ten kinds of 200 tries take some 1.5 MB.
MAX_REPORT_BYTES: Final = 4 * 1024 * 1024
_HEADER: Final = b"doorward-pad-report-1\n"
_BEGIN: Final = b'{"report":'
_MIDDLE: Final = b',"signature":"'
_END: Final = b'"}\n'
_SIGNATURE_BYTES: Final = 64


def public_key(seed: bytes) -> bytes:
    """The public key, 32 bytes, of a private one."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def signed(report: Report, *, seed: bytes) -> bytes:
    """The bytes of the report's file.

    Args:
        report: What is signed.
        seed: Ed25519 private key, 32 bytes.

    Raises:
        AuditError: Something in it has no canonical form.
    """
    body = _canonical(report)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(_HEADER + body)
    return _BEGIN + body + _MIDDLE + signature.hex().encode() + _END


def verified(raw: bytes, *, key: bytes) -> Report:
    """The report in a file, once its signature was checked.

    Args:
        raw: All bytes of the file.
        key: Ed25519 public key, 32 bytes, of the device that must have signed it.

    Raises:
        AuditError: It is no such report, it was changed, another device signed it, or another version wrote it.
        UsageError: Anybody could have signed for this key.
    """
    if anybody_can_sign(key):
        raise UsageError("the key is a point of small order, for which anybody can sign", hint="give the device's own")
    at = len(raw) - len(_END) - 2 * _SIGNATURE_BYTES
    body = raw[len(_BEGIN) : max(at - len(_MIDDLE), 0)]
    digits = raw[max(at, 0) : len(raw) - len(_END)]
    # Put together again from its parts it must be the file, byte for byte: hexadecimal digits have two spellings.
    signature = _signature(digits)
    if not body or raw != _BEGIN + body + _MIDDLE + signature.hex().encode() + _END:
        raise AuditError("this is no report of `doorward pad-test`, or its frame was changed", hint="check the file")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _HEADER + body)
    except (InvalidSignature, ValueError) as exc:
        raise AuditError(
            "the signature does not belong to this report: it was changed, or another device made it",
            hint="trust no figure of it; `doorward pad-test` printed the key that --key takes, on the device itself",
        ) from exc
    try:
        report = Report.model_validate_json(body)
    except ValidationError as exc:
        raise AuditError(
            f"the report is sound, but of form {_form(body)}; this version reads form {FORM}",
            hint="read it with the version that wrote it",
        ) from exc
    if report.about.public_key != key.hex():
        raise AuditError("the report names another device than the one that signed it", hint="trust no figure of it")
    return report


def _form(body: bytes) -> str:
    """The number of a sound report's form, for a message."""
    try:
        form = json.loads(body)["about"]["form"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return "unknown"
    return str(form) if type(form) is int and form != FORM else f"{FORM} with other fields"


def fingerprint(raw: bytes) -> str:
    """SHA-256 of a report's file, 64 hex digits: what the audit entry names it by."""
    return hashlib.sha256(raw).hexdigest()


def _signature(digits: bytes) -> bytes:
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""


def _canonical(report: Report) -> bytes:
    """Canonical JSON of the whole, put together from its parts, each of which is as small as an audit entry's."""
    tree = report.model_dump(mode="json")
    tries = b",".join(canonical_json(each) for each in tree["tries"])
    about, figures = (canonical_json(tree[part]) for part in ("about", "figures"))
    return b'{"about":' + about + b',"figures":' + figures + b',"tries":[' + tries + b"]}"
