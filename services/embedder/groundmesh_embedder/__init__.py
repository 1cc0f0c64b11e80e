"""Groundmesh's embedder: texts to vectors, and (query, passage) pairs to scores."""
