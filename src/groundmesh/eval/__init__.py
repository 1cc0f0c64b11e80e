"""How good a mesh's retrieval is, measured on judged queries.

Needs the extra: ``pip install groundmesh[eval]``.
"""
