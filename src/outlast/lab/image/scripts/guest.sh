#!/bin/sh
# Builds the test guest from an unpacked kernel package: guest.sh KERNEL_TREE OUT_DIR GUEST_INIT
# A direct-boot kernel, an uncompressed initramfs (unpacking costs more than reading under emulation), an empty disk.
set -eu
tree=$1 out=$2 init=$3
version=$(ls "$tree/usr/lib/modules" 2>/dev/null || ls "$tree/lib/modules")
modules=$tree/usr/lib/modules/$version
[ -d "$modules" ] || modules=$tree/lib/modules/$version
ram=$(mktemp -d /var/tmp/outlast-guest.XXXXXX)
trap 'rm -rf "$ram"' EXIT

mkdir -p "$out" "$ram/bin" "$ram/dev" "$ram/proc" "$ram/sys" "$ram/etc" "$ram/modules" "$ram/tmp" "$ram/www"
cp /bin/busybox "$ram/bin/busybox"
for tool in sh mount insmod ip ifconfig udhcpc nc cat cut grep sed head sleep hostname httpd mkdir ln route ping poweroff dmesg; do
    ln -s busybox "$ram/bin/$tool"
done
: >"$ram/modules/order"
add() { # NAME: its dependencies first
    file=$(find "$modules" -name "$1.ko*" | head -n 1)
    if [ -z "$file" ]; then return 0; fi # built into the kernel
    grep -qx "$1" "$ram/modules/order" && return 0
    plain=$ram/modules/$1.ko
    case $file in
    *.xz) busybox unxz -c "$file" >"$plain" ;;
    *.zst) zstd -dqc "$file" >"$plain" ;;
    *) cp "$file" "$plain" ;;
    esac
    for needed in $(modinfo -F depends "$plain" | tr ',-' ' _'); do (add "$needed"); done
    echo "$1" >>"$ram/modules/order"
}
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover virtio_net af_packet; do
    add $module
done
cp "$init" "$ram/init"
chmod 0755 "$ram/init"
(cd "$ram" && find . | busybox cpio -o -H newc 2>/dev/null) >"$out/initrd"
cp "$tree"/boot/vmlinuz-* "$out/vmlinuz"
truncate -s 1M "$out/disk.raw"
chmod 0644 "$out/vmlinuz" "$out/initrd" "$out/disk.raw"
