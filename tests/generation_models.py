"""The real model of the generator's tests."""

from groundmesh.models import DEFAULT_GENERATION_MODEL
from groundmesh.models.prepared import prepare_model


def smollm2() -> str:
    """The default model's name, prepared when it is not yet."""
    prepare_model(DEFAULT_GENERATION_MODEL)
    return DEFAULT_GENERATION_MODEL
