"""A headless Chromium, controlled through the pipe of the Chrome DevTools Protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = shutil.which("chromium")
_TIMEOUT = 60.0
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}


class Page:
    """The only page of a browser, with what happened on it. For one thread."""

    def __init__(self, requests: int, answers: int) -> None:
        self.messages: list[str] = []
        """Texts of the console, of the log (such as violations of a policy), and of exceptions."""
        self.dialogs: list[str] = []
        self._requests, self._answers = requests, answers
        self._urls: dict[str, str] = {}
        self._runs_scripts = True
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._loaded = False
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(item["targetId"] for item in targets if item["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Performance.enable", timeDomain="threadTicks")

    @property
    def urls(self) -> list[str]:
        """The URLs that were requested, without those that the policy of the page blocked."""
        return list(self._urls.values())

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, url: str) -> float:
        """Load a page; return the seconds until it was loaded and painted."""
        self.messages.clear(), self._urls.clear(), self.dialogs.clear()
        self._loaded = False
        start = time.monotonic()
        self.call("Page.navigate", url=url)
        while not self._loaded:
            self._receive()
        if self._runs_scripts:
            self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        return time.monotonic() - start

    def measure_work(self) -> float:
        """Return the processor time in seconds of the tasks since the page was opened.

        Unlike elapsed time, it does not depend on other programs.
        """
        metrics = self.call("Performance.getMetrics")["metrics"]
        return next(item["value"] for item in metrics if item["name"] == "TaskDuration")

    def run(self, expression: str) -> Any:
        """Evaluate JavaScript, which may be a promise; return the value."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key: one of ``_KEYS``."""
        common = {"key": key, "windowsVirtualKeyCode": _KEYS[key], "modifiers": 8 * shift}
        text = {"Enter": "\r", " ": " "}.get(key)
        more = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type_text(self, text: str) -> None:
        """Insert text into the element with the focus."""
        self.call("Input.insertText", text=text)

    def set_width(self, width: int, height: int = 900) -> None:
        """Set the size of the window in pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def set_media(self, *, dark: bool = False, media: str = "") -> None:
        """Prefer dark or light colours, and emulate a type of media, such as ``print``."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def set_scripts(self, *, enabled: bool) -> None:
        """Run scripts of pages, or none."""
        self.call("Emulation.setScriptExecutionDisabled", value=not enabled)
        self._runs_scripts = enabled

    def take_screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Write the page, or the visible part of it, as PNG."""
        result = self.call(
            "Page.captureScreenshot", captureBeyondViewport=whole, **self._clip(whole)
        )
        path.write_bytes(base64.b64decode(result["data"]))

    def print_pdf(self) -> bytes:
        """Return the page as it is printed."""
        result = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        return base64.b64decode(result["data"])

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {
            "clip": {"x": 0, "y": 0, "scale": 1, "width": size["width"], "height": size["height"]}
        }

    def _receive(self) -> dict[str, Any]:
        """Return the next message; note what happened on the page."""
        while b"\0" not in self._buffer:
            assert select.select([self._answers], [], [], _TIMEOUT)[0], "no answer from Chromium"
            data = os.read(self._answers, 1 << 20)
            assert data, "Chromium has ended"
            self._buffer += data
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(raw)
        values = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Page.javascriptDialogOpening":
                self.dialogs.append(values["message"])
            case "Runtime.consoleAPICalled":
                self.messages.append(json.dumps(values["args"]))
            case "Runtime.exceptionThrown":
                self.messages.append(json.dumps(values["exceptionDetails"]))
            case "Log.entryAdded":
                self.messages.append(values["entry"]["text"])
            case "Network.requestWillBeSent":
                self._urls[values["requestId"]] = values["request"]["url"]
            case "Network.loadingFailed" if values.get("blockedReason") == "csp":
                del self._urls[values["requestId"]]
        return message


@contextmanager
def open_browser() -> Iterator[Page]:
    """Start Chromium, and return its page; the process ends with the context."""
    assert PROGRAM is not None
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        # The protocol uses the file descriptors 3 and 4. The sandbox does not start in containers.
        process = subprocess.Popen(
            [
                "/bin/bash",
                "-c",
                f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}',
                "bash",
                PROGRAM,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--hide-scrollbars",
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in), os.close(theirs_out)
        try:
            yield Page(ours_out, ours_in)
        finally:
            process.terminate()
            process.wait(20)
            os.close(ours_in), os.close(ours_out)
