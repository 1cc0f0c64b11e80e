"""``python -m groundmesh.cli`` is ``groundmesh``."""

from groundmesh.cli import main

main()
