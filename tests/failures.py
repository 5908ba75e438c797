"""Report each failure when it happens, not only at the end of the run."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # workers of pytest-xdist do not report
        config.pluginmanager.register(_Failures(config))


@dataclass(frozen=True, slots=True, eq=False)
class _Failures:
    config: pytest.Config

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            terminal = self.config.get_terminal_writer()
            terminal.line()
            terminal.sep("_", f"{report.when} of {report.nodeid} failed", red=True)
            report.toterminal(terminal)
