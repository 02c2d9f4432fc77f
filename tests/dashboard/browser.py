"""Chromium without a window and without WebGL, driven by its DevTools protocol: two pipes, which need no library."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_OPTIONS = (
    "--headless --no-sandbox --no-zygote --no-first-run --disable-gpu --disable-3d-apis --disable-crash-reporter "
    "--disable-dev-shm-usage --disable-extensions --disable-background-networking --remote-debugging-pipe"
)
_PATIENCE = 90.0
"""Seconds after which a page is given up, on a machine that has other things to do."""


class Page:
    """A page of a browser.

    Args:
        to_browser: Descriptor of the pipe that takes messages.
        from_browser: Descriptor of the pipe that gives answers and events.

    Attributes:
        errors: What the console says of errors, since the page was opened.
    """

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self.errors: list[str] = []
        self._to, self._from = to_browser, from_browser
        self._numbers = itertools.count(1)
        self._received = b""
        self._session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        self.call("Runtime.enable")
        self.call("Log.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a method of the protocol."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **self._session}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def open(self, url: str, *, dark: bool = False, width: int = 1_400, height: int = 1_000) -> None:
        """Go to an address, on a computer that prefers dark pages or light ones."""
        self.errors.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Return as soon as an expression is true; a page that has only begun has no body yet."""
        end = time.monotonic() + _PATIENCE
        while not self.evaluate(f"Boolean(document.body && ({expression}))"):
            assert time.monotonic() < end, f"not within {_PATIENCE:g} s: {expression}"
            time.sleep(0.05)

    def picture(self) -> Image.Image:
        """What the page shows."""
        return Image.open(io.BytesIO(base64.b64decode(self.call("Page.captureScreenshot")["data"]))).convert("RGB")

    def _note(self, event: dict[str, Any]) -> None:
        """Keep errors."""
        method, params = event.get("method"), event.get("params", {})
        entry = params.get("entry", {})
        if (
            method == "Runtime.exceptionThrown"
            or (method == "Runtime.consoleAPICalled" and params["type"] == "error")
            or (method == "Log.entryAdded" and entry["level"] == "error")
        ):
            self.errors.append(json.dumps(params))

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._from], [], [], _PATIENCE)
            assert ready, "the browser does not answer"
            read = os.read(self._from, 2**20)
            assert read, "the browser has ended"
            self._received += read
        message, _, self._received = self._received.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A page of a browser that begins with an empty profile, and ends afterwards."""
    (in_browser, to_browser), (from_browser, out_browser) = os.pipe(), os.pipe()
    process = subprocess.Popen(
        # It reads messages from descriptor 3, and answers on descriptor 4.
        ["bash", "-c", f"exec {CHROMIUM} {_OPTIONS} --user-data-dir='{profile}' 3<&{in_browser} 4>&{out_browser}"],
        pass_fds=(in_browser, out_browser),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(in_browser)
    os.close(out_browser)
    try:
        yield Page(to_browser, from_browser)
    finally:
        os.close(to_browser)
        os.close(from_browser)
        process.terminate()
        process.wait(_PATIENCE)
