#!/bin/sh
# Lays out what is ours on a node, in the image or on a real host: wrapper, supervisor configuration, directories.
set -eu

install -d -m 0755 /etc/outlast /etc/outlast/supervisor.d /var/lib/outlast /var/lib/outlast/code /var/log/outlast
install -d -m 0755 /usr/share/outlast

cat >/opt/outlast/bin/outlast-node <<'EOF'
#!/bin/sh
# Our code travels in the bundle, so that a new version of it needs no new image. The agent of a fresh node waits for it,
# without end on one that runs nothing (a client), so after ten seconds it looks less often.
looks=0
while [ "${1:-}" = agent ] && [ ! -e /var/lib/outlast/code/outlast/node ]; do
    looks=$((looks + 1))
    if [ $looks -le 100 ]; then sleep 0.1; else sleep 2; fi
done
PYTHONPATH=/var/lib/outlast/code exec /opt/outlast/bin/python -m outlast.node "$@"
EOF
chmod 0755 /opt/outlast/bin/outlast-node

# Forks programs from processes with loaded libraries. See its own words.
for place in /opt/outlast/lib/python3*/site-packages; do
    install -m 0644 "$(dirname "$0")/../forks.py" "$place/outlast_forks.py"
    /opt/outlast/bin/python -m compileall -q --invalidation-mode unchecked-hash "$place/outlast_forks.py"
done

cat >/etc/outlast/supervisord.conf <<'EOF'
; The same on every node. Whoever boots the node creates on its fresh /run:
;   /run/outlast (0755 root) before supervisord starts. Each program's own directory under /run is its start's business.
[supervisord]
nodaemon=true
user=root
logfile=/var/log/outlast/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
loglevel=info
pidfile=/run/outlast/supervisord.pid
childlogdir=/var/log/outlast
directory=/
umask=022
minfds=16384
strip_ansi=true

[unix_http_server]
file=/run/outlast/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[rpcinterface:outlast_forks]
supervisor.rpcinterface_factory=outlast_forks:make

[supervisorctl]
serverurl=unix:///run/outlast/supervisor.sock

[program:outlast-agent]
command=/opt/outlast/bin/outlast-node agent
autostart=true
autorestart=true
; The agent must come back however often it dies: it is what repairs everything else.
startsecs=0
startretries=1000000
; It is the first to be told of a shutdown, and takes the node's programs out of the balancers (node/leaving.py).
stopwaitsecs=30
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=/var/log/outlast/agent.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2

[include]
files=/etc/outlast/supervisor.d/*.conf
EOF
