"""A page in headless Chromium, used as people use it: pointer and keys through the DevTools protocol, over a pipe.

Nothing has to be installed but Chromium itself: the protocol is JSON between two file descriptors.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 20.0  # seconds for an answer, or for something to become true
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no name leads anywhere
)
# Chromium listens on descriptor 3 and answers on 4; the pipes may have any numbers, these two as well.
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for end, wanted in zip(ends, (3, 4)):
    os.dup2(end, wanted)
    os.close(end)
os.execv(sys.argv[3], sys.argv[3:])
"""
KEYS = {"Enter": 13, " ": 32, "Tab": 9, "End": 35, "Home": 36}
KEYS |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "PageUp": 33, "PageDown": 34}


def program() -> str:
    """Chromium's path; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    return found


class Browser:
    """One Chromium and its pipe."""

    def __init__(self, profile: Path) -> None:
        (there, self._out), (self._in, back) = os.pipe(), os.pipe()
        root = ["--no-sandbox"] if os.geteuid() == 0 else []  # its sandbox refuses root
        command = [sys.executable, "-c", LAUNCH, str(there), str(back), program(), *FLAGS, *root]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(there, back),
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
        )
        os.close(there)
        os.close(back)
        self._read, self._asked = b"", 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Ask, and wait for the answer; what happens meanwhile is kept in `events`."""
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._asked:
            self.events.append(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._read:
            ready = select.select([self._in], [], [], max(0.0, until - time.monotonic()))[0]
            assert ready, f"Chromium has not answered for {PATIENCE:g} s"
            more = os.read(self._in, 1 << 16)
            assert more, "Chromium has gone"
            self._read += more
        message, self._read = self._read.split(b"\0", 1)
        return json.loads(message)

    def close(self) -> None:
        try:
            self.call("Browser.close")
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self._out)
            os.close(self._in)


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser of one's own, closed in the end."""
    browser = Browser(profile)
    try:
        yield browser
    finally:
        browser.close()


class Page:
    """A tab with the network off."""

    def __init__(
        self, browser: Browser, *, width: int = 1200, height: int = 900, dark: bool = False, before: str = ""
    ) -> None:
        self._browser = browser
        self._target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")
        nothing = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.call("Network.emulateNetworkConditions", **nothing)
        self.call("Emulation.setEmulatedMedia", features=[_scheme(dark)])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        if before:
            self.call("Page.addScriptToEvaluateOnNewDocument", source=before)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)

    def open(self, path: Path) -> None:
        self.call("Page.navigate", url=path.as_uri())
        self.until("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What an expression is on the page, a promise's outcome; fails where it throws."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, (expression, answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.02)

    def click(self, selector: str, across: float = 0.5, down: float = 0.5, left: float | None = None) -> None:
        """A real click on an element that is seen, at a share of its width and height, or `left` pixels into it."""
        box = self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()"
        )
        place = {"x": box[0] + (across * box[2] if left is None else left), "y": box[1] + down * box[3]}
        assert min(box[2:]) > 0, f"{selector} is not to be seen"
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def press(self, key: str, times: int = 1) -> None:
        """A real key, wherever the focus is."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        code = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS[key]}
        for _ in range(times):
            self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **code)
            self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def picture(self, path: Path) -> None:
        """The whole page as a .png file."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=self._whole())
        path.write_bytes(base64.b64decode(shot["data"]))

    def _whole(self) -> dict[str, float]:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}

    def accessible(self) -> list[dict[str, Any]]:
        """What a screen reader is told: {role, name} of every node that is not left out."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            {name: node.get(name, {}).get("value", "") for name in ("role", "name")}
            for node in nodes
            if not node["ignored"]
        ]

    def complaints(self) -> list[str]:
        """Errors and warnings of the page's console, and exceptions, so far."""
        self.value("0")  # what happened before is heard by now
        found = []
        for event in self._mine():
            what, method = event["params"], event["method"]
            if method == "Runtime.exceptionThrown":
                found.append(what["exceptionDetails"].get("exception", {}).get("description", "exception"))
            elif method == "Log.entryAdded":
                found.append(what["entry"]["text"])
            elif method == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
                found.append(str(what["args"]))
        return found

    def requests(self) -> list[str]:
        """Addresses that the page asked for, but for itself and for data inside it."""
        self.value("0")
        asked = [
            event["params"]["request"]["url"]
            for event in self._mine()
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [address for address in asked if not address.startswith(("data:", "file:"))]

    def _mine(self) -> list[dict[str, Any]]:
        return [event for event in self._browser.events if event.get("sessionId") == self._session]

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)


def _scheme(dark: bool) -> dict[str, str]:
    return {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
