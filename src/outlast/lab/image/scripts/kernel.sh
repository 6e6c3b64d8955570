#!/bin/sh
# Unpacks a kernel and its virtio modules for the test guest, without installing it: kernel.sh ROOT OUT_DIR
# A hook of mmdebstrap, which hands over its own apt settings.
set -eu
root=$1 out=$2
export APT_CONFIG="${MMDEBSTRAP_APT_CONFIG:-}"
if [ -z "$APT_CONFIG" ]; then echo "kernel.sh: to be run by mmdebstrap" >&2; exit 1; fi
mkdir -p "$out/deb" "$out/tree"
cd "$out/deb"
kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
apt-get -q -o APT::Sandbox::User=root download "$kernel"
dpkg-deb --fsys-tarfile "$kernel"_*.deb | tar -x -C "$out/tree" --wildcards './boot/vmlinuz-*' '*/virtio*.ko*' '*/*failover.ko*'
mv "$out/tree"/* "$out/"
rm -rf "$out/deb" "$out/tree"
