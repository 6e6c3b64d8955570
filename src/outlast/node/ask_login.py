"""Questions by client libraries that wait: each blocks a thread, and raises Bad, OSError or ValueError."""

from __future__ import annotations

import contextlib
import http.client
import json

from outlast.node.answers import Bad
from outlast.spec.probe import Probe


def sql(probe: Probe) -> str:
    import pymysql

    try:
        connection = pymysql.connect(
            host=probe.address,
            port=probe.port,
            user=probe.user,
            password=probe.secret,
            database=probe.path,
            connect_timeout=max(1, round(probe.timeout)),
            read_timeout=max(1, round(probe.timeout)),
            ssl_disabled=True,  # else every connect reads all of the system's certificates: 24 ms of CPU
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchone()
        finally:
            connection.close()
    except pymysql.MySQLError as error:
        raise Bad(str(error)[:160]) from error
    return "SELECT 1 answered"


def token(probe: Probe) -> str:
    """Logs in to Keystone, for the project of all services."""
    domain = {"domain": {"name": "Default"}}
    user = {"name": probe.user, "password": probe.secret, **domain}
    scope = {"project": {"name": "service", **domain}}
    asked = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    headers = {"Content-Type": "application/json", "User-Agent": "outlast-agent", "Connection": "close"}
    connection = http.client.HTTPConnection(probe.address, probe.port, timeout=probe.timeout)
    try:
        connection.request("POST", "/v3/auth/tokens", json.dumps(asked), headers)
        status = connection.getresponse().status
    except http.client.HTTPException as error:
        raise Bad(repr(error)[:160]) from error
    finally:
        connection.close()
    if status != 201:
        raise Bad(f"{probe.user} is not let in: status {status}")
    return f"{probe.user} has a token"


def wsrep(probe: Probe) -> str:
    from outlast.node.galera import status

    state = status(probe.path, probe.timeout)
    if state.get("wsrep_ready") != "ON" or state.get("wsrep_cluster_status") != "Primary":
        local = state.get("wsrep_local_state_comment", "no state")
        raise Bad(f"{local} in a {state.get('wsrep_cluster_status', '?')} component")
    if state.get("wsrep_local_state") not in ("2", "4"):
        raise Bad(f"state {state.get('wsrep_local_state_comment', '?')}")
    return f"{state.get('wsrep_local_state_comment')}, {state.get('wsrep_cluster_size')} members"


def amqp_login(probe: Probe) -> str:
    """Logs in at the first of the addresses that lets it."""
    *others, last = probe.address.split(",")
    for address in others:
        with contextlib.suppress(Bad, OSError):
            return _login(probe, address)
    return _login(probe, last)


def _login(probe: Probe, address: str) -> str:
    import amqp

    try:
        connection = amqp.Connection(
            host=f"{address}:{probe.port}",
            userid=probe.user,
            password=probe.secret,
            connect_timeout=probe.timeout,
            read_timeout=probe.timeout,
            write_timeout=probe.timeout,
        )
        connection.connect()
        connection.close()
    except (TimeoutError, amqp.AMQPError) as error:
        raise Bad(str(error)[:160]) from error
    return "logged in"
