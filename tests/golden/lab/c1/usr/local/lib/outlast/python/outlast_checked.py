"""Serves an API, and spares it most of the balancers' checks.

Several balancers ask each API several times in two seconds, for a document that passes all of its layers. Here the
application is asked once a second at most, and all checks in between are told what it said. That the process answers, and
has a thread to do it, still shows in every check; that it says something else, a second later at most.
"""

import faulthandler
import importlib
import os
import signal
import time

import outlast_logins  # noqa: F401

FRESH = 1.0  # seconds
CHECK = os.environ["OUTLAST_CHECK"]
serve = importlib.import_module(os.environ["OUTLAST_SERVES"]).application
faulthandler.register(signal.SIGWINCH, all_threads=True)

last = (-FRESH, "", [], b"")


def application(environ, start_response):
    """A check: our balancer's question, word for word. Whoever adds a token or a query gets an answer of his own."""
    if (
        environ.get("HTTP_USER_AGENT") != "outlast"
        or environ["REQUEST_METHOD"] != "GET"
        or environ.get("REQUEST_URI") != CHECK
        or "HTTP_X_AUTH_TOKEN" in environ
    ):
        return serve(environ, start_response)
    at, status, headers, body = last
    if time.monotonic() - at >= FRESH:
        status, headers, body = ask(environ)
    start_response(status, list(headers))
    return [body]


def ask(environ):
    """What the application says now; kept for a while where that is good."""
    global last
    begun, told = time.monotonic(), []

    def start_response(status, headers, exc_info=None):
        told[:] = [status, headers]
        return lambda data: told.append(data)

    answer = serve(environ, start_response)
    try:
        body = b"".join(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()
    status, headers = told[:2]
    if status.startswith(("200", "300")):
        last = (begun, status, headers, body)
    return status, headers, body
