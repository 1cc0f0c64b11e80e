"""What an adapter is made of, in one canonical form whose sha256 names it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from types import MappingProxyType

from groundmesh.identity import ID_PATTERN

MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 64 * 1024
MAX_FILES = 64
MAX_FILE_BYTES = 64 * 1024**3
MAX_VERSION = 2**31 - 1
FORMAT = 1

_SHA256 = re.compile(r"[0-9a-f]{64}")
# No separator and no leading dot: a name can't lead out of its folder, nor to a partial file.
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class AdapterRef:
    """Which adapter: the name and version of the registry, and what it must hash to.

    ValueError for what can't be one: every part of it goes into a path.
    """

    name: str
    version: int
    sha256: str

    def __post_init__(self) -> None:
        if re.fullmatch(ID_PATTERN, self.name) is None:
            raise ValueError(f"name: {self.name!r} is no name of a model")
        if not 1 <= self.version <= MAX_VERSION:
            raise ValueError(f"version: must be from 1, not {self.version}")
        if _SHA256.fullmatch(self.sha256) is None:
            raise ValueError("sha256: must be 64 lower-case hexadecimal digits")


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """A file of an adapter; ValueError for a name that is more than a name, and for bad values."""

    name: str
    sha256: str
    size: int

    def __post_init__(self) -> None:
        if _FILE_NAME.fullmatch(self.name) is None or self.name == MANIFEST_NAME:
            raise ValueError(f"{self.name!r} can't be the name of an adapter's file")
        if _SHA256.fullmatch(self.sha256) is None:
            raise ValueError(f"{self.name} has no sha256")
        if not 0 <= self.size <= MAX_FILE_BYTES:
            raise ValueError(f"{self.name} has {self.size} bytes; at most {MAX_FILE_BYTES} go")


@dataclass(frozen=True)
class Manifest:
    """An adapter as it was published; ValueError for what can't be one."""

    name: str
    version: int
    base_revision: str
    """Of the model that it was trained on, as ``resolve_model`` tells it; empty: not recorded."""
    files: Mapping[str, AdapterFile]

    def __post_init__(self) -> None:
        if not 1 <= len(self.files) <= MAX_FILES:
            raise ValueError(f"an adapter has 1 to {MAX_FILES} files, not {len(self.files)}")
        if len(self.to_bytes()) > MAX_MANIFEST_BYTES:
            raise ValueError(f"its manifest is larger than {MAX_MANIFEST_BYTES} bytes")

    @classmethod
    def of(
        cls, name: str, *, version: int, base_revision: str, files: Sequence[AdapterFile]
    ) -> "Manifest":
        """The manifest of these files, whatever their order."""
        by_name = {file.name: file for file in sorted(files, key=lambda file: file.name)}
        return cls(name, version, base_revision, MappingProxyType(by_name))

    @property
    def ref(self) -> AdapterRef:
        """What names this adapter from the outside."""
        return AdapterRef(self.name, self.version, sha256(self.to_bytes()).hexdigest())

    def to_bytes(self) -> bytes:
        """The canonical form: the same adapter always gives the same bytes."""
        fields = {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "base_revision": self.base_revision,
            "files": [asdict(file) for file in self.files.values()],
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Manifest":
        """Read one; ValueError says what is wrong with it."""
        try:
            fields = json.loads(content)
            if fields["format"] != FORMAT:
                raise ValueError(f"its format is {fields['format']!r}; this version reads {FORMAT}")
            return cls.of(
                str(fields["name"]),
                version=int(fields["version"]),
                base_revision=str(fields["base_revision"]),
                files=[AdapterFile(**file) for file in fields["files"]],
            )
        except (KeyError, OverflowError, TypeError, RecursionError) as error:
            raise ValueError(f"it is no manifest: {type(error).__name__}") from error
