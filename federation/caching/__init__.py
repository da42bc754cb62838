"""Caches of answers, and of the quads that earlier queries fetched."""
