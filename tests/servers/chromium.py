"""Chromium without a window, driven by the Chrome DevTools Protocol over two pipes (https://chromedevtools.github.io/devtools-protocol/)."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers import debian
from tests.servers.cache import cached
from tests.servers.server import ServerUnavailable

TIMEOUT = 120.0  # seconds

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # tests often run as root, in containers; the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and writes to 4; a parent with threads cannot place them between fork and exec.
_PLACE_PIPES = """
import os, sys
commands, answers = int(sys.argv[1]), int(sys.argv[2])
spare = [os.dup2(one, at) for one, at in ((commands, 103), (answers, 104))]
os.dup2(103, 3); os.dup2(104, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class BrowserError(Exception):
    """The page or the browser did not do what it should."""


class Browser:
    """One page of a browser. A method that waits gives up after ``TIMEOUT`` seconds.

    Attributes:
        errors: The exceptions and error messages of the pages so far.
        requested: The addresses that the pages loaded so far.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self.errors: list[str] = []
        self.requested: list[str] = []
        self._commands = open(commands, "wb", buffering=0)  # noqa: SIM115
        self._answers = open(answers, "rb")  # noqa: SIM115
        self._numbers = itertools.count(1)
        self._results: dict[int, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._loaded = False
        threading.Thread(target=self._read, daemon=True).start()
        self._session = ""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Load a page, with all that it loads at first."""
        self._loaded = False
        self._ask("Page.navigate", url=url)
        with self._changed:
            if not self._changed.wait_for(lambda: self._loaded or self._ended, TIMEOUT) or self._ended:
                raise BrowserError(f"{url} did not load")

    def run(self, script: str) -> Any:
        """Run a script, wait for its promise if it returns one, and return its value."""
        found = self._ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in found:
            raise BrowserError(json.dumps(found["exceptionDetails"])[:2000])
        return found["result"].get("value")

    def wait_until(self, condition: str) -> None:
        """Wait until an expression is true, also on another page that the present one leads to."""
        deadline = time.monotonic() + TIMEOUT
        said = ""
        while time.monotonic() < deadline:
            try:
                if self.run(f"Boolean({condition})"):
                    return
            except BrowserError as error:  # the page is changing, or lacks the element yet
                said = str(error)
            time.sleep(0.05)
        raise BrowserError(f"{condition} is not true; {said}; errors of the page: {self.errors}")

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self._ask("Input.insertText", text=text)

    def press(self, key: str, code: int, *, control: bool = False) -> None:
        """Press a key and let it go."""
        for kind in ("rawKeyDown", "keyUp"):
            self._ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                modifiers=2 * control,
            )

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        """Show the page in another size, in light or dark colours."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self) -> bytes:
        """Return what is seen, as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def accessible_names(self) -> list[tuple[str, str]]:
        """Return role and name of all that takes the focus, as assistive technology reads them."""
        nodes = self._ask("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if any(one["name"] == "focusable" for one in node.get("properties", ()))
        ]

    def close(self) -> None:
        """Close the pipes; the browser ends by that."""
        with contextlib.suppress(OSError):
            self._commands.close()

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._results or self._ended, TIMEOUT):
                raise BrowserError(f"no answer to {method}")
            if number not in self._results:
                raise BrowserError("the browser ended")
            found = self._results.pop(number)
        if "error" in found:
            raise BrowserError(f"{method}: {found['error']}")
        return dict(found["result"])

    def _read(self) -> None:
        rest = b""
        while part := self._answers.read1(65536):
            *messages, rest = (rest + part).split(b"\0")
            for message in messages:
                self._receive(json.loads(message))
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _receive(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        with self._changed:
            match message.get("method"):
                case None:
                    self._results[message["id"]] = message
                case "Page.loadEventFired":
                    self._loaded = True
                case "Network.requestWillBeSent":
                    self.requested.append(parameters["request"]["url"])
                case "Runtime.exceptionThrown":
                    self.errors.append(json.dumps(parameters["exceptionDetails"])[:2000])
                case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                    self.errors.append(json.dumps(parameters["entry"])[:2000])
            self._changed.notify_all()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser for the length of a block.

    Raises:
        ServerUnavailable: There is none, and none can be fetched.
    """
    program, environment = _program()
    with tempfile.TemporaryDirectory(prefix="catena-browser-", ignore_cleanup_errors=True) as profile:
        to_read, commands = os.pipe()
        answers, to_write = os.pipe()
        options = [program, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            [sys.executable, "-c", _PLACE_PIPES, str(to_read), str(to_write), *options],
            pass_fds=(to_read, to_write),
            env={**os.environ, **environment, "HOME": profile, "DBUS_SESSION_BUS_ADDRESS": "disabled:"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        try:
            try:
                browser = Browser(commands, answers)
            except (BrowserError, OSError) as error:
                raise ServerUnavailable(f"Chromium does not run on this machine: {error}") from error
            yield browser
            browser.close()
        finally:
            process.terminate()
            try:
                process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()


def _program() -> tuple[str, dict[str, str]]:
    """Return the path of the browser, and the variables that it needs."""
    installed = next(filter(None, map(shutil.which, _NAMES)), None)
    if installed:
        return installed, {}
    folder = cached(f"chromium-{debian.release()}", "Chromium from the system's packages (150 MB)", _fetch)
    return str(folder / "usr/lib/chromium/chromium"), debian.library_path(folder)


def _fetch(folder: Path) -> None:
    debian.unpack(folder, "chromium", "chromium-common", recurse=True)
    program = [str(folder / "usr/lib/chromium/chromium"), "--version"]
    result = subprocess.run(
        program, env=os.environ | debian.library_path(folder), capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise ServerUnavailable(f"no Chromium, and the system's package does not run: {result.stderr.strip()[:300]}")
