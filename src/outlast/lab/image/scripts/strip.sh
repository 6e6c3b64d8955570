#!/bin/sh
# Last step inside the chroot: removes what no node needs and everything that came from the machine that built it.
set -eu
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log /var/log/alternatives.log
rm -rf /usr/share/doc/* /usr/share/locale/* /usr/share/man/* /usr/share/info/* /usr/share/lintian
rm -rf /usr/share/mysql/mysql-test /var/lib/mysql/* /var/lib/rabbitmq/mnesia /var/lib/zookeeper/version-2
rm -f /etc/apt/apt.conf.d/99mmdebstrap /usr/sbin/policy-rc.d /etc/hostname /etc/resolv.conf
rm -f /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssh/ssh_host_*
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >/etc/hosts
# One machine id or RabbitMQ cookie for all nodes would be a secret shared by every cluster ever built.
rm -f /var/lib/rabbitmq/.erlang.cookie /var/lib/dbus/machine-id
: >/etc/machine-id
# openjdk's maintainer scripts fail without it when a package is added later.
mkdir -p /usr/share/man/man1
