"""The values of a comparison of a bundle with a target: the request, the problems, the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bundler.copy.target_names import NameMapping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.audit.images import ImageAtLocation
    from bundler.bundle.importing.target import ImportTarget
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions

ProblemCode = Literal[
    "name-absent",
    "name-moved",
    "referrer-tag-absent",
    "referrer-tag-moved",
    "referrer-not-listed",
    "content-absent",
    "content-damaged",
    "signature-absent",
]


@dataclass(frozen=True, slots=True)
class TargetProblem:
    """A part of an image that the target does not have as the bundle states it."""

    code: ProblemCode
    name: str
    """The target name of the image, or of its referrer."""
    digest: Digest
    """The digest that the bundle states."""
    kind: str = ""
    """For content: ``manifest``, ``config`` or ``layer``."""
    actual: str | None = None
    """The digest to which the name points, the reason why content is damaged, or how many
    signatures are absent."""

    def to_json(self) -> dict[str, Any]:
        """Return the problem as JSON, without empty members."""
        value = {"code": self.code, "name": self.name, "digest": self.digest.text}
        if self.kind:
            value["kind"] = self.kind
        if self.actual is not None:
            value["actual"] = self.actual
        return value


@dataclass(frozen=True, slots=True)
class TargetDifference:
    """The difference between a bundle and a target."""

    target: str
    images: int
    """The number of images that were compared."""
    content: int
    """The number of manifests, configs and layers that were found, each once for a repository."""
    problems: tuple[TargetProblem, ...]
    extra: tuple[str, ...] | None
    """Names at the target that no image of the bundle has, and repositories without such images;
    None: not requested."""
    lists_repositories: bool = True
    """False: the registry does not list its repositories, so other ones are unknown."""

    def __len__(self) -> int:
        return len(self.problems) + len(self.extra or ())

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON."""
        value: dict[str, Any] = {
            "target": self.target,
            "images": self.images,
            "content": self.content,
            "problems": [problem.to_json() for problem in self.problems],
        }
        if self.extra is not None:
            value |= {"extra": list(self.extra), "listsRepositories": self.lists_repositories}
        return value


@dataclass(frozen=True, slots=True)
class TargetRequest:
    """The images of a bundle, and the target to compare them with."""

    images: Sequence[ImageAtLocation]
    target: ImportTarget
    options: OpenOptions
    """Options for opening the target."""
    names: NameMapping = field(default_factory=NameMapping)
    deep: bool = False
    """Whether blobs at the target are read and hashed."""
    extra: bool = False
    """Whether other names below the prefix of the target are reported."""
