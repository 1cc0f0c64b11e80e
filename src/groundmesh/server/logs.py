"""Logs on standard output: JSON lines for machines, text for people. No request contents."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from groundmesh.request_id import current_request_id
from groundmesh.server.settings import ServerSettings


def configure_logs(service: str, settings: ServerSettings) -> None:
    """Send every library's log to standard output, in the format and from the level that is set."""
    handler = logging.StreamHandler(sys.stdout)
    formatter = JsonFormatter if settings.log_format == "json" else TextFormatter
    handler.setFormatter(formatter(service))
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, service, logger, message, request_id, extra fields."""

    def __init__(self, service: str) -> None:
        """``service`` is in every line."""
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        line: dict[str, Any] = {
            "time": _time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current_request_id(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        present = {key: value for key, value in line.items() if value is not None}
        return json.dumps(present, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, service, message, then the extra fields as ``key=value``."""

    def __init__(self, service: str) -> None:
        """``service`` is in every line."""
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        fields = {"request": current_request_id(), **_fields(record)}
        pairs = [f"{key}={value}" for key, value in fields.items() if value is not None]
        time = _time(record).astimezone().strftime("%H:%M:%S")
        text = " ".join([time, f"{record.levelname:7}", self._service, record.getMessage(), *pairs])
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was logged with ``extra={"fields": {...}}``."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields
