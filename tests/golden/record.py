"""Record the output of the scenarios: python -m tests.golden.record [--formats] [NAME]...

Without ``--formats``, only the messages are renewed. Other programs and existing bundles depend on
the formats: renew them only together with the documentation of a format, and give the reason in the
commit message.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.golden.scenarios import SCENARIOS
from tests.golden.session import Session

EXPECTED = Path(__file__).parent / "expected"


def run_scenario(name: str, directory: Path) -> dict[str, str]:
    """Run one scenario; return its texts by their paths below ``expected/``."""
    with Session(directory) as session:
        SCENARIOS[name](session)
    return {
        f"formats/{name}.txt": session.formats(),
        f"messages/{name}.txt": session.messages(),
    }


def main() -> int:
    """Record the scenarios named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formats", action="store_true", help="renew the formats, too")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *SCENARIOS])
    options = parser.parse_args()
    for name in options.names or SCENARIOS:
        with tempfile.TemporaryDirectory() as directory:
            texts = run_scenario(name, Path(directory))
        for path, text in texts.items():
            if path.startswith("messages/") or options.formats:
                file = EXPECTED / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
