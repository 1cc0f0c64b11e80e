"""``python -m groundmesh_generator``: settings -> core -> serve."""

import logging
import os
import sys

from groundmesh.server.app import run
from groundmesh.server.settings import load_settings
from groundmesh_generator.backends import open_backend
from groundmesh_generator.core import Generator
from groundmesh_generator.servicer import generator_service
from groundmesh_generator.settings import GeneratorSettings


def main() -> int:
    """Serve until told to stop; the process's exit code."""
    settings = load_settings(GeneratorSettings, service="generator")
    backend = open_backend(settings.backend, settings.backend_options())
    generator = Generator(backend, settings.generator_options())
    return run(generator_service(generator), settings)


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # Python itself would take seconds to tidy up what vLLM has imported
