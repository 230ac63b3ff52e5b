"""Serves the page on this machine's loopback address, to whoever knows its token."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import uvicorn
from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from orchestrator.errors import InputError, OrchError
from orchestrator.spec import Sweep
from orchestrator.watching.feed import Feed, Opened
from orchestrator.watching.guard import Guard
from orchestrator.watching.log import end_of_log
from orchestrator.watching.updates import Updates

HOST = "127.0.0.1"
_FOLDER = Path(__file__).parent
_SECONDS = 0.05
"""Between two questions whether there is something new to send."""

_refused = partial(PlainTextResponse, status_code=404)


def listen(port: int) -> socket.socket:
    """Open a port of the loopback address; 0 for a free one.

    Raises:
        InputError: it is in use, or not for this user.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        why = "in use" if error.errno == errno.EADDRINUSE else f"not available ({error.strerror})"
        raise InputError(
            f"port {port} of {HOST} is {why}; choose another, or leave out --port for a free one"
        ) from None


def serve(port: socket.socket, token: str, sweep: Sweep, opened: Opened, file: Path | None) -> None:
    """Serve the page about a sweep until a signal comes, which is then raised again.

    Args:
        port: where to listen.
        token: the first part of every address.
        sweep: the sweep.
        opened: opens its results; an OrchError that it raises is shown on the page.
        file: the sweep file that the saved report names; by default the store's own copy.
    """
    feed = Feed(opened)
    feed.start()
    app = Guard(_Page(feed, sweep, opened, file).app, token)
    config = uvicorn.Config(app, lifespan="off", ws="none", log_level="warning", access_log=False)
    _Server(config, feed).run(sockets=[port])


class _Server(uvicorn.Server):
    """Ends the streams of updates first, for whose end it would wait."""

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._feed.is_closed = True
        await super().shutdown(sockets)


class _Page:
    """What each address answers."""

    def __init__(self, feed: Feed, sweep: Sweep, opened: Opened, file: Path | None) -> None:
        self._feed, self._sweep, self._opened, self._file = feed, sweep, opened, file
        routes = [
            Route("/", self._page),
            Route("/updates", self._updates),
            Route("/sections/{name}", self._section),
            Route("/logs/{trial_id}", self._log),
            Route("/report.html", self._report),
            Route("/{asset}", self._asset),
        ]
        self.app = Starlette(routes=[Mount("/{token}", routes=routes)])

    def _page(self, _request: Request) -> Response:
        loader = PackageLoader(__package__, "")
        environment = Environment(loader=loader, autoescape=True, trim_blocks=True)
        return HTMLResponse(environment.get_template("page.html").render(sweep=self._sweep))

    def _updates(self, _request: Request) -> Response:
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        updates = Updates()
        with self._feed.watching():
            while not self._feed.is_closed:
                if update := updates.next(self._feed.state):
                    yield f"data: {update}\n\n"
                await asyncio.sleep(_SECONDS)

    def _section(self, request: Request) -> Response:
        section = self._feed.state.sections.get(request.path_params["name"])
        return HTMLResponse(section.html) if section else _refused("there is no such section yet")

    def _log(self, request: Request) -> Response:
        trial_id, store = request.path_params["trial_id"], self._feed.store
        if store is None or not re.fullmatch("[0-9a-f]{16}", trial_id):
            return _refused("there is no such trial")
        try:
            text = end_of_log(store, trial_id)
        except OrchError as error:
            return _refused(str(error))
        return _refused("the trial has no log yet") if text is None else PlainTextResponse(text)

    def _report(self, _request: Request) -> Response:
        try:
            text = self._opened().report(self._file)
        except OrchError as error:
            return _refused(str(error))
        saved = f'attachment; filename="{self._sweep.name}.html"'
        return HTMLResponse(text, headers={"Content-Disposition": saved})

    def _asset(self, request: Request) -> Response:
        from orchestrator.results import report

        match request.path_params["asset"]:
            case "report.css":
                return Response(report.STYLE, media_type="text/css")
            case "report.js":
                return Response(report.SCRIPT, media_type="text/javascript")
            case "vega.js":
                return Response(report.vega(), media_type="text/javascript")
            case "watch.css" | "watch.js" as name:
                kind = "text/css" if name.endswith("css") else "text/javascript"
                return Response((_FOLDER / name).read_bytes(), media_type=kind)
        return _refused("there is no such page")
