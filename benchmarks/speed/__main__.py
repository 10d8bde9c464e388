"""All tables of docs/speed.md, one after the other, in less than ten minutes of one core.

python -m benchmarks.speed
"""

from __future__ import annotations

import runpy
import sys

TABLES = (
    ("stages", ["examples/cat.jpg", "--resolutions", "256", "384", "512", "--repeats", "2"]),
    ("startup", ["examples/cat.jpg"]),
    ("manifest", ["--entries", "100000", "1000000"]),
)


def main() -> None:
    """Run each as its own command."""
    for name, arguments in TABLES:
        print(f"\n{name}", flush=True)
        sys.argv = [f"benchmarks.speed.{name}", *arguments]
        runpy.run_module(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
