#!/bin/sh
# Makes a real host into a node: the same packages, environments, schema and seed as the lab's image, and one unit.
# Usage: host.sh FOLDER RECIPE LOCK_STAMP PACKAGE…   FOLDER holds scripts/, locks/, knowledge.py, forks.py. Safe to repeat.
#
# The distribution's own units are stopped and masked: on a node the agent alone starts and stops what it owns.
set -eu
folder=$1 recipe=$2 stamp=$3
shift 3
. /etc/os-release
[ "${VERSION_CODENAME:-}" = trixie ] || { echo "a node runs Debian 13 (trixie), this is ${PRETTY_NAME:-unknown}" >&2; exit 1; }
prepared=/var/lib/outlast/prepared
[ "$(cat $prepared 2>/dev/null)" != "$recipe" ] || exit 0
units="haproxy keepalived mariadb memcached rabbitmq-server epmd zookeeper openvswitch-switch ovsdb-server ovs-vswitchd
    ovn-central ovn-host ovn-controller ovn-northd ovn-ovsdb-server-nb ovn-ovsdb-server-sb libvirtd virtlogd frr"
for unit in $units; do systemctl mask --quiet "$unit" 2>/dev/null || true; done
mkdir -p /usr/share/man/man1
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "$@"
for unit in $units; do systemctl stop "$unit" 2>/dev/null || true; done
if ! command -v uv >/dev/null; then
    python3 -m venv "$folder/uv"
    "$folder/uv/bin/pip" install --quiet uv
    UV=$folder/uv/bin/uv
    export UV
fi
sh "$folder/scripts/environments.sh" "$folder/locks"
sh "$folder/scripts/node.sh"
sh "$folder/scripts/schema.sh" "$stamp"
sh "$folder/scripts/seed.sh"
/opt/openstack/bin/python "$folder/knowledge.py" /usr/share/outlast/options.json "$stamp"
cat >/etc/systemd/system/outlast.service <<'EOF'
[Unit]
Description=Outlast node: supervisord, the agent and everything it owns
After=network-online.target local-fs.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
RuntimeDirectory=outlast
RuntimeDirectoryPreserve=yes
ExecStart=/opt/outlast/bin/supervisord -c /etc/outlast/supervisord.conf -n
Restart=always
RestartSec=1
LimitNOFILE=65536
# A supervisord that dies must not take the databases along.
KillMode=mixed
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
EOF
systemctl daemon-reload
systemctl enable --quiet --now outlast.service
echo "$recipe" >$prepared
