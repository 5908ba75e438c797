"""Run the command in processes that have imported its modules; read ``client`` first.

The imports take most of the time of a short command. A server does them once, and forks processes
that run the commands. What a command imports by itself is tested in new interpreters elsewhere.
"""

from tests.preloaded.client import LIBRARIES, install_client, run

__all__ = ["LIBRARIES", "install_client", "run"]
