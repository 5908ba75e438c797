"""Generated policies with scopes of every transport, and the verdicts of airbundle and Skopeo.

    scripts/torture scopes [--seed N] [--count N] [--skopeo PROGRAM]

Each case is a reference and a policy. Skopeo copies the image, which exists; airbundle only judges
it. With ``--record FILE``, the cases and Skopeo's verdicts are written for ``test_policy_peers``.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import tempfile
from collections import Counter
from contextlib import ExitStack, chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.cancel import Cancellation
from bundler.cli.runtime.policy_file import PolicyFileCheck
from bundler.config import policy_json
from bundler.errors import PolicyFileError, RejectedByPolicyError
from tests.fakes import images
from tests.fakes.openshift import FakeOpenShift
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = images.image(images.layer({"file": b"content"}))
VERDICTS = ("accepted", "rejected", "unsigned", "invalid policy")
ACCEPT = [{"type": "insecureAcceptAnything"}]
REJECT = [{"type": "reject"}]
SIGNED = [{"type": "sigstoreSigned", "keyPath": "/nonexistent.pub"}]
STORE, RUN = "{base}/store", "{base}/run"
"""The references and the policies contain ``{base}`` and ``{host}``."""

PATHS = (
    "{base}/a/b/%s", "a/b/%s", "link/b/%s", "{base}/link/b/%s", "a/./b/%s", "a/../a/b/%s",
    "{base}//a/b/%s",
)  # fmt: skip
PATH_SCOPES = (
    "{base}/a/b/%s", "{base}/a/b", "{base}/a", "{base}", "{base}/link", "{base}/link/b/%s",
    "{base}/a/b/%s:app", "{base}/a/b/%s:other", "{base}/a/", "{base}/a/b/", "{base}/a/./b", "/",
    "a/b", "{base}/a/b/%s/index.json", "{base}/a:app", "", ":app", "{base}/a/b/%s:", "/{base}",
)  # fmt: skip
NAME_SCOPES = (
    "{host}/ns/app:1", "{host}/ns/app", "{host}/ns", "{host}", "127.0.0.1", "*.0.0.1", "*.1", "*",
    "{host}/ns/app:2", "{host}/ns/ap", "{host}/n", "{host}/", "{host}/ns/", "",
    "{host}/ns/app@{digest}", "{host}/ns/app:1@{digest}", "{host}/a/b/c", "{host}/ns:1/app",
    "docker.io/library/app:1",
)  # fmt: skip
STORE_SCOPES = (
    "[vfs@{base}/store]example.com/ns/app:1", "[vfs@{base}/store]example.com/ns/app",
    "[vfs@{base}/store]example.com/ns", "[vfs@{base}/store]example.com", "[vfs@{base}/store]",
    "[{base}/store]", "[{base}]", "[{base}/store]example.com/ns/app:1", "[vfs@{base}]",
    "[overlay@{base}/store]", "[vfs@store]", "[]", "example.com/ns/app:1", "example.com", "",
    "[vfs@{base}/store]example.com/ns/app@nothing", "[vfs@{base}/store+{base}/run]",
    "[vfs@{base}/store]example.com/ns/app@{digest}", "[/]", "[vfs@{base}/store",
)  # fmt: skip


def _create_forms() -> dict[str, tuple[list[str], list[str]]]:
    """Return the references and the scopes of each transport."""
    forms = {
        transport: (
            [f"{transport}:{path % name}{suffix}" for path in PATHS],
            [scope.replace("%s", name) for scope in PATH_SCOPES],
        )
        for transport, name, suffix in (
            ("dir", "image", ""), ("oci", "layout", ":app"), ("oci-archive", "archive.tar", ":app"),
        )
    }  # fmt: skip
    names = [scope.replace("{digest}", IMAGE.digest) for scope in NAME_SCOPES]
    forms["docker"] = (
        ["docker://{host}/ns/app:1", "docker://{host}/ns/app@" + IMAGE.digest],
        names,
    )
    forms["atomic"] = (["atomic:{host}/ns/app:1"], names)
    forms["docker-archive"] = (
        ["docker-archive:{base}/a/b/docker.tar"],
        ["", "{base}/a/b/docker.tar", "{base}"],
    )
    forms["containers-storage"] = (
        ["containers-storage:[vfs@{base}/store+{base}/run]example.com/ns/app:1"],
        [scope.replace("{digest}", IMAGE.digest) for scope in STORE_SCOPES],
    )
    return forms


FORMS = _create_forms()
WEIGHTS = {"docker": 2, "docker-archive": 1}


def generate(seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield references and policies without end."""
    choose = random.Random(seed)
    names = list(FORMS)
    weights = [WEIGHTS.get(name, 5) for name in names]
    while True:
        (transport,) = choose.choices(names, weights)
        references, scopes = FORMS[transport]
        chosen = choose.sample(scopes, k=min(choose.choice((1, 1, 2, 3)), len(scopes)))
        if choose.random() < 0.8:  # rarely one that makes the whole policy invalid
            chosen = [scope for scope in chosen if _is_plain(transport, scope)] or [scopes[0]]
        requirements = {scope: choose.choice((ACCEPT, REJECT, SIGNED)) for scope in chosen}
        policy = {
            "default": choose.choice((ACCEPT, REJECT)),
            "transports": {transport: requirements},
        }
        if choose.random() < 0.2:
            other = choose.choice([name for name in names if name != transport])
            policy["transports"][other] = {"": choose.choice((ACCEPT, REJECT))}
        yield choose.choice(references), policy


