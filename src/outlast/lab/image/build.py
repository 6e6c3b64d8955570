"""Builds the node image with mmdebstrap and keeps it in a cache, addressed by its recipe's digest.

Layout: ``<cache>/images/<digest>/{root,log,complete}``. A build happens beside it, in a directory whose name carries
the builder's process id, and is renamed when whole: a reader never sees half an image.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from outlast.errors import ImageError
from outlast.lab.image import chroot, host
from outlast.lab.image.recipe import LOCKS, SCRIPTS, Recipe, digest, lock_stamp

Progress = Callable[[str], None]

SUITE = "trixie"
# Root directory 2 GB, downloaded packages and wheels 0.6 GB while building, and some room to work.
NEEDED_BYTES = 4 * 1024**3
GUEST = Path("usr/share/outlast/guest")
BUILD_DIR = "/run/outlast-build"


@dataclass(frozen=True)
class Image:
    """A finished node image: `root` is the directory to lay an overlay on, `guest` the test guest's files in it."""

    root: Path
    digest: str
    guest: Path


def default_cache() -> Path:
    """Where images are kept: ``$OUTLAST_CACHE``, or /var/cache/outlast."""
    return Path(os.environ.get("OUTLAST_CACHE") or "/var/cache/outlast")


def find(recipe: Recipe, cache: Path) -> Image | None:
    """The image if it has been built completely, else None."""
    name = digest(recipe)
    home = cache / "images" / name
    if not (home / "complete").exists():
        return None
    return Image(root=home / "root", digest=name, guest=home / "root" / GUEST)


def build(recipe: Recipe, cache: Path, *, progress: Progress) -> Image:
    """Returns the recipe's image, building it first if it is not in the cache; two builders wait for each other.

    Raises ImageError: `image.root`, `image.tools`, `image.disk` before anything was touched; `image.phase` when a
    phase failed (its message names the log that was kept).
    """
    image = find(recipe, cache)
    if image:
        return image
    uv = host.check(("mmdebstrap", "unshare", "setpriv", "dpkg-deb", "apt-get"))
    images = cache / "images"
    try:
        images.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"cannot make {images}: {error.strerror}; set OUTLAST_CACHE to another place"
        raise ImageError("image.cache", sentence) from error
    with _lock(images / ".lock", progress):
        image = find(recipe, cache)
        if image:
            return image
        _remove_stale(images)
        _check_disk(images)
        return _build(recipe, images, uv, progress)


def _build(recipe: Recipe, images: Path, uv: str, progress: Progress) -> Image:
    name = digest(recipe)
    work = images / f".{name}.building-{os.getpid()}"
    home = images / name
    (work / "log").mkdir(parents=True)
    started = time.monotonic()
    try:
        _Phases(recipe, work, uv, progress).run()
        (work / "complete").write_text(f"{time.monotonic() - started:.1f} s\n")
        if home.exists():  # only ever without its "complete" mark: left by a removal that was interrupted
            shutil.rmtree(home)
        work.rename(home)
    except BaseException:
        kept = images / f"{name}.failed-log"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(work / "log", kept, dirs_exist_ok=True)
        remove_tree(work)
        raise
    progress(f"image {name} ready after {time.monotonic() - started:.0f} s")
    return Image(root=home / "root", digest=name, guest=home / "root" / GUEST)


