"""Look for faults with thousands of kills, power cuts, damaged bytes and generated inputs.

Each row prints the number of its cases, its result and the limit. The exit status is 1 if a row
misses its limit.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from scripts.torturing import (
    damage_rows,
    download_rows,
    flip_rows,
    kill_rows,
    power_rows,
    program_rows,
    registry_rows,
    skopeo_rows,
    slice_rows,
    upload_rows,
)
from scripts.torturing.row import Result, Row, Torture

ROWS = {
    "kills": Row("kill every operation at each system call", kill_rows.kills, 0),
    "errors": Row("let each system call of every operation fail", kill_rows.errors, 0),
    "random-kills": Row("kill exports from a registry", registry_rows.random_kills, 1000),
    "imports": Row("kill imports into a registry, or the registry", registry_rows.imports, 200),
    "slices": Row("lose slices of bundles with recovery data", slice_rows.slices, 200),
    "bit-flips": Row("flip bits of bundles, one at a time", flip_rows.bit_flips, 1000),
    "damage": Row("damage each file, then export again or repair", damage_rows.damage, 0),
    "power-cuts": Row("cut the power of an ext4 file system (root)", power_rows.power_cuts, 50),
    "downloads": Row("cut downloads of a blob of 1 GB at random", download_rows.downloads, 20),
    "uploads": Row("cut uploads of a blob of 1 GB at random bytes", upload_rows.uploads, 20),
    "program": Row("use the carried program in an empty root", program_rows.program, 1),
    "policies": Row("generated policies and signatures", skopeo_rows.policies, 2000),
    "sigstore": Row("policies of sigstore keys (newer Skopeo)", skopeo_rows.sigstore, 2000),
    "certificates": Row("altered certificates (newer Skopeo)", skopeo_rows.certificates, 2000),
    "scopes": Row("scopes of all transports (newer Skopeo)", skopeo_rows.scopes, 2000),
}
"""The rows by name. A newer Skopeo is at least 1.22; that of Debian 12 is older."""


def main() -> int:
    """Run the chosen rows; return the exit status."""
    options = _options()
    if options.list:
        for name, row in ROWS.items():
            print(f"{name:14} {row.count or 'all':>5}  {row.summary}")
        return 0
    torture = Torture(
        options.work, options.seed, options.count, options.skopeo, record=options.record
    )
    results: list[Result] = []
    for name in [name for name in ROWS if name in (options.rows or ROWS)]:
        start, row = time.monotonic(), ROWS[name]
        for result in row.run(torture, row.count if options.count is None else options.count):
            print(result, flush=True)
            results.append(result)
        print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    missed = [result.name for result in results if not result.met]
    print(f"{len(results)} results, {len(missed)} missed", *missed, sep=": ")
    return int(bool(missed))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", choices=[[], *ROWS], help="see --list (default: all)"
    )
    parser.add_argument("--list", action="store_true", help="list the rows, with their counts")
    parser.add_argument(
        "--count", type=int, help="number of cases of each row (default: see --list)"
    )
    parser.add_argument("--seed", type=int, default=7, help="of all random choices (default: 7)")
    parser.add_argument(
        "--work", type=Path, default="/var/tmp", help="working directory (default: /var/tmp)"
    )
    parser.add_argument("--skopeo", default="skopeo", help="the program (default: skopeo)")
    parser.add_argument(
        "--record", type=Path, help="file for the verdicts of the row scopes or certificates"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
