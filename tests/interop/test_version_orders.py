"""Generated versions are ordered as by dpkg, rpm, RubyGems, npm and Maven.

A program that is not installed is skipped, except dpkg on Debian.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.vulnerabilities.versions import dpkg, gem, maven, rpm, semantic
from bundler.bundle.audit.vulnerabilities.versions.version_error import VersionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.bundle.audit.vulnerabilities.versions.orders import CreateKey

pytestmark = pytest.mark.interop

SEMVER = Path("/usr/lib/node_modules/npm/node_modules/semver")
MAVEN = Path("/usr/share/maven/lib/maven-artifact-3.x.jar")
Pair = tuple[str, str]


def generate(pieces: str, count: int) -> list[Pair]:
    """Return pairs of versions, of which most differ in one place."""
    chance = random.Random(7)
    parts = pieces.split()
    pairs = []
    for _ in range(count):
        one = [chance.choice("0129"), *chance.choices(parts, k=chance.randint(0, 6))]
        other = list(one)
        other.insert(chance.randint(1, len(one)), chance.choice(parts))
        if len(other) > 2 and chance.random() < 0.5:
            del other[chance.randint(1, len(other) - 1)]
        pairs.append(("".join(one), "".join(other)))
    return pairs


def compare(create_key: CreateKey, pair: Pair) -> int | None:
    try:
        one, other = map(create_key, pair)
    except VersionError:
        return None
    return (one > other) - (one < other)


def run(*arguments: str | Path, text: str = "") -> str:
    return subprocess.run(
        arguments, input=text, capture_output=True, text=True, check=True, timeout=120
    ).stdout


def ask_dpkg(pairs: list[Pair]) -> list[str]:
    script = (
        "while read -r a b; do c=x; for r in lt=-1 eq=0 gt=1; do"
        ' dpkg --compare-versions "$a" ${r%=*} "$b" 2>/dev/null && { c=${r#*=}; break; };'
        " done; echo $c; done"
    )
    return run("bash", "-c", script, text="".join(f"{a} {b}\n" for a, b in pairs)).split()


def ask_rpm(directory: Path, pairs: list[Pair]) -> list[str]:
    path = directory / "pairs"
    path.write_text("".join(f"{a} {b}\n" for a, b in pairs))
    program = (
        f"for l in io.lines([[{path}]]) do local a,b=l:match([[(%S+) (%S+)]]);"
        " print(rpm.vercmp(a,b)..[[,]]) end"
    )
    return run("rpm", "--eval", f"%{{lua:{program}}}").strip().strip(",").split(",")


def ask_ruby(pairs: list[Pair]) -> list[str]:
    program = (
        "STDIN.each_line{|l| p=l.split; puts(p.all?{|v| Gem::Version.correct?(v)} ?"
        " (Gem::Version.new(p[0])<=>Gem::Version.new(p[1])) : 'x')}"
    )
    return run("ruby", "-e", program, text="".join(f"{a} {b}\n" for a, b in pairs)).split()


def ask_node(pairs: list[Pair]) -> list[str]:
    program = (
        f"const s=require({json.dumps(str(SEMVER))});const f=require('fs');"
        "for(const p of JSON.parse(f.readFileSync(0)))"
        "console.log(p.every(v=>s.valid(v)===v.split('+')[0])?s.compare(...p):'x')"
    )
    return run("node", "-e", program, text=json.dumps(pairs)).split()


def check(create_key: CreateKey, pairs: list[Pair], answers: list[str]) -> None:
    """Compare all answers; versions that the program refuses have no place in our order either."""
    assert len(answers) == len(pairs)
    compared = [compare(create_key, pair) for pair in pairs]
    wrong = [
        (pair, own, answer)
        for pair, own, answer in zip(pairs, compared, answers, strict=True)
        if own is not None and str(own) != answer
    ]
    assert not wrong
    assert len(pairs) - compared.count(None) > len(pairs) // 20


def need(*names: str | Path) -> None:
    for name in names:
        if shutil.which(name) is None and not Path(name).exists():
            pytest.skip(f"{name} is not installed")


def test_dpkg() -> None:
    need("dpkg")
    pairs = generate("0 1 01 10 . . - ~ + a b Z rc ~~", 700)
    check(dpkg.create_key, pairs, ask_dpkg(pairs))


@pytest.mark.parametrize(
    ("program", "create_key", "pieces", "ask"),
    [
        ("rpm", rpm.create_key, "0 1 01 10 . . _ ~ ^ + a b Z rc", None),
        ("ruby", gem.create_key, "0 1 10 . . - a b .0 pre rc", ask_ruby),
        (
            "node",
            semantic.create_key,
            ".0.0- .10.1- .0.0-rc.1 .0.0-rc.10 .a .1 .b .1a -0 +b",
            ask_node,
        ),
    ],
    ids=["rpm", "ruby", "node"],
)
def test_other_programs(
    tmp_path: Path,
    program: str,
    create_key: CreateKey,
    pieces: str,
    ask: Callable[[list[Pair]], list[str]] | None,
) -> None:
    need(program, *([SEMVER] if program == "node" else []))
    pairs = generate(pieces, 20_000)
    check(create_key, pairs, (ask or partial(ask_rpm, tmp_path))(pairs))


def test_maven(tmp_path: Path) -> None:
    """The documented forms: numbers, then a qualifier, after the same separator, with a number."""
    need("java", MAVEN)
    chance = random.Random(7)
    names = [
        "alpha",
        "beta",
        "rc",
        "cr",
        "SNAPSHOT",
        "Final",
        "GA",
        "sp",
        "jre",
        "android",
        "M",
        "b",
        "a",
        "x",
    ]

    def create(separator: str) -> str:
        numbers = ".".join(chance.choices(["0", "1", "2", "10", "20"], k=chance.randint(1, 4)))
        if chance.random() < 0.3:
            return numbers
        return f"{numbers}{separator}{chance.choice(names)}{chance.choice(['', '1', '2', '10'])}"

    pairs = [(create(mark), create(mark)) for mark in chance.choices(".-", k=20_000)]
    (tmp_path / "pairs").write_text("".join(f"{a} {b}\n" for a, b in pairs))
    (tmp_path / "Compare.java").write_text(
        "import org.apache.maven.artifact.versioning.ComparableVersion;"
        "import java.nio.file.*;"
        "public class Compare{public static void main(String[] a)throws Exception{"
        'for(String l:Files.readAllLines(Path.of(a[0]))){String[] p=l.split(" ");'
        "System.out.println(Integer.signum("
        "new ComparableVersion(p[0]).compareTo(new ComparableVersion(p[1]))));}}}"
    )
    classes = ":".join(map(str, MAVEN.parent.glob("*.jar")))
    answers = run("java", "-cp", classes, tmp_path / "Compare.java", str(tmp_path / "pairs"))
    check(maven.create_key, pairs, answers.split())