class _Phases:
    """One build: what runs, in which order, and what may run beside what."""

    def __init__(self, recipe: Recipe, work: Path, uv: str, progress: Progress) -> None:
        self._recipe = recipe
        self._root = work / "root"
        self._log = work / "log"
        self._aside = work / "aside"
        self._uv = uv
        self._progress = progress
        self._failed_log = work.parent / f"{digest(recipe)}.failed-log"

    def run(self) -> None:
        self._aside.mkdir()
        with ThreadPoolExecutor(max_workers=3) as pool:
            # Wheels download while packages install: one waits for the network, the other for the processor.
            wheels = pool.submit(self._phase, "wheels", self._wheels)
            self._phase("packages", self._packages)
            self._settle(wheels)
            self._phase("environments", self._environments)
            self._settle(
                pool.submit(self._phase, "schema", self._schema),
                pool.submit(self._phase, "options", self._options),
                pool.submit(self._phase, "guest", self._guest),
            )
        self._phase("strip", self._strip)
        shutil.rmtree(self._aside)

    @staticmethod
    def _settle(*futures: Future[None]) -> None:
        for future in futures:
            future.result()

    def _phase(self, name: str, work: Callable[[Path], None]) -> None:
        self._progress(f"{name} …")
        started = time.monotonic()
        log = self._log / f"{name}.log"
        try:
            work(log)
        except chroot.CommandFailed as error:
            raise ImageError(
                "image.phase",
                f"building the image failed in phase {name} (exit status {error.status}):\n{error.tail}\n"
                f"the whole log: {self._failed_log / log.name}; correct the cause and run the same command again",
            ) from error
        self._progress(f"{name} done in {time.monotonic() - started:.1f} s")

    def _wheels(self, log: Path) -> None:
        # Installing for the image's Python into a throw-away directory fills uv's cache; the real install, inside the
        # image, then only reads. A failure here is not one of the build: the real install downloads for itself.
        command = [self._uv, "pip", "install", "--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_40"]
        command += ["--target", str(self._aside / "wheels"), "--require-hashes", "--no-deps"]
        command += ["--build-constraints", str(LOCKS / "build.txt"), "-r", str(LOCKS / "openstack.txt")]
        try:
            chroot.run_logged([*command, "-r", str(LOCKS / "node.txt")], log, host.uv_environment())
        except chroot.CommandFailed as error:
            self._progress(f"wheels could not be fetched ahead (exit status {error.status}); going on")

    def _packages(self, log: Path) -> None:
        command = ["mmdebstrap", "--mode=root", "--variant=apt", f"--include={','.join(self._recipe.packages)}"]
        command += ["--skip=cleanup/apt", "--dpkgopt=force-unsafe-io"]
        command += [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "locale", "info", "lintian")]
        command += [f"--aptopt={line}" for line in host.apt_settings()]
        # openjdk's post-installation fails where this directory is missing.
        command += ['--essential-hook=mkdir -p "$1/usr/share/man/man1"']
        # The kernel is wanted for the test guest only: fetched with the same apt settings, never installed.
        command += [f'--customize-hook=sh {SCRIPTS / "kernel.sh"} "$1" {self._aside / "kernel"}']
        command += [SUITE, str(self._root), *host.mirror()]
        chroot.run_logged(chroot.isolated(command), log, host.environment())

    def _environments(self, log: Path) -> None:
        # Names must resolve as on this machine; "strip" puts the image's own files in place of these.
        for file in ("resolv.conf", "hosts"):
            (self._root / "etc" / file).unlink(missing_ok=True)
            shutil.copyfile(Path("/etc", file).resolve(), self._root / "etc" / file)
        given = host.handed_in(self._uv, BUILD_DIR)
        script = f"{BUILD_DIR}/image/scripts/environments.sh"
        self._inside(log, ["sh", script, f"{BUILD_DIR}/image/locks"], given)
        self._inside(log, ["sh", f"{BUILD_DIR}/image/scripts/node.sh"])

    def _schema(self, log: Path) -> None:
        self._inside(log, ["sh", f"{BUILD_DIR}/image/scripts/schema.sh", lock_stamp(self._recipe)])
        self._inside(log, ["sh", f"{BUILD_DIR}/image/scripts/seed.sh"])

    def _options(self, log: Path) -> None:
        script = f"{BUILD_DIR}/image/knowledge.py"
        stamp = lock_stamp(self._recipe)
        self._inside(log, ["/opt/openstack/bin/python", script, "/usr/share/outlast/options.json", stamp])

    def _guest(self, log: Path) -> None:
        scripts, kernel = f"{BUILD_DIR}/image/scripts", f"{BUILD_DIR}/aside/kernel"
        self._inside(log, ["sh", f"{scripts}/guest.sh", kernel, f"/{GUEST}", f"{scripts}/guest-init.sh"])

    def _strip(self, log: Path) -> None:
        self._inside(log, ["sh", f"{BUILD_DIR}/image/scripts/strip.sh"])

    def _inside(self, log: Path, command: list[str], given: host.HandedIn | None = None) -> None:
        binds = {SCRIPTS.parent: f"{BUILD_DIR}/image", self._aside: f"{BUILD_DIR}/aside"}
        binds.update(given.binds if given else {})
        chroot.run_inside(self._root, command, log, binds=binds, settings=given.settings if given else {})


@contextmanager
def _lock(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another process is building an image; waiting for it …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_stale(images: Path) -> None:
    """Removes what builders that are gone left behind. Called under the lock, so a live one can only be a stranger."""
    for path in images.glob(".*.building-*"):
        pid = path.name.rpartition("-")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            remove_tree(path)


def remove_tree(path: Path) -> None:
    """Removes an image directory, refusing while anything is mounted below it: it could be the machine's own /dev.

    Raises ImageError `image.mounted`.
    """
    inside = f"{path.resolve()}/"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if f"{line.split()[4]}/".startswith(inside):
            raise ImageError("image.mounted", f"{line.split()[4]} is still mounted; unmount it, then remove {path}")
    shutil.rmtree(path)


def _check_disk(images: Path) -> None:
    free = shutil.disk_usage(images).free
    if free < NEEDED_BYTES:
        raise ImageError(
            "image.disk",
            f"{images} has {free / 1e9:.1f} GB free, building the node image needs {NEEDED_BYTES / 1e9:.1f} GB; "
            "free some space, or set OUTLAST_CACHE to a directory on a larger volume",
        )
