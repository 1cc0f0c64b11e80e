"""One real mesh for all tests of this folder; it stops with the last of them."""

from collections.abc import Iterator

import pytest

from tests.real_mesh import RealMesh, real_mesh


@pytest.fixture(scope="package")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealMesh]:
    """A ready mesh; a test that kills parts of it starts one of its own."""
    with real_mesh(tmp_path_factory.mktemp("mesh")) as running:
        yield running
