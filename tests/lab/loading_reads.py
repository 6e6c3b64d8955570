"""On a node: which options and files a project's modules read while its fork server loads them. One JSON line.

Usage: python - PROJECT. Loads what /etc/outlast/forkserver.json lists, in this process, and notes who asks oslo.config
for a value, whether a thread was started, and which files are left open.
"""

import importlib
import json
import os
import sys
import traceback
import warnings

warnings.simplefilter("ignore")
sys.path.insert(0, "/usr/local/lib/outlast/python")
from oslo_config import cfg  # noqa: E402

plain = cfg.ConfigOpts._get
read = set()


def get(self, name, group=None, namespace=None):
    """As oslo.config's own; options that are read are noted with the innermost module that is not oslo.config's."""
    value = plain(self, name, group, namespace)
    if not isinstance(value, cfg.ConfigOpts.GroupAttr):
        frames = [frame.filename for frame in traceback.extract_stack() if "oslo_config" not in frame.filename]
        where = frames[-2].partition("site-packages/")[2]
        read.add((getattr(group, "name", None) or "DEFAULT", name, where))
    return value


cfg.ConfigOpts._get = get
project = sys.argv[1]
sys.argv = ["x"]
config = json.load(open("/etc/outlast/forkserver.json"))  # noqa: SIM115
files = set(os.listdir("/proc/self/fd"))
failed = []
for name in config["common"] + [name for row in config["projects"] if row[0] == project for name in row[2]]:
    module, _, function = name.partition(":")
    try:
        loaded = importlib.import_module(module)
        if function:
            getattr(loaded, function)()
    except Exception as error:
        failed.append(f"{name}: {error!r}")
    if name == config["common"][-1]:
        eventlet = "eventlet" in sys.modules
left = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd") if number not in files)
opened = [os.readlink(path) for path in left if os.path.exists(path)]
print(
    json.dumps(
        {
            "failed": failed,
            "eventlet": eventlet,
            "read": sorted(read),
            "threads": len(os.listdir("/proc/self/task")),
            "opened": opened,
        }
    )
)
