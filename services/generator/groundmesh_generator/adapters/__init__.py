"""Tuned adapters: fetched, checked, loaded on first use, and evicted least-used-first."""
