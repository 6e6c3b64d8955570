#!/bin/sh
# Makes /usr/share/outlast/galera-seed: the data directory with which every database member of a new cluster begins.
# Run after schema.sh, in the image or on a host; each gets the same logical content at the same position.
#
# Members that start from the same content at the same position of the same history need only what came after it (IST)
# and no full state transfer. The position must be in InnoDB too, not only in grastate.dat, or a joiner refuses what it
# gets ("Application received wrong state"); so the server itself writes it, alone, in a component of one. The history's
# id ends in a hash of what the seed is made of: another release is another history, and its members take a full state
# transfer instead of tables that only look alike.
set -eu
dumps=/usr/share/outlast/schema
seed=/usr/share/outlast/galera-seed
stamp=$(cat $dumps/stamp)
work=$(mktemp -d /var/tmp/outlast-seed.XXXXXX)
socket=$work/run/mysqld.sock
data=$work/data
server=
trap 'if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
mkdir "$work/run"
chmod 0755 "$work"
chown mysql "$work/run"
made_of=$( (mariadbd --no-defaults --version | sed 's/.*Ver //'; echo "$stamp") | sha256sum)
uuid=6f75746c-6173-7443-a5e1-$(echo "$made_of" | cut -c1-12)
# Nothing is kept of a run that does not end, so no write waits for the disk. The redo log has the size of the services'
# default (galera: log_mib), so that no first start has to change it; its zeros become holes in the copies.
fast="--innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-flush-method=nosync --sync-frm=OFF --innodb-log-file-size=64M"
mariadb-install-db --no-defaults --user=mysql --datadir="$data" --skip-test-db --skip-name-resolve \
    --auth-root-authentication-method=socket $fast >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }

state() { # SEQNO SAFE
    printf '# GALERA saved state\nversion: 2.1\nuuid:    %s\nseqno:   %s\nsafe_to_bootstrap: %s\n' "$uuid" "$1" "$2" >"$data/grastate.dat"
    chown mysql:mysql "$data/grastate.dat"
}
state 0 1
mariadbd --no-defaults --user=mysql --datadir="$data" --skip-networking --socket="$socket" --pid-file="$work/run/pid" \
    --tmpdir="$work/run" --skip-name-resolve --binlog-format=ROW --innodb-autoinc-lock-mode=2 $fast --wsrep-on=ON \
    --wsrep-provider=/usr/lib/galera/libgalera_smm.so --wsrep-cluster-name=seed --wsrep-cluster-address=gcomm:// \
    --wsrep-sst-method=skip --wsrep-node-address=127.0.0.1 --wsrep-node-name=seed --wsrep-start-position="$uuid:0" \
    --wsrep-provider-options="gmcast.listen_addr=tcp://127.0.0.1:4567;pc.recovery=FALSE;gcache.size=1M" >>"$work/log" 2>&1 &
server=$!
sql() { mariadb --no-defaults --socket="$socket" --init-command="SET SESSION wsrep_on=OFF" --batch --skip-column-names "$@"; }
tries=0
until sql -e "SHOW STATUS LIKE 'wsrep_local_state_comment'" 2>/dev/null | grep -q Synced; do
    tries=$((tries + 1))
    if [ $tries -gt 600 ] || ! kill -0 $server; then tail -n 20 "$work/log"; exit 1; fi
    sleep 0.05
done
# Not replicated, so no event: the same on every member. The rows removed are of this very machine.
sql <<'SQL'
DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost';
CREATE DATABASE outlast;
CREATE TABLE outlast.schema_stamp (name VARCHAR(64) PRIMARY KEY, stamp VARCHAR(128) NOT NULL) ENGINE=InnoDB;
SQL
loads=
for dump in $dumps/*.sql; do
    name=$(basename "$dump" .sql)
    echo "CREATE DATABASE $name CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci" | sql
    sql "$name" <"$dump" &
    loads="$loads $!"
done
for load in $loads; do wait "$load"; done
for dump in $dumps/*.sql; do
    echo "INSERT INTO outlast.schema_stamp VALUES ('$(basename "$dump" .sql)', '$stamp');"
done | sql
kill $server
wait $server
server=
grep -q '^seqno: *1$' "$data/grastate.dat" || { echo "the seed ended at another position than 1:"; cat "$data/grastate.dat"; exit 1; }
state 1 0
rm -f "$data/galera.cache" "$data/gvwstate.dat"
rm -rf "$seed"
cp -a --sparse=always "$data" "$seed"
