"""Groundmesh's gateway: one call in, the mesh in the right order, a cited answer out."""
