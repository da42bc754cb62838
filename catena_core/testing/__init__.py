"""Testing links: a driver that needs no broker, and fixtures for pytest that run on one."""

from catena_core.testing.driver import LinkDriver

__all__ = ["LinkDriver"]
