"""``python -m outlast.lab.image``: builds the node image ahead of time and prints what took how long."""

from __future__ import annotations

import sys
import time

from outlast.errors import ImageError
from outlast.lab.image.build import build, default_cache
from outlast.lab.image.recipe import load_recipe


def main() -> int:
    """Builds the image into the default cache; its root directory is the last line printed."""
    started = time.monotonic()

    def progress(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", file=sys.stderr, flush=True)

    try:
        image = build(load_recipe(), default_cache(), progress=progress)
    except ImageError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    print(image.root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
