# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of the Debug Adapter Protocol for tests: it starts tt-dap and speaks to it as an editor does."""

import json
import os
import queue
import random
import subprocess
import threading
import time


class Failed(Exception):
    """The adapter has refused a request, or does not answer."""


class Client:
    def __init__(self, tool, *arguments, environment=None):
        self.process = subprocess.Popen(
            [tool, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
        )
        self.messages = queue.Queue()
        self.kept = []  # events that nobody has waited for
        self.output = ""
        self.number = 0
        self.transcript = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        """Takes messages apart. What is no message between two of them is an error of the adapter."""
        stream = self.process.stdout
        while True:
            length = None
            while True:
                line = stream.readline()
                if not line:
                    return self.messages.put(None)
                if line == b"\r\n":
                    break
                name, _, value = line.partition(b":")
                if name != b"Content-Length":
                    return self.messages.put({"type": "garbage", "text": repr(line)})
                length = int(value)
            body = b""
            while len(body) < length:
                part = stream.read(length - len(body))
                if not part:
                    return self.messages.put(None)
                body += part
            self.messages.put(json.loads(body))

    def send_bytes(self, data):
        self.process.stdin.write(data)

    def send(self, command, **arguments):
        self.number += 1
        body = {"seq": self.number, "type": "request", "command": command, "arguments": arguments}
        data = json.dumps(body).encode()
        self.transcript.append(("->", command, arguments))
        self.send_bytes(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        return self.number

    def receive(self, seconds=60):
        try:
            message = self.messages.get(timeout=seconds)
        except queue.Empty:
            raise Failed("no message within %d s" % seconds)
        if message is None:
            raise Failed("tt-dap has ended")
        if message["type"] == "garbage":
            raise Failed("not a message: " + message["text"])
        if message["type"] == "event" and message["event"] == "output":
            self.output += message["body"]["output"]
        self.transcript.append(("<-", message.get("event") or message["command"], message))
        return message

    def response(self, number, seconds=60):
        while True:
            message = self.receive(seconds)
            if message["type"] == "response" and message["request_seq"] == number:
                if not message["success"]:
                    raise Failed(message["message"])
                return message.get("body", {})
            self.kept.append(message)

    def __call__(self, command, **arguments):
        return self.response(self.send(command, **arguments))

    def event(self, name, seconds=60):
        for index, message in enumerate(self.kept):
            if message.get("event") == name:
                del self.kept[index]
                return message["body"]
        deadline = time.time() + seconds
        while True:
            message = self.receive(max(0, deadline - time.time()))
            if message.get("event") == name:
                return message["body"]
            self.kept.append(message)

    # What an editor does

    def launch(self, run, **arguments):
        self.capabilities = self("initialize", adapterID="tt", supportsProgressReporting=True)
        self.launch_number = self.send("launch", run=run, **arguments)
        while True:
            message = self.receive()
            if message.get("event") == "initialized":
                return
            if message["type"] == "response" and not message["success"]:
                raise Failed(message["message"])
            self.kept.append(message)

    def begin(self):
        """Ends the configuration; returns the stop."""
        number = self.send("configurationDone")
        self.response(self.launch_number)
        for index, message in enumerate(self.kept):
            if message.get("request_seq") == number:
                del self.kept[index]
                return self.event("stopped")
        raise Failed("configurationDone was not answered before launch")

    def move(self, command, **arguments):
        """Moves the guest; returns the stop."""
        self(command, threadId=1, **arguments)
        return self.event("stopped")

    def frames(self, **arguments):
        return self("stackTrace", threadId=1, **arguments)["stackFrames"]

    def where(self):
        """Function and line of the newest frame."""
        frame = self.frames(startFrame=0, levels=1)[0]
        return frame["name"], frame["line"]

    def variables(self, scope, level=0):
        frame = self.frames()[level]["id"]
        for found in self("scopes", frameId=frame)["scopes"]:
            if found["name"] == scope:
                rows = self("variables", variablesReference=found["variablesReference"])["variables"]
                return {row["name"]: row for row in rows}
        return {}

    def position(self):
        """brctr, icount and rip, as the replay's server says."""
        text = self("evaluate", expression="tt where", context="repl")["result"]
        parts = dict(part.split(" ", 1) for part in text.split(", "))
        return int(parts["brctr"]), int(parts["icount"]), int(parts["rip"].split()[0], 16)

    def value(self, expression, level=0, context="watch"):
        frame = self.frames()[level]["id"]
        return self("evaluate", expression=expression, frameId=frame, context=context)["result"]

    def end(self):
        self("disconnect")
        self.process.stdin.close()
        return self.process.wait(timeout=20)


def move_about(client, run, deadline, each_turn=lambda: None):
    """Begins a session and goes forwards and back at random, until a time. The client is not asked to end."""
    client.send("initialize")
    client.send("launch", run=run)
    while time.time() < deadline:
        time.sleep(0.002)
        each_turn()
        if not client.messages.qsize():
            continue
        message = client.receive()
        if message.get("event") == "initialized":
            client.send("setFunctionBreakpoints", breakpoints=[{"name": "sort_numbers"}])
            client.send("configurationDone")
        elif message.get("event") == "stopped":
            client.send(random.choice(["continue", "reverseContinue", "stepBack", "next"]), threadId=1)
