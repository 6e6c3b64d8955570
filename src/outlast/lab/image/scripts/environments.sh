#!/bin/sh
# Installs both Python environments of a node: /opt/openstack (the services) and /opt/outlast (supervisor and agent).
# Runs in the chroot of the image as well as on a real host. Usage: environments.sh LOCKS_DIR
# Needs uv (found as $UV or on PATH) and Debian's python3; index, proxy and certificate settings come from the environment.
set -eu
locks=$1
uv=${UV:-uv}

install() { # PREFIX LOCK [venv option]
    prefix=$1 lock=$2
    shift 2
    # Debian's interpreter, never a downloaded one: python3-libvirt and uwsgi's plugin are built for it.
    "$uv" venv --quiet --clear --no-project --python /usr/bin/python3 "$@" "$prefix"
    # Only two pure packages have no wheel; their build tools are pinned by the third lock.
    "$uv" pip install --quiet --python "$prefix/bin/python" --require-hashes \
        --build-constraints "$locks/build.txt" -r "$lock"
}

install /opt/outlast "$locks/node.txt"
# System packages must be visible: the libvirt bindings have to match Debian's libvirt.
install /opt/openstack "$locks/openstack.txt" --system-site-packages

# Byte-compile once, or every node writes thousands of files into its overlay. "unchecked": these files never change in
# place, so no import needs to look at its source. The services' own tests would only make all this larger.
for program in glance keystone neutron nova openstack openstackclient os_ken os_brick placement swift oslo_messaging ovsdbapp; do
    rm -rf /opt/openstack/lib/python3*/site-packages/$program/tests
done
for prefix in /opt/outlast /opt/openstack; do
    "$prefix/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$prefix/lib"
done
