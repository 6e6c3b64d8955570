"""Kernel settings of every node, lab or host: per network namespace in the lab, /etc/sysctl.d on a host."""

from __future__ import annotations

SYSCTLS: tuple[tuple[str, str], ...] = (
    # A balancer binds VIPs before it holds them.
    ("net.ipv4.ip_nonlocal_bind", "1"),
    # A vanished peer is given up after about 6 s instead of 924 s (tcp_retries2 = 15, ANCHORS).
    ("net.ipv4.tcp_retries2", "5"),
    ("net.ipv4.tcp_syn_retries", "3"),
    ("net.ipv4.tcp_keepalive_time", "3"),
    ("net.ipv4.tcp_keepalive_intvl", "1"),
    ("net.ipv4.tcp_keepalive_probes", "3"),
    # A moved VIP announces itself by gratuitous ARP: believe it, also where no entry is known yet.
    ("net.ipv4.conf.all.arp_accept", "1"),
)
