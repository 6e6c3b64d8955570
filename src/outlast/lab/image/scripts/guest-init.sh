#!/bin/sh
# The whole test guest: network by DHCP, metadata once, then answers ping, TCP 80 (HTTP) and TCP 7 (echo).
# With "stream ADDRESS" as its user data it pings that address without end, and says on its console what came back.
export PATH=/bin
say() { echo "guest $(cut -d' ' -f1 /proc/uptime): $*"; }

if [ "$1" = bound ] || [ "$1" = renew ]; then # called back by udhcpc
    ip address flush dev "$interface"
    ip address add "$ip/$mask" dev "$interface"
    # With classless routes the plain router is to be ignored (RFC 3442); that is how the metadata route arrives.
    if [ -n "$staticroutes" ]; then
        set -- $staticroutes
        while [ $# -ge 2 ]; do
            if [ "$2" = 0.0.0.0 ]; then ip route add "$1" dev "$interface"; else ip route add "$1" via "$2" dev "$interface" onlink; fi
            shift 2
        done
    else
        for hop in $router; do ip route add default via "$hop" dev "$interface" && break; done
    fi
    [ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
    say "address $ip/$mask routes ${staticroutes:-$router}" >/dev/ttyS0
    exit 0
fi
[ -z "$interface" ] || exit 0 # other udhcpc events

mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
# The console is where nova looks (get_console_output), whatever the kernel's command line says.
[ -c /dev/ttyS0 ] && exec >/dev/ttyS0 2>&1 </dev/ttyS0
say "kernel up"
while read -r module; do
    case $module in
    # Checksums left to the "hardware" never get computed on a userspace datapath: TCP dies while ping works.
    virtio_net) insmod /modules/$module.ko csum=0 gso=0 ;;
    *) insmod /modules/$module.ko ;;
    esac
done </modules/order
ip link set lo up
ip link set eth0 up
say "eth0 $(cat /sys/class/net/eth0/address)"
udhcpc -i eth0 -s /init -t 30 -T 1 -A 1 -O staticroutes -O mtu -S -b >/dev/null 2>&1

metadata() { printf 'GET /latest/%s HTTP/1.0\r\nHost: 169.254.169.254\r\n\r\n' "$1" | nc -w 5 169.254.169.254 80 2>/dev/null; }
value() { # PATH: prints the body of a 200 answer
    metadata "$1" | sed -e 's/\r$//' | { read -r _ status _ && [ "$status" = 200 ] && sed -e '1,/^$/d'; }
}
page() {
    address=$(ip -4 -o address show dev eth0 | sed -n 's/.*inet \([0-9.]*\).*/\1/p' | head -n 1)
    echo "hostname=$(hostname) ip=$address instance-id=${instance:-unknown}" >/www/index.html
}
hostname guest
page
httpd -p 80 -h /www && say "http on port 80"
# For connections that last: one process for each.
nc -ll -p 7 -e cat >/dev/null 2>&1 &
try=0
while [ $try -lt 30 ]; do
    instance=$(value meta-data/instance-id)
    [ -n "$instance" ] && break
    try=$((try + 1))
    sleep 1
done
if [ -n "$instance" ]; then
    name=$(value meta-data/hostname)
    [ -z "$name" ] || hostname "$name"
    say "instance-id $instance"
    peer=$(value user-data | sed -n 's/^stream \([0-9.]*\)$/\1/p')
else
    say "no metadata"
fi
page
say "ready $(cat /www/index.html)"
# Rounds, because ping says only at its end how many packets it has sent: the last ones may all have been lost.
while [ -n "$peer" ]; do
    ping -i 0.05 "$peer" &
    sleep 10
    kill -INT $! && wait $!
done
while :; do sleep 3600; done
