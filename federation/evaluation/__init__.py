"""Processes that read and evaluate what strangers wrote, and can be ended."""
