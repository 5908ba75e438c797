"""A session runs commands in an empty directory and records their complete output.

The result is two texts. ``formats`` has the parts that other programs read: exit statuses, JSON
documents, the files of bundles, and all output under the name skopeo. ``messages`` holds the text
for people: tables, notes, errors, help, VERIFY.txt.

Parts that differ between runs (directories, ports, times, random keys, and the digests of files
with such parts) are replaced by names in angle brackets.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests import preloaded
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

KEYS = Path(__file__).parent / "keys"
LONGEST_TEXT = 16 * 1024
JSON_COMMANDS = (["inspect"], ["list-tags"], ["manifest-digest"])
"""Commands of airbundle whose stdout is for programs even without ``--json``."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:?\d\d(:?\d\d)?(?:Z| UTC|[+-]\d\d:\d\d)")
_MESSAGE = re.compile(r'"(error|text|distrust|refusal)": "(.*)"')
"""The members of JSON reports whose values are wording for people."""
_WARNINGS = re.compile(r"(?:^warning: .*\n)+", re.MULTILINE)
_PROGRESS = re.compile(r"^\d+ (?:blob|file)s?\b.*\n", re.MULTILINE)
"""Lines whose presence depends on the speed of the machine."""
_DISK = re.compile(
    r'("(?:device|fileSystem|free|freeFiles|largestFile|mountPoint|readOnly|removable|total)": )'
    r"[^,\n]+"
    r"|^((?:medium|free): ).+|(mounted at ).+",
    re.MULTILINE,
)
"""Properties of the disk of the directory, each after its name."""
_EVIDENCE = re.compile(r'("evidence": "sha256:)[0-9a-f]{64}|("user": ")[^"]+')
"""The digest of evidence, which names the version of the program, and the name of the operator."""
_SECONDS = re.compile(r"(?<![\w.])1\d{9}(?![\w.])")
_SECOND_RECEIPT = re.compile(r"(<now>)-\d(\.json)")
"""The number of a further receipt that is written within the same second."""