def _is_plain(transport: str, scope: str) -> bool:
    if transport == "docker-archive":
        return not scope
    if transport == "containers-storage":
        return re.fullmatch(r"(\[(\w+@)?\{base\}[/\w]*\][\w./:]*)?", scope) is not None
    if transport in ("docker", "atomic"):
        return re.fullmatch(r"[^@]*", scope) is not None
    return re.fullmatch(r"(\{base\}(/[\w.:]+)*)?", scope) is not None and "/./" not in scope


def fill(text: str, base: Path, host: str) -> str:
    """Replace the placeholders."""
    return text.replace("{base}", str(base)).replace("{host}", host)


def judge(reference: str, policy: str) -> str:
    """Return our verdict on a reference in the current directory."""
    try:
        parsed = policy_json.parse(policy.encode(), "policy.json")
    except PolicyFileError:
        return "invalid policy"
    with ExitStack() as resources:
        check = PolicyFileCheck(parsed, Cancellation(), resources, require_signed=False)
        try:
            check.check_reference(reference)
            check.check_manifest(reference, IMAGE.root.data, lambda: ())
        except RejectedByPolicyError as error:
            return "rejected" if error.rule == "reject" else "unsigned"
    return "accepted"


class Skopeo:
    """Skopeo, and the images that it copies, in a directory."""

    def __init__(self, program: str, base: Path, host: str, api: str) -> None:
        self._program, self._base, self._host = program, base, host
        (base / "a/b").mkdir(parents=True)
        (base / "link").symlink_to("a")
        images.write_layout(base / "a/b/layout", {"app": IMAGE})
        kubeconfig = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": api}}],
            "users": [{"name": "u", "user": {}}],
        }
        (base / "kubeconfig").write_text(json.dumps(kubeconfig))
        self._environment = {
            "HOME": str(base),
            "KUBECONFIG": str(base / "kubeconfig"),
            "PATH": os.environ["PATH"],  # noqa: TID251 - for Skopeo
        }
        for target in (
            "dir:{base}/a/b/image", "oci-archive:{base}/a/b/archive.tar:app",
            "docker-archive:{base}/a/b/docker.tar:example.com/app:1", "docker://{host}/ns/app:1",
            "containers-storage:[vfs@{base}/store+{base}/run]example.com/ns/app:1",
        ):  # fmt: skip
            words = ["--dest-tls-verify=false", "oci:a/b/layout:app", fill(target, base, host)]
            copied = self._run("--insecure-policy", "copy", *words)
            assert copied.returncode == 0, copied.stderr

    def judge(self, reference: str, policy: str) -> str:
        """Return Skopeo's verdict."""
        (self._base / "policy.json").write_text(policy)
        words = ("copy", "-q", "--src-tls-verify=false", "--remove-signatures", reference)
        copied = self._run("--policy", "policy.json", *words, "oci:out:app")
        if copied.returncode == 0:
            return "accepted"
        if "is rejected by policy" in copied.stderr:
            return "rejected"
        if "A signature was required" in copied.stderr:
            return "unsigned"
        assert "Error loading trust policy" in copied.stderr, copied.stderr
        return "invalid policy"

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *words],
            cwd=self._base,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def compare(seed: int, count: int, program: str, record: Path | None = None) -> int:
    """Compare ``count`` cases; return the number of different verdicts, which are printed."""
    different = 0
    counts: Counter[str] = Counter()
    recorded = []
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scopes-"))).resolve()
        registry = stack.enter_context(FakeRegistry())
        cluster = stack.enter_context(FakeOpenShift(registry))
        skopeo = Skopeo(program, base, registry.host, cluster.url)
        stack.enter_context(chdir(base))
        cases = generate(seed)
        for _ in range(count):
            reference, policy = next(cases)
            texts = [fill(text, base, registry.host) for text in (reference, json.dumps(policy))]
            theirs, ours = skopeo.judge(*texts), judge(*texts)
            counts[theirs] += 1
            recorded.append({"reference": reference, "policy": policy, "verdict": theirs})
            if ours != theirs:
                different += 1
                print(f"{reference}: {ours} (Skopeo: {theirs}) {json.dumps(policy)}")
    print(f"seed {seed}: {count} scopes, {different} different; {dict(counts)}")
    if record is not None:
        lines = ",\n".join(json.dumps(case) for case in recorded)
        record.write_text(f'{{"skopeo": "1.22.0-dev", "cases": [\n{lines}\n]}}\n')
    return different
