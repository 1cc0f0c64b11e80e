"""The command line of Groundmesh: thin, over the client."""


def main() -> None:
    """The console script ``groundmesh``."""
    from groundmesh.cli.app import app

    app()
