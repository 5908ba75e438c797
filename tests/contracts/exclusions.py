"""Declared exclusions: tests of a contract that do not apply to a transport, each with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Contract:
    """Base of the contract suites: a subclass skips the tests named in ``excluded``."""

    excluded: ClassVar[Mapping[str, str]] = {}
    """Reasons by the names of the tests that do not apply."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, reason in vars(cls).get("excluded", {}).items():
            if not hasattr(cls, name) or name in vars(cls):
                raise TypeError(f"{cls.__qualname__} excludes {name}, which it does not inherit")
            setattr(cls, name, _skipped(reason))


def _skipped(reason: str) -> Callable[[Contract], None]:
    @pytest.mark.skip(reason=reason)
    def test(self: Contract) -> None:
        """Skip."""

    return test
