"""A registry in memory, with repositories that can mount blobs from each other."""

from __future__ import annotations

import threading

from bundler.errors import RegistryError
from bundler.ports import Capabilities
from tests.fakes.memory import MemoryDestination, MemoryStore


class Registry:
    """Repositories by path; ``mounts`` is the response to every mount."""

    def __init__(self, *, mounts=True):
        self.stores = {}
        self.mounts = mounts

    def repository(self, path):
        """Return a repository as a destination."""
        return Repository(self, path)


class Repository:
    """One repository, whose content cannot be read back, as in a real registry."""

    def __init__(self, registry, path):
        self.store = registry.stores.setdefault(path, MemoryStore())
        self.repository = path
        self.mount_scope = "registry.example"
        self._registry = registry
        self._inner = MemoryDestination(self.store, Capabilities())
        self.capabilities, self.has, self.push, self.commit, self.close = (
            self._inner.capabilities,
            self._inner.has,
            self._inner.push,
            self._inner.commit,
            self._inner.close,
        )

    def mount(self, target, repository):
        """Mount a blob from another repository."""
        self.store.note(f"mount {target.digest} from {repository}")
        if self._registry.mounts == "broken":
            raise RegistryError("mounts are disabled")
        found = self._registry.stores[repository].blobs.get(target.digest)
        if not self._registry.mounts or found is None:
            return False
        self.store.blobs[target.digest] = found
        return True


class OneWriter(MemoryDestination):
    """A destination with a single writer, which records whether two pushes overlapped."""

    def __init__(self, store):
        super().__init__(store, Capabilities(writers=1))
        self._busy = threading.Lock()
        self.overlapped = False

    def push(self, target, content, /):
        if not self._busy.acquire(blocking=False):
            self.overlapped = True
            return super().push(target, content)
        try:
            return super().push(target, content)
        finally:
            self._busy.release()
