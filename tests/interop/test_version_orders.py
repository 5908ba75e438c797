"""Generated versions are ordered as by dpkg, rpm, RubyGems, npm and Maven.

The answers of Maven, which needs Java, are recorded;
``python -m tests.interop.test_version_orders`` asks it again.
"""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.vulnerabilities.versions import dpkg, gem, maven, rpm, semantic
from bundler.bundle.audit.vulnerabilities.versions.version_error import VersionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bundler.bundle.audit.vulnerabilities.versions.orders import CreateKey
    from tests.conftest import Sample

pytestmark = pytest.mark.interop

SEMVER = Path("/usr/share/nodejs/semver")
MAVEN = Path("/usr/share/maven/lib/maven-artifact-3.x.jar")
RECORDED = Path(__file__).with_name("maven_orders.txt")
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


def ask_dpkg(pairs: Sequence[Pair]) -> list[str]:
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
    node = ("env", f"NODE_PATH={SEMVER.parent}", "node")
    return run(*node, "-e", program, text=json.dumps(pairs)).split()


def check(create_key: CreateKey, pairs: Sequence[Pair], answers: list[str]) -> None:
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


def test_dpkg(sample: Sample) -> None:
    pairs = sample(generate("0 1 01 10 . . - ~ + a b Z rc ~~", 700), 5)
    check(dpkg.create_key, pairs, ask_dpkg(pairs))


@pytest.mark.parametrize(
    ("create_key", "pieces", "ask"),
    [
        (rpm.create_key, "0 1 01 10 . . _ ~ ^ + a b Z rc", None),
        (gem.create_key, "0 1 10 . . - a b .0 pre rc", ask_ruby),
        (
            semantic.create_key,
            ".0.0- .10.1- .0.0-rc.1 .0.0-rc.10 .a .1 .b .1a -0 +b",
            ask_node,
        ),
    ],
    ids=["rpm", "ruby", "node"],
)
def test_other_programs(
    tmp_path: Path,
    create_key: CreateKey,
    pieces: str,
    ask: Callable[[list[Pair]], list[str]] | None,
) -> None:
    pairs = generate(pieces, 20_000)
    check(create_key, pairs, (ask or partial(ask_rpm, tmp_path))(pairs))


def create_maven_pairs() -> list[Pair]:
    """Create versions of the documented forms.

    These are numbers, then a qualifier, after the same separator, with a number.
    """
    chance = random.Random(7)
    names = ["alpha", "beta", "rc", "cr", "SNAPSHOT", "Final", "GA", "sp", "jre", "android"]
    names += ["M", "b", "a", "x"]

    def create(separator: str) -> str:
        numbers = ".".join(chance.choices(["0", "1", "2", "10", "20"], k=chance.randint(1, 4)))
        if chance.random() < 0.3:
            return numbers
        return f"{numbers}{separator}{chance.choice(names)}{chance.choice(['', '1', '2', '10'])}"

    return [(create(mark), create(mark)) for mark in chance.choices(".-", k=20_000)]


def test_maven() -> None:
    """Each character of the file is the answer for one pair: ``<``, ``=`` or ``>``."""
    signs = {"<": "-1", "=": "0", ">": "1"}
    answers = [signs[sign] for sign in "".join(RECORDED.read_text().split())]
    check(maven.create_key, create_maven_pairs(), answers)


def ask_maven(directory: Path, pairs: list[Pair]) -> list[str]:
    (directory / "pairs").write_text("".join(f"{a} {b}\n" for a, b in pairs))
    (directory / "Compare.java").write_text(
        "import org.apache.maven.artifact.versioning.ComparableVersion;"
        "import java.nio.file.*;"
        "public class Compare{public static void main(String[] a)throws Exception{"
        'for(String l:Files.readAllLines(Path.of(a[0]))){String[] p=l.split(" ");'
        "System.out.println(Integer.signum("
        "new ComparableVersion(p[0]).compareTo(new ComparableVersion(p[1]))));}}}"
    )
    classes = ":".join(map(str, MAVEN.parent.glob("*.jar")))
    return run("java", "-cp", classes, directory / "Compare.java", directory / "pairs").split()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        answers = ask_maven(Path(folder), create_maven_pairs())
    found = "".join("=><"[int(answer)] for answer in answers)
    RECORDED.write_text("\n".join(found[at : at + 100] for at in range(0, len(found), 100)) + "\n")
