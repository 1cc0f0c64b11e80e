"""What every test shares."""

import signal
from pathlib import Path

import pytest

ENGINES = tuple(Path(__file__).parent / name for name in ("contract", "e2e"))

# A runner that was started in the background, or by nohup, ignores these signals, and so would all
# that tests start; what has a handler here has none there.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder what starts engines and stores, so that `make check` can leave it out."""
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in ENGINES):
            item.add_marker(pytest.mark.e2e)
