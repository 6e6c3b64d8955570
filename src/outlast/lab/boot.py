"""The power button of one node: a program of its own that turns a BootOrder into a running PID 1.

It reads the order as JSON on standard input, forks the node's PID 1 into new namespaces, writes the node's record
*before* letting it go on, and ends as soon as PID 1 runs its init program. Everything the node mounts, it mounts in its
own mount namespace: when its last process dies the kernel unmounts it all and frees the loop device, whoever crashed.

Imports are few on purpose: every node pays for them at each power on.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import resource
import signal
import socket
import stat
import sys
from typing import Any

from outlast.lab import syscalls as sc

FORBIDDEN_CAPABILITIES = {
    "sys_module": 16,
    "sys_rawio": 17,
    "sys_time": 25,
    "mac_override": 32,
    "mac_admin": 33,
    "syslog": 34,
    "wake_alarm": 35,
    "block_suspend": 36,
}
"""What acts on the whole machine (its clock, modules, memory, log) and not on a namespace."""

PATH = "/opt/outlast/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_TUN = (10, 200)
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_READ_ONLY_PROC = ("sys", "sysrq-trigger", "irq", "bus", "fs")
_OPEN_FILES = 65536


def main() -> int:
    order = json.load(sys.stdin)
    try:
        power_on(order)
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}\n")
        return 1
    return 0


def power_on(order: dict[str, Any]) -> None:
    image = os.open(order["volume"], os.O_RDWR | os.O_CLOEXEC)
    # Attached from here, before any namespace: the kernel then shows the file's path as the host knows it.
    device, _held = sc.attach_loop(image)
    sc.enter_namespace(order["namespace"], sc.CLONE_NEWNET)
    for key, value in order["sysctls"]:
        for path in glob.glob(f"/proc/sys/{key.replace('.', '/')}"):
            _write(path, value)
    go_read, go_write = os.pipe()
    news_read, news_write = os.pipe()
    sc.unshare(sc.CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        os.close(go_write)
        os.close(news_read)
        _be_pid1(order, device, go_read, news_write)
    os.close(go_read)
    os.close(news_write)
    _record(order, pid)
    os.write(go_write, b"g")
    with os.fdopen(news_read, "rb") as news:
        trouble = news.read().decode(errors="replace")
    if trouble:
        os.waitpid(pid, 0)
        raise OSError(0, trouble)


def _record(order: dict[str, Any], pid: int) -> None:
    with open(f"/proc/{pid}/stat", encoding="ascii") as source:
        started = int(source.read().rpartition(")")[2].split()[19])
    record = order["record"] | {"pid": pid, "started": started}
    draft = f"{order['record_path']}.new"
    _write(draft, json.dumps(record))
    os.replace(draft, order["record_path"])


def _be_pid1(order: dict[str, Any], device: str, go: int, news: int) -> None:
    """Never returns: becomes the node's init, or tells why not."""
    try:
        # End of file means that the starter died before it could record this process.
        if os.read(go, 1) != b"g":
            os._exit(1)
        sc.unshare(sc.CLONE_NEWNS | sc.CLONE_NEWUTS | sc.CLONE_NEWIPC)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        _mount_root(order, device)
        sc.pivot_into(order["root_mount"])
        _write_identity(order)
        _be_a_daemon(log)
        keep = {0, 1, 2, news}
        for fd in (int(name) for name in os.listdir("/proc/self/fd")):
            if fd not in keep:
                with contextlib.suppress(OSError):
                    os.close(fd)
        for capability in FORBIDDEN_CAPABILITIES.values():
            sc.drop_from_bounding_set(capability)
        os.execve(order["init"][0], order["init"], dict(order["environment"]))
    except BaseException as error:
        os.write(news, f"{type(error).__name__}: {error}".encode())
    os._exit(1)


