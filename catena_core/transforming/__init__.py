"""Transforming: running a link's transform on each electron, with retries."""
