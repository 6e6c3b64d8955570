"""What is pure of making hosts into nodes."""

from __future__ import annotations

import io
import tarfile

from outlast.pipeline.hosts import hosts_file, parts

NAMES = {"c1": "10.0.0.11", "c2": "10.0.0.12"}
OURS = "# outlast: begin\n10.0.0.11 c1\n10.0.0.12 c2\n# outlast: end\n"


def test_the_block_is_added_behind_what_is_there() -> None:
    assert hosts_file("127.0.0.1 localhost", NAMES) == f"127.0.0.1 localhost\n{OURS}"


def test_an_older_block_is_replaced_and_nothing_else() -> None:
    before = "127.0.0.1 localhost\n# outlast: begin\n10.9.9.9 old\n# outlast: end\n10.1.1.1 other\n"
    assert hosts_file(before, NAMES) == f"127.0.0.1 localhost\n{OURS}10.1.1.1 other\n"


def test_twice_is_once() -> None:
    once = hosts_file("", NAMES)
    assert hosts_file(once, NAMES) == once


def test_hosts_get_all_that_their_script_names() -> None:
    with tarfile.open(fileobj=io.BytesIO(parts())) as archive:
        names = archive.getnames()
    for wanted in (
        "scripts/host.sh",
        "scripts/environments.sh",
        "scripts/seed.sh",
        "locks/openstack.txt",
        "knowledge.py",
        "forks.py",
    ):
        assert wanted in names
    assert not [name for name in names if "__pycache__" in name]
