"""Measurements: `make bench` prints figures; nothing here is a test."""
