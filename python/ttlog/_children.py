# SPDX-License-Identifier: GPL-2.0-or-later
"""Work in child processes: an input that kills its process costs one result and not the others."""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Any, Callable, Generic, Iterable, Iterator, Optional, TypeVar

from ._errors import LogError

Task = TypeVar("Task")


@dataclass
class Outcome(Generic[Task]):
    """What became of a task."""

    task: Task
    #: What the function returned; None if it did not return.
    result: Any
    #: The signal that ended the child; None if none did. SIGKILL after a time-out.
    signal: Optional[int]
    #: What went wrong: the error that the function raised, or how its process ended.
    error: Optional[str]
    seconds: float


@dataclass
class _Child(Generic[Task]):
    task: Task
    process: int
    pipe: int
    started: float
    received: bytes = b""
    is_late: bool = False


def run(
    tasks: Iterable[Task], function: Callable[[Task], Any], jobs: int, timeout: Optional[float] = None
) -> Iterator[Outcome[Task]]:
    """Calls a function with each task, each in a process of its own, `jobs` at a time; yields results as they come.

    The process is forked: this one must have no threads. Results are passed as JSON.
    """
    waiting = iter(tasks)
    is_done = False
    with selectors.DefaultSelector() as selector:
        running: dict[int, _Child[Task]] = {}
        try:
            while True:
                while not is_done and len(running) < jobs:
                    try:
                        task = next(waiting)
                    except StopIteration:
                        is_done = True
                        break
                    child = _start(task, function, list(running))
                    running[child.pipe] = child
                    selector.register(child.pipe, selectors.EVENT_READ)
                if not running:
                    break
                for key, _ in selector.select(_rest(running, timeout)):
                    child = running[key.fd]
                    piece = os.read(key.fd, 1 << 16)
                    child.received += piece
                    if not piece:
                        selector.unregister(key.fd)
                        del running[key.fd]
                        yield _finish(child)
                _end_late(running, timeout)
        finally:
            for child in running.values():
                os.kill(child.process, signal.SIGKILL)
                _finish(child)


def alone(function: Callable[[Task], Any], task: Task, place: str) -> Any:
    """What a function returns that is called in a child, since it starts threads and this process forks later.

    Raises:
        LogError: the function failed; the error is about `place`.
    """
    outcome = next(run([task], function, 1))
    if outcome.error is not None:
        raise LogError(outcome.error, place)
    return outcome.result


def _start(task: Task, function: Callable[[Task], Any], others: list[int]) -> _Child[Task]:
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        os.close(writing)
        return _Child(task, process, reading, time.monotonic())
    status = 1
    try:
        for pipe in [reading, *others]:
            os.close(pipe)
        try:
            answer = {"result": function(task)}
        except Exception as error:
            answer = {"error": str(error) or type(error).__name__, "trace": traceback.format_exc()}
        data = json.dumps(answer).encode()
        while data:
            data = data[os.write(writing, data) :]
        status = 0
    finally:
        os._exit(status)


def _finish(child: _Child[Task]) -> Outcome[Task]:
    os.close(child.pipe)
    _, status = os.waitpid(child.process, 0)
    seconds = time.monotonic() - child.started
    code = os.waitstatus_to_exitcode(status)
    if code == 0 and child.received:
        answer = json.loads(child.received)
        return Outcome(child.task, answer.get("result"), None, answer.get("error"), seconds)
    if child.is_late:
        return Outcome(child.task, None, -code, "timed out", seconds)
    if code < 0:
        return Outcome(child.task, None, -code, f"ended by signal {-code} ({signal.Signals(-code).name})", seconds)
    return Outcome(child.task, None, None, f"ended with status {code}", seconds)


def _rest(running: dict[int, _Child[Task]], timeout: Optional[float]) -> Optional[float]:
    """Seconds until the first child is late."""
    if timeout is None or not running:
        return None
    return max(0.0, min(child.started for child in running.values()) + timeout - time.monotonic())


def _end_late(running: dict[int, _Child[Task]], timeout: Optional[float]) -> None:
    for child in running.values():
        if timeout is not None and not child.is_late and time.monotonic() - child.started >= timeout:
            child.is_late = True
            os.kill(child.process, signal.SIGKILL)
