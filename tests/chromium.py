"""A headless Chromium, driven over a pipe by its DevTools protocol, without further packages."""

import base64
import contextlib
import fcntl
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
COMMAND = next((found for name in NAMES if (found := shutil.which(name))), None)
needed = pytest.mark.skipif(COMMAND is None, reason="no Chromium is installed")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # of tests in containers, as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--remote-debugging-pipe",
)


class Chromium:
    """One page; what it said on its console, what failed in it, and what it asked of the network."""

    def __init__(self, process: subprocess.Popen, asking: int, answering: int):
        self._process, self._asking, self._answering = process, asking, answering
        self._numbers, self._rest, self._session = itertools.count(1), b"", ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for what it returns."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._asking, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._answering, 1 << 20)
            assert more, "Chromium ended"
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        self.last = message
        return message

    def _note(self, event: str, said: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(said["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" or event == "Log.entryAdded":
            self.complaints.append(str(said))

    def open(self, path: Path, width: int, height: int, *, phone: bool = False, scripts: bool = True) -> None:
        """Show a file in a window of so many pixels, and wait until it is there."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Page.navigate", url=Path(path).resolve().as_uri())
        while self.last.get("method") != "Page.loadEventFired":
            self._next()

    def wait(self, expression: str) -> None:
        """Wait until JavaScript in the page is true."""
        while not self.value(expression):
            pass

    def value(self, expression: str) -> Any:
        """Evaluate JavaScript in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def mouse(self, kind: str, x: float, y: float) -> None:
        """Move the mouse ("mouseMoved"), or press or release its button, at a place in the window."""
        button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def click(self, selector: str) -> None:
        """Click the first element that a selector finds."""
        x, y = self.middle(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y)

    def tap(self, x: float, y: float) -> None:
        """Touch a place in the window."""
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, name: str) -> None:
        """Press and release a key, such as "ArrowLeft"."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def middle(self, selector: str) -> tuple[float, float]:
        """Scroll to an element and return its middle in the window."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.value(f"{found}.scrollIntoView({{block: 'center'}})")
        x, y, width, height = self.value(f"(b => [b.x, b.y, b.width, b.height])({found}.getBoundingClientRect())")
        return x + width / 2, y + height / 2

    def picture(self, path: Path, whole: bool = False) -> None:
        """Write what the window shows, or the whole page, as PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def printed(self) -> bytes:
        """The page as PDF."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])


@contextlib.contextmanager
def chromium(profile: Path):
    """Start a browser with a profile of its own; end it at the end of the block."""
    assert COMMAND is not None
    to_read, asking = os.pipe()
    answering, to_write = os.pipe()
    # The pipes of the protocol are 3 and 4, which may be taken here. A shell puts them there: a function of our own
    # between fork and exec is nothing for a process with the threads of jax.
    high = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (to_read, to_write)]
    wired = f'exec "$0" "$@" 3<&{high[0]} 4>&{high[1]}'
    flags = (*FLAGS, f"--user-data-dir={profile}")
    process = subprocess.Popen(
        ["bash", "-c", wired, COMMAND, *flags],
        pass_fds=high,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in high:
        os.close(end)
    os.close(to_read)
    os.close(to_write)
    try:
        yield Chromium(process, asking, answering)
    finally:
        process.terminate()
        process.wait(20)
        os.close(asking)
        os.close(answering)