def _mount_root(order: dict[str, Any], device: str) -> None:
    sc.mount("none", "/", "", sc.MS_REC | sc.MS_PRIVATE)
    volume, root = order["volume_mount"], order["root_mount"]
    sc.mount(device, volume, "ext4", sc.MS_NOATIME | sc.MS_NODEV)
    for directory in ("upper", "work"):
        os.makedirs(f"{volume}/{directory}", mode=0o755, exist_ok=True)
    layers = f"lowerdir={order['image']},upperdir={volume}/upper,workdir={volume}/work"
    sc.mount("overlay", root, "overlay", sc.MS_NODEV, layers)
    for directory in ("dev", "proc", "sys", "run", "tmp"):
        os.makedirs(f"{root}/{directory}", exist_ok=True)
    sc.mount("proc", f"{root}/proc", "proc", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC)
    sc.mount("sysfs", f"{root}/sys", "sysfs", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC)
    _protect_machine(root)
    _make_devices(f"{root}/dev")
    sc.mount("tmpfs", f"{root}/run", "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "mode=0755,size=512m")
    sc.mount("tmpfs", f"{root}/tmp", "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "mode=1777,size=2g")


def _protect_machine(root: str) -> None:
    """What /proc and /sys show of the machine is read-only; what belongs to the node's network stays writable."""
    for name in _READ_ONLY_PROC:
        path = f"{root}/proc/{name}"
        if not os.path.exists(path):
            continue
        sc.mount(path, path, "", sc.MS_BIND)
        if name == "sys":
            sc.mount(f"{path}/net", f"{path}/net", "", sc.MS_BIND)
        _make_read_only(path)
    network = f"{root}/sys/devices/virtual/net"
    sc.mount(network, network, "", sc.MS_BIND)
    _make_read_only(f"{root}/sys")


def _make_read_only(path: str) -> None:
    kept = sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC
    sc.mount("none", path, "", sc.MS_REMOUNT | sc.MS_BIND | sc.MS_RDONLY | kept)


def _make_devices(dev: str) -> None:
    sc.mount("tmpfs", dev, "tmpfs", sc.MS_NOSUID | sc.MS_NOEXEC, "mode=0755,size=64k")
    os.umask(0)
    for name, number in _DEVICES.items():
        os.mknod(f"{dev}/{name}", stat.S_IFCHR | 0o666, os.makedev(*number))
    os.mkdir(f"{dev}/net", 0o755)
    os.mknod(f"{dev}/net/tun", stat.S_IFCHR | 0o666, os.makedev(*_TUN))
    os.umask(0o022)
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"{dev}/{name}")
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"{dev}/{name}", 0o755)
    nosuid = sc.MS_NOSUID | sc.MS_NOEXEC
    sc.mount("devpts", f"{dev}/pts", "devpts", nosuid, "newinstance,ptmxmode=0666,mode=0620,gid=5")
    sc.mount("tmpfs", f"{dev}/shm", "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "mode=1777,size=1g")
    # A kernel without POSIX message queues boots a node all the same.
    with contextlib.suppress(OSError):
        sc.mount("mqueue", f"{dev}/mqueue", "mqueue", nosuid | sc.MS_NODEV)


def _write_identity(order: dict[str, Any]) -> None:
    """From inside the node's root: a link such as /etc/resolv.conf -> /run/… must not lead into the host."""
    socket.sethostname(order["node"])
    for path, mode in (("/run/outlast", 0o755), ("/run/lock", 0o1777), ("/var/log/outlast", 0o755)):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
    os.makedirs("/etc", exist_ok=True)
    for path, content in order["files"].items():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        _write(path, content)


def _be_a_daemon(log: int) -> None:
    os.setsid()
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    # What Python, or a shell that started us in the background, ignores would stay ignored in the node's programs.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    soft = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _write(path: str, content: str) -> None:
    with open(path, "w", encoding="utf-8") as target:
        target.write(content)


if __name__ == "__main__":
    sys.exit(main())
