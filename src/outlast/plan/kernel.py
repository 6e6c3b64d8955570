"""Kernel settings of every node, lab or host: per network namespace in the lab, /etc/sysctl.d on a host.

A `*` stands for every link that is there when the node starts.
"""

from __future__ import annotations

SYSCTLS: tuple[tuple[str, str], ...] = (
    # A balancer binds VIPs before it holds them.
    ("net.ipv4.ip_nonlocal_bind", "1"),
    # A vanished peer is given up after 6.2 s instead of 924 s (tcp_retries2 = 15, ANCHORS): 0.2 s × (2^(n+1) − 1).
    ("net.ipv4.tcp_retries2", "4"),
    ("net.ipv4.tcp_syn_retries", "3"),
    ("net.ipv4.tcp_keepalive_time", "3"),
    ("net.ipv4.tcp_keepalive_intvl", "1"),
    ("net.ipv4.tcp_keepalive_probes", "3"),
    # A moved VIP announces itself by gratuitous ARP: believe it, also where no entry is known yet.
    ("net.ipv4.conf.all.arp_accept", "1"),
    # An address is answered for by its own link only. Open vSwitch's userspace switch takes a link's frames, but the
    # kernel sees them too: without this both the link and the bridge above it answer for the tunnel's address, and who
    # believes the link sends its tunnels into nothing (seen: floating addresses dead until somebody asked again).
    ("net.ipv4.conf.all.arp_ignore", "1"),
    ("net.ipv4.conf.all.arp_announce", "2"),
    # A neighbour without power is known to be gone after about 1 s, and every connect to it then fails at once ("no
    # route to host") instead of after the client's own time-out: 5 s for each process that speaks to the broker. Kernel
    # defaults: looked at again after 30 s, 5 s of hope, three questions of 1 s each.
    ("net.ipv4.neigh.*.base_reachable_time_ms", "3000"),
    ("net.ipv4.neigh.*.delay_first_probe_time", "1"),
    ("net.ipv4.neigh.*.retrans_time_ms", "200"),
)
