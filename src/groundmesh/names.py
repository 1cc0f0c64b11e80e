"""Resource names: every one begins with its tenant."""

import hashlib
import re
from dataclasses import dataclass

from groundmesh.errors import InvalidArgument, PermissionDenied, Reason
from groundmesh.identity import ID_PATTERN, Principal

_TENANT = re.compile(rf"tenants/({ID_PATTERN})")
_COLLECTION = re.compile(rf"tenants/({ID_PATTERN})/collections/({ID_PATTERN})")
_DOCUMENT = re.compile(rf"{_COLLECTION.pattern}/documents/([0-9a-f]{{32}})")


def document_id(uri: str) -> str:
    """The id of the document at ``uri``, the same in every collection and at any time."""
    return hashlib.sha256(uri.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True)
class TenantName:
    """``tenants/{tenant}``."""

    tenant: str

    @classmethod
    def parse(cls, text: str, *, field: str) -> "TenantName":
        """Read a name; InvalidArgument names ``field`` when it isn't one."""
        match = _TENANT.fullmatch(text)
        if match is None:
            raise _malformed(text, field, "tenants/{tenant}")
        return cls(*match.groups())

    def check_tenant(self, principal: Principal) -> None:
        """PermissionDenied unless it is the principal's own tenant."""
        _check_tenant(self.tenant, principal)

    def __str__(self) -> str:
        return f"tenants/{self.tenant}"


@dataclass(frozen=True)
class CollectionName:
    """``tenants/{tenant}/collections/{collection}``."""

    tenant: str
    collection: str

    @classmethod
    def parse(cls, text: str, *, field: str) -> "CollectionName":
        """Read a name; InvalidArgument names ``field`` when it isn't one."""
        match = _COLLECTION.fullmatch(text)
        if match is None:
            raise _malformed(text, field, "tenants/{tenant}/collections/{collection}")
        return cls(*match.groups())

    def check_tenant(self, principal: Principal) -> None:
        """PermissionDenied unless the name lies in the principal's own tenant."""
        _check_tenant(self.tenant, principal)

    def __str__(self) -> str:
        return f"tenants/{self.tenant}/collections/{self.collection}"


@dataclass(frozen=True)
class DocumentName:
    """``tenants/{tenant}/collections/{collection}/documents/{document}``."""

    tenant: str
    collection: str
    document: str

    @classmethod
    def parse(cls, text: str, *, field: str) -> "DocumentName":
        """Read a name; InvalidArgument names ``field`` when it isn't one."""
        match = _DOCUMENT.fullmatch(text)
        if match is None:
            pattern = "tenants/{tenant}/collections/{collection}/documents/{32 hex digits}"
            raise _malformed(text, field, pattern)
        return cls(*match.groups())

    @property
    def parent(self) -> CollectionName:
        """The collection that holds the document."""
        return CollectionName(self.tenant, self.collection)

    def check_tenant(self, principal: Principal) -> None:
        """PermissionDenied unless the name lies in the principal's own tenant."""
        _check_tenant(self.tenant, principal)

    def __str__(self) -> str:
        return f"{self.parent}/documents/{self.document}"


def _check_tenant(tenant: str, principal: Principal) -> None:
    if tenant != principal.tenant:
        raise PermissionDenied(
            f"tenant {tenant!r} is not yours ({principal.tenant!r})",
            reason=Reason.TENANT_MISMATCH,
        )


def _malformed(text: str, field: str, pattern: str) -> InvalidArgument:
    if not text:
        return InvalidArgument.of_field(field, f"must be set, as {pattern}")
    return InvalidArgument.of_field(field, f"must look like {pattern}, not {text[:200]!r}")
