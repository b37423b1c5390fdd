# SPDX-License-Identifier: GPL-2.0-or-later
"""A headless Chromium, driven through its DevTools protocol with the standard library alone."""
import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request


class WebSocket:
    """The client's side of RFC 6455, as far as DevTools needs it: text messages, no extensions."""

    def __init__(self, url, timeout=60):
        host, path = url[len("ws://"):].split("/", 1)
        name, port = host.split(":")
        self.socket = socket.create_connection((name, int(port)), timeout=timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            ("GET /%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n" % (path, host, key)).encode())
        self.file = self.socket.makefile("rb")
        if b" 101 " not in self.file.readline():
            raise RuntimeError("DevTools refused the connection")
        while self.file.readline() not in (b"\r\n", b""):
            pass

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        size = len(data)
        if size < 126:
            head = bytes([0x81, 0x80 | size])
        elif size < 1 << 16:
            head = bytes([0x81, 0x80 | 126]) + size.to_bytes(2, "big")
        else:
            head = bytes([0x81, 0x80 | 127]) + size.to_bytes(8, "big")
        padded = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(data, "big") ^ int.from_bytes(padded, "big")).to_bytes(size, "big") if size else b""
        self.socket.sendall(head + mask + masked)

    def receive(self):
        message = b""
        while True:
            first, second = self.file.read(2)
            size = second & 0x7F
            if size == 126:
                size = int.from_bytes(self.file.read(2), "big")
            elif size == 127:
                size = int.from_bytes(self.file.read(8), "big")
            data = self.file.read(size)
            if first & 0x0F in (8, 9, 10):
                continue
            message += data
            if first & 0x80:
                return message.decode()


class Chromium:
    """A browser with one page; `with Chromium() as page:`."""

    def __init__(self, width=1280, height=900, dark=False):
        self.profile = tempfile.mkdtemp(prefix="tt-chromium.")
        command = ["chromium", "--headless=new", "--remote-debugging-port=0", "--user-data-dir=" + self.profile,
                   "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-dev-shm-usage",
                   "--window-size=%d,%d" % (width, height), "about:blank"]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.number = 0
        self.events = []
        self.socket = WebSocket(self._page_url())
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.size(width, height, dark)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def _page_url(self):
        """The DevTools address of the page; waits until the browser has written its port."""
        name = os.path.join(self.profile, "DevToolsActivePort")
        end = time.time() + 30
        while time.time() < end:
            try:
                with open(name) as file:
                    port = file.readline().strip()
                with urllib.request.urlopen("http://127.0.0.1:%s/json" % port, timeout=5) as answer:
                    pages = [page for page in json.load(answer) if page["type"] == "page"]
                if pages:
                    return pages[0]["webSocketDebuggerUrl"]
            except (OSError, ValueError):
                pass
            time.sleep(0.05)
        raise RuntimeError("Chromium did not start")

    def call(self, method, **parameters):
        """Calls a method of the protocol and returns its result."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.receive())
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError("%s: %s" % (method, message["error"]))
                return message["result"]
            self.events.append(message)

    def wait(self, method):
        """Waits for an event that has not been seen since `events` was cleared."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(json.loads(self.socket.receive()))

    def size(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, path, scripts=True):
        """Opens a file and returns the seconds until its load event and the next frame."""
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.events = []
        start = time.monotonic()
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        self.wait("Page.loadEventFired")
        if scripts:
            self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return time.monotonic() - start

    def run(self, expression):
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def key(self, key, code=None, text=""):
        """Presses a key."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "Home": 36, "End": 35, "PageDown": 34, "ArrowRight": 39, "ArrowDown": 40}
        number = codes.get(key, ord(key[0].upper()))
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key, windowsVirtualKeyCode=number,
                      text=text if kind == "keyDown" else "")

    def problems(self):
        """Errors and warnings of the console, exceptions, refused content, and requests beyond the page itself."""
        self.run("0")
        found = []
        for event in self.events:
            method, parameters = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append(json.dumps(parameters["exceptionDetails"])[:500])
            elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
                found.append(json.dumps(parameters["args"])[:500])
            elif method == "Log.entryAdded":
                found.append(parameters["entry"]["text"])
            elif method == "Network.requestWillBeSent" and parameters["type"] != "Document":
                found.append("request: " + parameters["request"]["url"])
        return found

    def screenshot(self, path, whole=True):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def screenshot_page(self, path, height_limit=16000):
        """The whole page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height_limit), "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def pdf(self, path):
        data = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=False)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
