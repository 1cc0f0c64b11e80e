"""Rows to learn from: read from files, checked, and split into train and held-out."""
