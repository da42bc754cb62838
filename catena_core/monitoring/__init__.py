"""Monitoring: metrics, health, logs, tracing and the watchdog of a link."""
