"""All scenarios by name; each runs commands in a session with an empty directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.golden import bundle_scenarios, image_scenarios, refusal_scenarios, skopeo_scenarios

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.golden.session import Session

SCENARIOS: dict[str, Callable[[Session], None]] = {
    name: function
    for module in (bundle_scenarios, image_scenarios, skopeo_scenarios, refusal_scenarios)
    for name, function in vars(module).items()
    if getattr(function, "__module__", None) == module.__name__ and not name.startswith("_")
}
