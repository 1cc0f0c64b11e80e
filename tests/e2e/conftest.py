"""What several of these tests take."""

from tests.adapter_training import trained_adapters

__all__ = ["trained_adapters"]
