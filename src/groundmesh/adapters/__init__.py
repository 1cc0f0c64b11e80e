"""Tuned adapters in the artifact root: what a trainer publishes and a generator fetches.

An adapter is a folder of plain files, as PEFT saves it::

    {root}/tenants/{tenant}/adapters/{sha256}/manifest.json
                                             /adapter_config.json
                                             /adapter_model.safetensors

``{sha256}`` is that of the manifest, which names the adapter, its version, its base and every file
with its hash: who knows it can tell whether anything was changed. The manifest is written last, so
an adapter is there whole or not at all.

Needs the extra: ``pip install groundmesh[artifacts]``.
"""

from groundmesh.adapters.manifest import AdapterFile, AdapterRef, Manifest
from groundmesh.adapters.root import AdapterRoot

__all__ = ["AdapterFile", "AdapterRef", "AdapterRoot", "Manifest"]
