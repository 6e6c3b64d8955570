"""Questions to a program and what the answers mean."""

from __future__ import annotations

from dataclasses import dataclass

UNIX = "unix:"
"""Begins an address that is the path of a unix socket."""


EAGER = 0.4
"""Seconds between two questions while the answer is not good."""


@dataclass(frozen=True)
class Probe:
    """One question at application level. Times in seconds.

    `program`: whom the answer speaks of, so that only that one is restarted where the answer stays bad; "": the member
    as a whole, or its only program.

    kind      asks                                                           good answer
    http      GET path at address:port, or at unix:SOCKET, with `headers`    one of `statuses`, `contains` in the body
    tcp       connect                                                        accepted, and greeted with `contains`
    wsrep     the Galera member itself, by its unix socket                   wsrep_ready ON, Synced or Donor, Primary
    sql       SELECT 1 at address:port as `user` with `secret`, in `path`    a row
    token     Keystone at address:port for a token of       a token
              `user` with `secret`, in the project "service"
    amqp      AMQP 0-9-1 login as `user`/`secret` (address: any of a list)   connection opened
    zookeeper "srvr" at address:port                                         mode leader, follower or standalone
    memcached "version"                                                      VERSION …
    ovsdb     the server at address:port about its database `contains`       connected (its cluster has a majority)
    unixctl   argv, by the control socket `path` of an OVS or OVN daemon     its result, with `contains` in it
    libvirt   "open qemu:///system" at address:port                          opened
    rpc       oslo.messaging ping to `path` (EXCHANGE/QUEUE), sent by a      pong
              broker (address: one of a list) as `user`/`secret`
    command   argv                                                           exit 0 (and `contains` in its output)
    process   `path` names a program                                         supervisord says RUNNING
    loaded    supervisord and the file system: `path` is a fork       the socket, or no server that has been loading
              server's socket, `program` who makes it                 for less than `timeout`
    guard     what the guard of Keepalived last wrote into `path`            no network on which it hears no majority
    carrier   the kernel: `path` names an interface                          it has a carrier
    pulse     nothing. Weaker than a round trip, for programs that nobody    it ran within `timeout`, by the kernel's
              can ask: `path` main (its first process) or group (any)        count
    """

    kind: str
    address: str = ""
    port: int = 0
    path: str = "/"
    statuses: tuple[int, ...] = (200, 204, 300)
    contains: str = ""
    argv: tuple[str, ...] = ()
    user: str = ""
    secret: str = ""
    program: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    interval: float = 1.0
    timeout: float = 1.0


@dataclass(frozen=True)
class Health:
    """What a member's probes say, at `at` (seconds of the node's monotonic clock).

    status: ok, starting (never was ok since its start), failed, stopped or unknown.
    """

    status: str
    code: str
    sentence: str
    at: float = 0.0
