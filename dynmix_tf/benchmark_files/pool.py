"""Processes that work through chunks, a few of which are under way at any time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from dynmix_tf.errors import InputError

__all__ = ["cores", "in_processes"]

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_processes(
    function: Callable[[_Task], _Result], tasks: Iterable[_Task], workers: int
) -> Generator[tuple[_Task, _Result], None, None]:
    """Each task with its result, in the order in which they are done.

    Tasks are taken from the iterable as they are needed, so memory does not grow with their
    number. What is raised in a process is raised here, and ends them all.

    Args:
        function: Of a module, with one argument; called in processes that are started anew.
        tasks: The arguments.
        workers: How many processes.

    Raises:
        InputError: A process was killed from outside.
    """
    running: dict[Future[_Result], _Task] = {}
    with _one_thread_each():
        pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_prepare_process
        )
        try:
            for task in tasks:
                running[pool.submit(function, task)] = task
                if len(running) > workers + 1:
                    yield from _finished(running)
            while running:
                yield from _finished(running)
        except BrokenProcessPool:
            raise InputError(
                "a process ended by itself, perhaps as memory ran out; the same command "
                "continues, with fewer --workers if need be"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _finished(running: dict[Future[_Result], _Task]) -> Iterator[tuple[_Task, _Result]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        yield running.pop(future), future.result()


def _prepare_process() -> None:
    """Makes a process leave Ctrl-C to its parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        # the pool's own queue stays open in every process, so a killed parent is not noticed there
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    # NumPy's linear algebra takes all cores in every process otherwise
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
