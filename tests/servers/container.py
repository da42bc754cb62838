"""A server as a Docker container, by testcontainers, whose reaper removes it when the tests are gone."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from tests.servers.server import ServerUnavailable

LOG_LINES = 40


class Container:
    """An `Engine` that runs an image, its port published on 127.0.0.1 under the same number.

    Args:
        image: name and tag.
        port: the TCP port that the server listens on, inside and outside.
        command: arguments for the image's entry point.
        environment: the container's variables.

    Raises:
        ServerUnavailable: no Docker daemon on this machine answers.
    """

    def __init__(
        self, image: str, port: int, command: list[str] | None = None, environment: dict[str, str] | None = None
    ) -> None:
        if missing := docker_missing():
            raise ServerUnavailable(missing)
        from testcontainers.core.container import DockerContainer

        self._image = image
        self._container = DockerContainer(image, env=dict(environment or {}))
        # The published address needs a pair, which Docker's client takes and the signature here does not name.
        self._container.ports = {f"{port}/tcp": ("127.0.0.1", port)}  # type: ignore[dict-item]
        if command:
            self._container.with_command(command)
        self._docker: Any = None

    def start(self) -> None:
        """Pull the image if need be, and run it; a killed container runs again."""
        if self._docker:
            self._docker.start()
            return
        try:
            self._docker = self._container.start().get_wrapped_container()
        except Exception as error:  # Docker, its registry and testcontainers each have errors of their own
            self._container.stop()
            raise ServerUnavailable(f"no container: image {self._image} did not start ({error})")

    def stop(self) -> None:
        """Ask the container's process to end, and wait for it."""
        self._docker.stop(timeout=60)

    def kill(self) -> None:
        """End the container's process at once; nothing happens if it is not running."""
        self.resume()
        if self._status() == "running":
            self._docker.kill()
            self._docker.wait()

    def pause(self) -> None:
        """Freeze the container."""
        if self._status() == "running":
            self._docker.pause()

    def resume(self) -> None:
        """Let a frozen container go on."""
        if self._status() == "paused":
            self._docker.unpause()

    def alive(self) -> bool:
        """Tell whether the container runs or is frozen."""
        return self._status() in {"running", "paused"}

    def log(self) -> str:
        """Return the last lines that it printed."""
        return str(self._docker.logs(tail=LOG_LINES).decode(errors="replace"))

    def close(self) -> None:
        """End the container and remove it."""
        self._container.stop()

    def _status(self) -> str:
        self._docker.reload()
        return str(self._docker.status)


@cache
def docker_missing() -> str:
    """Return why containers cannot be had, or "" where a Docker daemon on this machine answers within 2 seconds."""
    try:
        import docker  # type: ignore[import-untyped]  # comes with testcontainers
    except ImportError as error:
        return f"no container: {error}"
    if not os.environ.get("DOCKER_HOST", "unix:").startswith(("unix:", "npipe:")):
        return "no container: DOCKER_HOST names another machine"
    try:
        client = docker.from_env(timeout=2)
        client.ping()
        client.close()
    except Exception:  # docker.errors, requests' and the socket's errors, as its versions have it
        return "no container: no Docker daemon answers"
    return ""
