#!/bin/sh
# Dumps freshly migrated databases to /usr/share/outlast/schema, one file each, so that a new cluster loads them in
# seconds instead of migrating for half a minute. Usage: schema.sh STAMP   (the digest of the OpenStack lock)
#
# nova_api holds the mappings of two cells whose addresses are placeholders. Whoever loads the dump replaces them:
#   UPDATE nova_api.cell_mappings SET database_connection='mysql+pymysql://…/nova_cell0', transport_url='none:///'
#     WHERE uuid='00000000-0000-0000-0000-000000000000';
#   UPDATE nova_api.cell_mappings SET database_connection='mysql+pymysql://…/nova', transport_url='rabbit://…'
#     WHERE uuid='6f75746c-6173-7443-a5e1-000000000001';
set -eu
stamp=$1
cell1=6f75746c-6173-7443-a5e1-000000000001
out=/usr/share/outlast/schema
work=$(mktemp -d /var/tmp/outlast-schema.XXXXXX)
socket=$work/tmp/mysqld.sock
databases="keystone glance placement nova_api nova neutron"
server=
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi; rm -rf "$work"' EXIT

mkdir -p "$out" "$work/tmp"
chmod 0755 "$work"
chown mysql "$work/tmp"
# Nothing here needs to survive a crash, so no write waits for the disk.
mariadb-install-db --no-defaults --user=mysql --datadir="$work/data" --skip-test-db --auth-root-authentication-method=normal >"$work/install.log" 2>&1 ||
    { cat "$work/install.log"; exit 1; }
mariadbd --no-defaults --user=mysql --datadir="$work/data" --tmpdir="$work/tmp" --socket="$socket" --skip-networking --skip-log-bin \
    --pid-file="$work/tmp/pid" --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-flush-method=nosync \
    --character-set-server=utf8mb3 --collation-server=utf8mb3_general_ci >"$work/mariadbd.log" 2>&1 &
server=$!
i=0
until mariadb-admin --no-defaults --socket="$socket" --user=root ping >/dev/null 2>&1; do
    i=$((i + 1))
    if [ $i -gt 200 ] || ! kill -0 "$server"; then cat "$work/mariadbd.log"; exit 1; fi
    sleep 0.1
done
for db in $databases; do
    echo "CREATE DATABASE $db CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci;"
done | mariadb --no-defaults --socket="$socket" --user=root

url() { echo "mysql+pymysql://root@localhost/$1?unix_socket=$socket&charset=utf8mb3"; }
config() { # NAME, then lines
    file=$work/$1.conf
    shift
    printf '%s\n' "$@" >"$file"
}
common="[DEFAULT]
log_dir=$work
[oslo_concurrency]
lock_path=$work/tmp"
config keystone "$common" "[database]" "connection=$(url keystone)"
config glance "$common" "[database]" "connection=$(url glance)"
config placement "$common" "[placement_database]" "connection=$(url placement)"
config nova "$common" "[database]" "connection=$(url nova)" "[api_database]" "connection=$(url nova_api)"
config neutron "$common" "[database]" "connection=$(url neutron)"

bin=/opt/openstack/bin
run() { # NAME COMMAND…: its output is shown only when it fails
    name=$1
    shift
    "$@" >"$work/$name.out" 2>&1 || { echo "$name failed:"; tail -n 40 "$work/$name.out"; return 1; }
}
nova_api() {
    run nova-api-sync $bin/nova-manage --config-file "$work/nova.conf" api_db sync
    # Written by nova itself once and the rows kept: the columns are its own business.
    run nova-cells /opt/openstack/bin/python - "$work/nova.conf" "$cell1" <<'EOF'
import sys

from nova import config, context, objects

config.parse_args(["nova-manage", "--config-file", sys.argv[1]])
objects.register_all()
ctxt = context.get_admin_context()
for uuid, name, database in (
    (objects.CellMapping.CELL0_UUID, "cell0", "nova_cell0"),
    (sys.argv[2], "cell1", "nova"),
):
    objects.CellMapping(
        ctxt,
        uuid=uuid,
        name=name,
        transport_url="none:///" if name == "cell0" else "rabbit://placeholder//",
        database_connection=f"mysql+pymysql://placeholder/{database}",
        disabled=False,
    ).create()
EOF
}
run keystone $bin/keystone-manage --config-file "$work/keystone.conf" db_sync & p1=$!
run neutron $bin/neutron-db-manage --config-file "$work/neutron.conf" upgrade heads & p2=$!
nova_api & p3=$!
run nova $bin/nova-manage --config-file "$work/nova.conf" db sync --local_cell & p4=$!
run glance $bin/glance-manage --config-file "$work/glance.conf" db_sync & p5=$!
run placement $bin/placement-manage --config-file "$work/placement.conf" db sync & p6=$!
failed=
for p in $p1 $p2 $p3 $p4 $p5 $p6; do wait $p || failed=yes; done
[ -z "$failed" ]

for db in $databases; do
    mariadb-dump --no-defaults --socket="$socket" --user=root --skip-comments --skip-dump-date --skip-add-drop-table \
        --skip-add-locks --skip-lock-tables --single-transaction --no-autocommit --order-by-primary --hex-blob "$db" >"$out/$db.sql"
done
# The two cells have the same tables; migrating the second one would only cost time.
cp "$out/nova.sql" "$out/nova_cell0.sql"
echo "$stamp" >"$out/stamp"
