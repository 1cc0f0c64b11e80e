"""``python -m groundmesh.models prepare [NAME...]``."""

import argparse
import sys
from collections.abc import Sequence

from groundmesh.errors import MeshError
from groundmesh.models.prepared import prepare_model
from groundmesh.models.recipes import RECIPES


def main(argv: Sequence[str] | None = None) -> int:
    """Build the models that packages carry, all or those named; what is there stays."""
    parser = argparse.ArgumentParser(prog="python -m groundmesh.models", description=main.__doc__)
    prepare = parser.add_subparsers(required=True).add_parser("prepare", help=main.__doc__)
    prepare.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RECIPES))
    names = parser.parse_args(argv).names or list(RECIPES)
    if unknown := set(names) - set(RECIPES):
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    try:
        for name in names:
            print(f"{name}: {prepare_model(name)}")  # noqa: T201 - the command's output
    except MeshError as error:
        print(error.message, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
