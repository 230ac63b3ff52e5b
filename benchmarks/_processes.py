"""Loops that run in processes of their own, and are measured in turn."""

import multiprocessing as mp
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection


@contextmanager
def served(
    loops: Mapping[str, Callable[[], Iterator[float]]],
) -> Iterator[dict[str, Callable[[], float]]]:
    """Start each loop in a new process; each call has it go on, and returns its next figure."""
    context = mp.get_context("spawn")
    pairs = []
    for loop in loops.values():
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(there, loop))
        process.start()
        there.close()
        pairs.append((here, process))
    try:
        yield {name: partial(_next, here) for name, (here, _) in zip(loops, pairs, strict=True)}
    finally:
        for here, process in pairs:
            here.close()
            process.join()


def _next(pipe: "Connection[None, float]") -> float:
    pipe.send(None)
    return pipe.recv()


def _serve(pipe: "Connection[float, None]", loop: Callable[[], Iterator[float]]) -> None:
    figures = loop()
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        pipe.send(next(figures))
