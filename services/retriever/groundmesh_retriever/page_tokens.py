"""Page tokens of lists (AIP-158): opaque, signed, and bound to what was listed."""

import base64
import binascii
import hashlib
import hmac
import json

from groundmesh.errors import InvalidArgument

_SIGNATURE_BYTES = 16


class PageTokens:
    """Makes and reads tokens with one key, which every replica over one catalog shares."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, cursor: str, *, listing: tuple[str, ...]) -> str:
        """The token to go on after ``cursor`` in ``listing`` (which list, and its filters)."""
        body = cursor.encode()
        return base64.urlsafe_b64encode(self._sign(body, listing) + body).decode()

    def read(self, token: str, *, listing: tuple[str, ...], field: str = "page_token") -> str:
        """The cursor in a token ("" for none); InvalidArgument unless made for ``listing``."""
        if not token:
            return ""
        try:
            raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(body, listing)):
            raise InvalidArgument.of_field(
                field, "not a token of this list; send back the last next_page_token unchanged"
            )
        return body.decode()

    def _sign(self, body: bytes, listing: tuple[str, ...]) -> bytes:
        message = json.dumps(listing).encode() + b"\0" + body
        return hmac.digest(self._key, message, hashlib.sha256)[:_SIGNATURE_BYTES]
