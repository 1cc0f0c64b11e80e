"""Groundmesh's trainer: datasets to tuned models."""