class Session:
    """Commands that run one after another in ``directory``.

    Used as a context manager, it stops its registries at the end.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._started = time.time()
        self._steps: list[tuple[str, list[tuple[str, str]], list[tuple[str, str]]]] = []
        self._registries = ExitStack()
        self._replacements = [(str(directory), "<directory>")]
        self._digests: dict[str, str] = {}
        for name in ("home", "run"):
            (directory / name).mkdir()
        for key in KEYS.iterdir():
            (directory / key.name).write_bytes(key.read_bytes())
        self._policy = directory / "run" / "policy.json"  # in place of that of the machine
        self._policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}\n')

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._registries.close()

    # Preparation

    def write(self, name: str, text: str) -> Path:
        """Write a text file below the directory."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def registry(self, **options: Any) -> FakeRegistry:
        """Start a registry, which is stopped when the session ends."""
        registry = self._registries.enter_context(FakeRegistry(**options))
        self._replacements += [
            (f"127.0.0.1:{registry.port}", "127.0.0.1:<port>"),
            (f"127.0.0.1-{registry.port}", "127.0.0.1-<port>"),
        ]
        return registry

    # Commands

    def airbundle(self, *arguments: object, stdin: str = "") -> None:
        """Run ``airbundle`` and record its exit status and output."""
        words = [str(argument) for argument in arguments]
        result = self._run(words, stdin)
        formats, messages = [("exit status", f"{result.returncode}\n")], []
        if "--json" in words or words[:1] in JSON_COMMANDS:
            formats.append(("stdout", _MESSAGE.sub(r'"\1": "<message>"', result.stdout)))
            messages += [
                (f"stdout, {match[1]}", f"{match[2]}\n")
                for match in _MESSAGE.finditer(result.stdout)
            ]
        else:
            messages.append(("stdout", result.stdout))
        messages.append(("stderr", _sort_warnings(_PROGRESS.sub("", result.stderr))))
        self._record(f"airbundle {' '.join(words)}", formats, messages)

    def skopeo(self, *arguments: object, stdin: str = "", prints_help: bool = False) -> None:
        """Run the program under the name ``skopeo``, where all output is a format.

        Only help is text for people, because it is not Skopeo's.
        """
        words = [str(argument) for argument in arguments]
        result = self._run(["--as", "skopeo", *words], stdin)
        status = [("exit status", f"{result.returncode}\n")]
        output = [("stdout", _sort_blob_lines(result.stdout)), ("stderr", result.stderr)]
        title = f"skopeo {' '.join(words)}"
        if prints_help:
            self._record(title, status, output)
        else:
            self._record(title, [*status, *output])

    def _run(self, words: list[str], stdin: str) -> subprocess.CompletedProcess[str]:
        home = self.directory / "home"
        result = preloaded.run(
            words,
            stdin=stdin,
            env={
                "HOME": str(home),
                "XDG_CONFIG_HOME": str(home / ".config"),
                "XDG_DATA_HOME": str(home / ".local/share"),
                "XDG_RUNTIME_DIR": str(self.directory / "run"),
                "CONTAINERS_POLICY_JSON": str(self._policy),
                "LANG": "C.UTF-8",
                "TZ": "UTC",
                "COLUMNS": "100",
                "PATH": os.environ["PATH"],  # noqa: TID251 - credential helpers are found there
            },
            cwd=self.directory,
            timeout=60,
        )
        self._find_variable_digests()
        return result

    # Files

    def files(self, name: str) -> None:
        """Record every file below ``name``, or the file ``name``."""
        top = self.directory / name
        formats, messages = [], []
        seen: dict[int, str] = {}
        for path in _walk(top) if top.is_dir() else [top]:
            label = path.relative_to(self.directory).as_posix()
            number = path.stat().st_ino
            if number in seen:
                formats.append((label, f"hard link to {seen[number]}\n"))
                continue
            seen[number] = label
            text = self._describe(path)
            if path.name == "VERIFY.txt":
                messages.append((label, text))
                text = "for people; see messages\n"
            formats.append((label, text))
        self._record(f"files: {name}", formats, messages)

    def repository(self, registry: FakeRegistry, name: str) -> None:
        """Record the content of the repository ``name`` of a registry."""
        stored = registry.repository(name)
        tags = [f"{tag} {digest}" for tag, digest in stored.tags.items()]
        parts = {"blobs": stored.blobs, "manifests": stored.manifests, "tags": tags}
        self._record(
            f"repository: {name}",
            [
                (part, "".join(f"{line}\n" for line in sorted(lines)))
                for part, lines in parts.items()
            ],
        )

    def _describe(self, path: Path) -> str:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if path.name.removesuffix(".manifest.json") == digest:
            return f"{len(data)} bytes whose SHA-256 is the file's name\n"
        if path.name.endswith(".sigstore.json"):
            document = json.loads(data)
            signature = base64.b64decode(document["messageSignature"]["signature"])
            inventory = path.with_name("bundle.json").read_bytes()
            return f"a bundle of sigstore with {_describe_signature(inventory, signature)}"
        if path.suffix == ".sig":
            return _describe_signature(path.with_name("bundle.json").read_bytes(), data)
        if path.suffix in {".key", ".pub"} and not (KEYS / path.name).exists():
            mode = stat.S_IMODE(path.stat().st_mode)
            return f"mode {mode:o}\n{data.decode().splitlines()[0]}\n<random>\n"
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = "\0"
        if len(data) > LONGEST_TEXT or "\0" in text:
            return f"{len(data)} bytes, SHA-256 {digest}\n"
        return text

    # The two texts

    def _record(
        self,
        title: str,
        formats: list[tuple[str, str]],
        messages: list[tuple[str, str]] | None = None,
    ) -> None:
        self._steps.append((title, formats, messages or []))

    def formats(self) -> str:
        """Return the parts that other programs read."""
        return self._render([(title, formats) for title, formats, _ in self._steps])

    def messages(self) -> str:
        """Return the parts that people read."""
        return self._render([(title, messages) for title, _, messages in self._steps])

    def _render(self, steps: list[tuple[str, list[tuple[str, str]]]]) -> str:
        lines = []
        for title, parts in steps:
            if not parts:
                continue
            lines.append(f"$ {title}")
            for label, text in parts:
                form = _describe_json_layout(text)
                lines.append(f"--- {label} ({form})" if form else f"--- {label}")
                readable = json.dumps(json.loads(text), indent=2) if form else text
                lines += readable.splitlines()
                if text and not form and not text.endswith("\n"):
                    lines.append("(no newline at the end)")
            lines.append("")
        return self._normalise("\n".join(lines))

    # Variable parts

    def _normalise(self, text: str) -> str:
        for old, new in [*self._replacements, *self._digests.items()]:
            text = text.replace(old, new)
        text = _TIME.sub(self._name_time, text)
        text = _EVIDENCE.sub(lambda match: f"{match[1] or match[2]}<of this run>", text)
        text = _DISK.sub(lambda match: f"{match[match.lastindex or 0]}<of this machine>", text)
        return _SECOND_RECEIPT.sub(r"\1\2", _SECONDS.sub(self._name_seconds, text))

    def _name_time(self, match: re.Match[str]) -> str:
        return self._name_moment(
            datetime.fromisoformat(match[0].replace(" UTC", "Z")).timestamp(), match[0]
        )

    def _name_seconds(self, match: re.Match[str]) -> str:
        return self._name_moment(int(match[0]), match[0])

    def _name_moment(self, moment: float, text: str) -> str:
        """Return ``<now>`` for a time of this session, ``<now+90d>`` for one in 90 days."""
        days, rest = divmod(moment - self._started + 60, 24 * 3600)
        if rest > 600 or days not in {0, 90}:
            return text
        return f"<now+{int(days)}d>" if days else "<now>"

    def _name_key(self, path: Path) -> None:
        key = serialization.load_pem_public_key(path.read_bytes())
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        number = hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()
        groups = " ".join(number[start : start + 4] for start in range(0, 64, 4))
        self._digests[number] = f"<id of {path.name}>"
        self._digests[groups] = f"<fingerprint of {path.name}>"

    def _find_variable_digests(self) -> None:
        """Name the digest of every file that differs between runs."""
        found = True
        while found:
            found = False
            for path in _walk(self.directory):
                data = path.read_bytes()
                digest = hashlib.sha256(data).hexdigest()
                if digest in self._digests or path.name == digest or len(data) > LONGEST_TEXT:
                    continue
                if path.suffix == ".pub" and not (KEYS / path.name).exists():
                    self._name_key(path)
                text = data.decode(errors="replace")
                if path.name == "VERIFY.txt" or self._normalise(text) != text:
                    label = path.relative_to(self.directory).as_posix()
                    self._digests[digest] = f"<SHA-256 of {label}>"
                    found = True


