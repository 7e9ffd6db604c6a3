"""Signatures of messages: HMAC-SHA-256 over topic, key, value and time."""

from __future__ import annotations

import hashlib
import hmac
import re
import struct

HEADER = "smartlb-signature"
_VERSION = "v1"


class SigningKey:
    """A key of signing.reporters or signing.keys of the nodes."""

    def __init__(self, key_id: str, secret: str) -> None:
        if not isinstance(key_id, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", key_id):
            raise ValueError("signing_key: the id is not 1 to 64 letters, digits, dots, dashes and underscores")
        if not isinstance(secret, str) or len(secret.encode()) < 32:
            raise ValueError("signing_key: the secret has fewer than 32 characters")
        self._id, self._secret = key_id, secret.encode()

    def header(self, topic: str, key: bytes, value: bytes, time_ms: int) -> tuple[str, bytes]:
        """Returns the header that signs a record. Each part has its length before it."""
        mac = hmac.new(self._secret, digestmod=hashlib.sha256)
        for part in (HEADER.encode(), _VERSION.encode(), self._id.encode(), topic.encode(), key, value):
            mac.update(struct.pack(">Q", len(part)))
            mac.update(part)
        mac.update(struct.pack(">q", time_ms))
        return HEADER, f"{_VERSION} {self._id} {time_ms} {mac.hexdigest()}".encode()
