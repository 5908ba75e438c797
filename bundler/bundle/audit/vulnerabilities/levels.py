"""The levels of severity of vulnerabilities, which rules and results name."""

from __future__ import annotations

from typing import Literal, get_args

Level = Literal["unknown", "none", "low", "medium", "high", "critical"]
"""The qualitative severities of CVSS, and ``unknown``."""
LEVELS: tuple[Level, ...] = get_args(Level)
"""The levels, the least severe first."""
