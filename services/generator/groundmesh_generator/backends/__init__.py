"""The engines that can generate; each is imported only when it is chosen."""

from importlib import import_module

from groundmesh_generator.backends.base import Backend, BackendOptions

BACKENDS = {
    "vllm": "groundmesh_generator.backends.vllm:VllmBackend",
    "openai": "groundmesh_generator.backends.openai_endpoint:OpenAIBackend",
}
"""Name -> ``module:class``; the class takes ``BackendOptions`` and is a ``Backend``."""


def open_backend(name: str, options: BackendOptions) -> Backend:
    """Import the backend of that name and make it; nothing is loaded yet."""
    module, _, constructor = BACKENDS[name].partition(":")
    backend: Backend = getattr(import_module(module), constructor)(options)
    return backend