def _walk(top: Path) -> Iterator[Path]:
    """Yield every regular file below ``top`` in the order of the paths.

    The evidence in the records is left out: its bytes depend on the version of zstd.
    """
    for path in sorted(top.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.parent.name != "evidence":
            yield path


def _sort_warnings(text: str) -> str:
    """Sort successive warnings, since images are resolved in parallel."""
    return _WARNINGS.sub(lambda match: "".join(sorted(match[0].splitlines(keepends=True))), text)


def _sort_blob_lines(text: str) -> str:
    """Sort consecutive ``Copying blob`` lines: blobs are copied in parallel."""
    ordered: list[str] = []
    blobs: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("Copying blob "):
            blobs.append(line)
        else:
            ordered += [*sorted(blobs), line]
            blobs = []
    return "".join([*ordered, *sorted(blobs)])


def _describe_signature(signed: bytes, signature: bytes) -> str:
    for path in sorted(KEYS.glob("*.pub")):
        key = serialization.load_pem_public_key(path.read_bytes())
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, signed)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        return f"signature of bundle.json by {path.name}\n"
    return f"signature by an unknown key: {signature.hex()}\n"


def _describe_json_layout(text: str) -> str | None:
    """Describe the layout of a JSON document in bytes; None for anything else.

    The recording is indented, so that diffs are readable; the description pins the original layout.
    """
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict | list):
        return None
    end = "\n" if text.endswith("\n") else ""
    forms = {
        "compact, keys sorted": json.dumps(value, separators=(",", ":"), sort_keys=True),
        "compact": json.dumps(value, separators=(",", ":")),
    }
    for form, expected in forms.items():
        if text == expected + end:
            return f"JSON, {form}, {'with' if end else 'without'} newline at the end"
    return None
