"""Groundmesh's retriever: keeps documents and chunks; dense, full-text and hybrid search."""
