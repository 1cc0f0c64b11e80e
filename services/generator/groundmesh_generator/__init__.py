"""Groundmesh's generator: messages to streamed tokens."""
