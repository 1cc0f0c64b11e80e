"""TLS of a server from files, taken up again when the files change."""

import logging
import ssl
from pathlib import Path

import grpc

from groundmesh.errors import FailedPrecondition
from groundmesh.server.settings import ServerSettings

logger = logging.getLogger(__name__)


def server_credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    """Credentials for the settings' files; None without them, FailedPrecondition for bad ones."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    files = _CertificateFiles(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    try:
        initial = files.load()
    except (OSError, ssl.SSLError) as error:
        raise FailedPrecondition(f"can't use the TLS files: {error}") from error
    return grpc.dynamic_ssl_server_credentials(
        initial,
        files.changed,  # type: ignore[arg-type] # None is documented as "no change"
        require_client_authentication=settings.tls_client_ca is not None,
    )


class _CertificateFiles:
    """The files of one server, and what they were when last read."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._seen: tuple[tuple[int, int], ...] = ()

    def load(self) -> grpc.ServerCertificateConfiguration:
        """Read the files; OSError or SSLError when they are no certificate with its key."""
        seen = self._stamp()
        # gRPC would refuse a pair that doesn't fit only later, one handshake at a time.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._cert, self._key)
        configuration = grpc.ssl_server_certificate_configuration(
            [(self._key.read_bytes(), self._cert.read_bytes())],
            root_certificates=self._client_ca.read_bytes() if self._client_ca else None,
        )
        self._seen = seen
        return configuration

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """What gRPC asks at each handshake: the new files, or None to go on with the old ones.

        While files are replaced one after the other, the old pair serves until the new one fits.
        """
        try:
            return None if self._stamp() == self._seen else self.load()
        except (OSError, ssl.SSLError):
            logger.warning("the changed TLS files can't be used yet", exc_info=True)
            return None

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        paths = (path for path in (self._cert, self._key, self._client_ca) if path is not None)
        return tuple((s.st_mtime_ns, s.st_ino) for s in (path.stat() for path in paths))
