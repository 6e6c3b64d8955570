"""What this machine brings to the build: tools, and its own network settings, which a chroot does not see by itself.

A company's network needs its certificate bundle, proxy and package indexes everywhere; the build honours those of apt,
pip and uv, hands them in for the time of the build and leaves none of them in the image.
"""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from outlast.errors import ImageError

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE")
# pip's name of a setting, uv's, and what separates uv's values.
PIP_TO_UV = (
    ("index-url", "UV_DEFAULT_INDEX", " "),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("trusted-host", "UV_INSECURE_HOST", " "),
)
APT_PREFIXES = ("Acquire::http::", "Acquire::https::", "Acquire::Retries", "Acquire::ForceIPv", "Acquire::Check-")


@dataclass(frozen=True)
class HandedIn:
    """What a chroot needs to reach the package indexes: files and directories to bind, and settings that name them."""

    binds: dict[Path, str]
    settings: dict[str, str]


def check(tools: Sequence[str]) -> str:
    """Checks that the build can start and returns the path of uv.

    Raises ImageError `image.root` or `image.tools`.
    """
    if os.geteuid() != 0:
        raise ImageError("image.root", "building the node image makes device files and chroots: run it as root (sudo)")
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        raise ImageError(
            "image.tools",
            f"not installed: {', '.join(missing)}; on Debian: "
            "apt-get install mmdebstrap debian-archive-keyring util-linux",
        )
    uv = _find_uv()
    if not uv:
        raise ImageError("image.tools", f"uv is not installed; run: {sys.executable} -m pip install uv")
    return uv


def _find_uv() -> str | None:
    # The one beside our own interpreter first: it is the version we were installed with.
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv")


def mirror() -> list[str]:
    """The Debian mirror to use: none named (the suite's default), unless ``$OUTLAST_APT_MIRROR`` says otherwise."""
    named = os.environ.get("OUTLAST_APT_MIRROR", "").strip()
    return [named] if named else []


def apt_settings() -> list[str]:
    """This machine's apt settings about reaching a mirror; mmdebstrap starts from empty ones."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    return [line.rstrip(";") for line in dump.splitlines() if line.startswith(APT_PREFIXES) and ' "";' not in line]


def environment() -> dict[str, str]:
    """Our own environment, in a locale that every machine has."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def index_settings(variables: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
    """uv's settings for the indexes: its own variables first, those of pip (by their names) where uv's say nothing."""
    settings = {name: value for name, value in variables.items() if name.startswith("UV_") and value}
    for name, ours, separator in PIP_TO_UV:
        value = separator.join(pip.get(name, "").split())
        older = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}.get(ours, ours)
        if value and ours not in settings and older not in settings:
            settings[ours] = value
            if name == "extra-index-url":
                # pip takes the best of all indexes, uv the first that knows the name; safe, as hashes are required.
                settings.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    for name in PROXIES:
        for spelling in (name, name.upper()):
            if variables.get(spelling):
                settings[spelling] = variables[spelling]
    if pip.get("proxy"):
        settings.setdefault("ALL_PROXY", pip["proxy"])
    bundle = next((variables[name] for name in CERTIFICATES if variables.get(name)), pip.get("cert", ""))
    if bundle:
        settings["SSL_CERT_FILE"] = bundle
    # These would aim uv at another interpreter or project than the image's.
    for name in ("UV_PYTHON", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "UV_SYSTEM_PYTHON", "UV_OFFLINE", "UV_CACHE_DIR"):
        settings.pop(name, None)
    return settings


def pip_settings() -> dict[str, str]:
    """pip's settings from its configuration files and variables, later ones winning, as pip itself reads them."""
    home = Path.home()
    files = [Path("/etc/pip.conf"), Path("/etc/xdg/pip/pip.conf"), home / ".pip/pip.conf"]
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files += [config_home / "pip/pip.conf", Path(sys.prefix) / "pip.conf"]
    if os.environ.get("PIP_CONFIG_FILE"):
        files.append(Path(os.environ["PIP_CONFIG_FILE"]))
    found: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, OSError):
            continue  # pip itself will complain about it; the build may well do without
        for section in ("global", "install"):
            if parser.has_section(section):
                found.update(parser.items(section))
    for name, value in os.environ.items():
        if name.startswith("PIP_") and value:
            found[name[4:].lower().replace("_", "-")] = value
    return found


def uv_environment() -> dict[str, str]:
    """The environment to run uv in on this machine."""
    return {**os.environ, **index_settings(os.environ, pip_settings())}


def handed_in(uv: str, place: str) -> HandedIn:
    """What uv needs inside a chroot, with every local file and directory appearing below `place`."""
    settings = index_settings(os.environ, pip_settings())
    cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=False, cwd="/").stdout.strip()
    binds: dict[Path, str] = {Path(uv): f"{place}/uv"}
    settings["UV"] = f"{place}/uv"
    if cache:
        Path(cache).mkdir(parents=True, exist_ok=True)
        binds[Path(cache)] = settings["UV_CACHE_DIR"] = f"{place}/cache"
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for name, file in (
        ("SSL_CERT_FILE", Path(settings.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))),
        ("SSL_CLIENT_CERT", Path(os.environ.get("SSL_CLIENT_CERT", ""))),
        ("NETRC", Path(os.environ.get("NETRC") or Path.home() / ".netrc")),
        ("UV_CONFIG_FILE", Path(settings.get("UV_CONFIG_FILE") or config_home / "uv/uv.toml")),
    ):
        settings.pop(name, None)
        if file.is_file():
            binds[file.resolve()] = settings[name] = f"{place}/{name.lower()}"
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"):
        if name in settings:
            settings[name] = _move_local(settings[name], "," if name == "UV_FIND_LINKS" else " ", place, binds)
    settings["UV_LINK_MODE"] = "copy"
    return HandedIn(binds, settings)


def _move_local(value: str, separator: str, place: str, binds: dict[Path, str]) -> str:
    """Rewrites local locations in a list of indexes to where they appear below `place`; leaves out missing ones."""
    kept = []
    for entry in value.replace(separator, " ").split():
        parts = urlsplit(entry)
        local = Path(unquote(parts.path)).resolve()
        if parts.scheme not in ("", "file"):
            kept.append(entry)
        elif local.exists():
            # A local index links to its files by relative paths that may lead anywhere: it takes the whole machine.
            target = binds.setdefault(Path("/"), f"{place}/host") + str(local)
            kept.append(f"file://{target}" if parts.scheme else target)
    return separator.join(kept)
