"""Under the name skopeo, stdout, log and exit status are those of Skopeo.

The commands of ``SAME_AS_SKOPEO`` run with both programs. Debian's Skopeo is 1.9.3; where it
differs from 1.22, which the program follows, ``NEWER_SKOPEO`` holds the output of 1.22. Known
differences of 1.9.3:

- its status is 1 where an image is not found, that of 1.22 is 2;
- an error of a registry is printed with its code before its message (``unauthorized: ...``), and
  without ``fetching manifest TAG in REPOSITORY`` or ``getting repository tags`` before it;
- a certificate error has no ``tls: failed to verify certificate``;
- it does not know ``--retry-delay``, ``--image-parallel-copies``, ``--require-signed``,
  ``--compat-auth-file``, ``--manifest-digest`` and ``oci:PATH:@N``, nor deletes from ``oci:``;
- it prints ``Storing signatures`` after each copy, ``Copying 2 of 3 images in list``, and begins
  some messages with a capital;
- it does not warn if ``--dest-compress`` or ``--dest-decompress`` has no effect.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.launcher import install_program
from tests.fakes import images
from tests.interop import servers

if TYPE_CHECKING:
    from pathlib import Path

BASE = images.layer({"data": b"x" * 3000})
APP = images.image(BASE, images.layer({"b": b"2"}), config={"history": [{"created_by": "x"}] * 2})
MANY = images.multi_platform("oci", "linux/arm64", "linux/amd64")
NOWHERE = "sha256:" + 64 * "0"
COPY = "--insecure-policy copy"

SAME_AS_SKOPEO = (
    # The command line.
    "",
    "bogus",
    "cpy",
    "version",
    "--nope",
    "--nope copy",
    "-x",
    "--override-arch",
    "--debug=x copy a",
    "--command-timeout x copy a b",
    "copy --nope",
    "copy ---x",
    "copy --=x",
    "copy - b",
    "copy -- --x y",
    "copy --help=false a b",
    "copy -h=x",
    "copy -f",
    "copy --format",
    "copy -ax a b",
    "copy -q=x a b",
    "copy --all=maybe a b",
    "copy --retry-times x a b",
    "copy --retry-times 99999999999999999999 a b",
    "copy --retry-times 0x1_ a b",
    "copy --retry-times 012 a b",
    "copy --retry-times=-1 a b",
    "copy --encrypt-layer x a b",
    "copy --src-tls-verify=maybe a b",
    "--tls-verify=false copy a b",
    "inspect --nope",
    "inspect -z",
    "inspect -nz",
    "inspect --no-tags=true=x",
    # The number of arguments.
    "inspect",
    "inspect a b",
    "delete",
    "logout --all x",
    "manifest-digest",
    "manifest-digest a b",
    "layers",
    # Mutually exclusive flags, and invalid values.
    "copy --additional-tag x,y dir:/none dir:{out}/o",
    "copy --multi-arch foo dir:/none dir:{out}/o",
    "copy --all --multi-arch all dir:/none dir:{out}/o",
    "copy --format foo dir:/none dir:{out}/o",
    "copy --src-creds a:b --src-no-creds docker://x dir:{out}/o",
    "copy --screds a:b --src-no-creds docker://x dir:{out}/o",
    "copy --dest-username a docker://x dir:{out}/o",
    "copy --src-creds= docker://x/y dir:{out}/o",
    "copy --src-creds=:x docker://x/y dir:{out}/o",
    "copy --src-username a --src-password b --src-no-creds docker://x/y dir:{out}/o",
    "copy --src-creds a:b --src-username a --src-password b docker://x/y dir:{out}/o",
    "copy --encryption-key jwe:x --decryption-key y dir:{out}/o dir:{out}/p",
    "copy --encrypt-layer 0 dir:{out}/o dir:{out}/p",
    "copy --dest-compress --dest-decompress dir:{out}/o dir:{out}/p",
    "copy --dest-compress-format foo dir:{out}/o dir:{out}/p",
    "inspect --raw --format x dir:/none",
    "sync a b",
    "sync --src oci --dest dir a b",
    "sync --src docker --dest oci a b",
    "sync --src docker a b",
    "sync --src dir --dest dir a b",
    "sync --src dir --dest docker {d}/none x/y",
    "sync --src yaml --dest dir {d}/none {out}/o",
    # References.
    "copy x:y dir:z",
    "copy dir:z x:y",
    "copy docker-archive:/x:y docker-archive:/y:a@sha256:x",
    "delete a",
    "delete dir:/none",
    "delete docker-archive:/none",
    "delete oci-archive:/none",
    "delete docker-daemon:x:y",
    "delete ostree:x",
    "delete sif:x",
    "delete tarball:x",
    "inspect ''",
    "inspect dir",
    "inspect x:y",
    "inspect docker:a",
    "inspect docker://",
    "inspect docker:///",
    "inspect docker://UPPER/x",
    "inspect docker://a:b:c",
    "inspect docker://x/",
    "inspect docker://x/y:",
    "inspect docker://x@y",
    "inspect docker://{d}",
    f"inspect docker://a/b:c@{NOWHERE}",
    "inspect docker-archive:",
    "inspect docker-archive:{d}/x:A",
    "inspect docker-archive:{d}/x:@x",
    "inspect docker-daemon:",
    "inspect docker-daemon:x",
    "inspect docker-daemon:sha256:12",
    "inspect oci:{d}/many:!bad",
    "inspect ostree:x@/y",
    "inspect tarball:",
    "list-tags a",
    "list-tags dir:/none",
    "list-tags docker://x/y:z",
    "list-tags docker://x/y@sha256:aa",
    # Local paths.
    "inspect dir:",
    "inspect dir:/none",
    "inspect dir:{d}/many",
    "inspect oci:",
    "inspect oci:/none",
    "inspect oci:{d}/many",
    "inspect docker-archive:/none",
    "list-tags docker-archive:/none",
    "manifest-digest {d}",
    "manifest-digest /none",
    "manifest-digest {d}/one/index.json",
    f"{COPY} oci:{{d}}/none:x dir:{{out}}/o",
    f"{COPY} oci:{{d}}/many dir:{{out}}/o",
    f"{COPY} dir:/none dir:{{out}}/o",
    f"{COPY} docker-archive:/none dir:{{out}}/o",
    f"{COPY} oci:{{d}}/one dir:{{d}}/many",
    f"{COPY} oci:{{d}}/one docker-archive:{{d}}/one/index.json:x:y",
    f"{COPY} oci:{{d}}/one sif:/none",
    f"{COPY} --digestfile /none/x oci:{{d}}/one dir:{{out}}/o",
    "copy --policy /none oci:{d}/one dir:{out}/o",
    "copy --policy {d}/reject oci:{d}/one dir:{out}/o",
    "inspect --config oci:{d}/one",
    "inspect --raw oci:{d}/many:many",
    "inspect --raw --config oci:{d}/one",
    "inspect --format {{{{.Digest}}}} oci:{d}/one",
    # Copies.
    f"{COPY} oci:{{d}}/one dir:{{out}}/o",
    f"{COPY} -q oci:{{d}}/one dir:{{out}}/o",
    f"{COPY} oci:{{d}}/one oci:{{out}}/o:x",
    f"{COPY} oci:{{d}}/many:many oci:{{out}}/o:x",
    f"{COPY} -a oci:{{d}}/many:many oci:{{out}}/o:x",
    f"{COPY} --all oci:{{d}}/many:many dir:{{out}}/o",
    f"{COPY} --multi-arch index-only oci:{{d}}/many:many dir:{{out}}/o",
    f"{COPY} --format v2s2 oci:{{d}}/one dir:{{out}}/o",
    f"{COPY} --digestfile {{out}}.digest oci:{{d}}/one dir:{{out}}/o",
    f"{COPY} oci:{{d}}/one oci-archive:{{out}}.tar:x",
    f"{COPY} oci:{{d}}/one docker-archive:{{out}}.tar:x:y",
    f"{COPY} --additional-tag a:b,c:d oci:{{d}}/one docker-archive:{{out}}.tar:x:y",
    f"{COPY} --dest-decompress oci:{{d}}/one dir:{{out}}/o",
    f"{COPY} --preserve-digests oci:{{d}}/one oci:{{out}}/o",
    f"{COPY} --remove-signatures oci:{{d}}/one dir:{{out}}/o",
    f"{COPY} --remove-signatures --all oci:{{d}}/many:many dir:{{out}}/o",
    f"{COPY} --src-shared-blob-dir {{d}}/one/blobs oci:{{d}}/one oci:{{out}}/o",
    f"{COPY} --dest-shared-blob-dir {{out}}/blobs oci:{{d}}/one oci:{{out}}/o",
    pytest.param(
        f"{COPY} oci:{{d}}/one containers-storage:[vfs@{{out}}/s+{{out}}/run]docker.io/library/x:y",
        marks=pytest.mark.kernel("owners", "mounts as root"),
    ),
    f"--tmpdir {{d}} --command-timeout 1h {COPY} oci:{{d}}/one dir:{{out}}/o",
    f"--override-arch arm64 {COPY} oci:{{d}}/many:many dir:{{out}}/o",
    f"{COPY} --authfile /none oci:{{d}}/one dir:{{out}}/o",
    f"{COPY} --src-tls-verify=0 docker://{{reg}}/drop/app:1 dir:{{out}}/o",
    f"{COPY} --tls-verify=false docker://{{reg}}/drop/app:1 dir:{{out}}/o",
    f"--tls-verify=false {COPY} docker://{{reg}}/drop/app:1 dir:{{out}}/o",
    f"{COPY} --src-tls-verify=f docker://{{reg}}/drop/many:1 dir:{{out}}/o",
    f"{COPY} --dest-tls-verify=false oci:{{d}}/one docker://{{reg}}/drop/{{client_name}}:new",
    # Registries.
    "list-tags --tls-verify=false docker://{reg}/drop/app",
    "inspect --tls-verify=false --raw docker://{reg}/drop/app:1",
    "inspect --no-tags --tls-verify=false --config docker://{reg}/drop/app:1",
    "delete --tls-verify=false docker://{reg}/drop/app:none",
    "delete docker://{reg}/drop/app:none",
    "delete docker://127.0.0.1:1/x:y",
    f"{COPY} oci:{{d}}/one docker://{{reg}}/drop/x:1",
    f"{COPY} oci:{{d}}/one docker://127.0.0.1:1/x:1",
    f"{COPY} --dest-tls-verify=false oci:{{d}}/one docker://{{tok}}/x:1",
    # Credentials.
    "login 127.0.0.1:1",
    "login -u a 127.0.0.1:1",
    "login --get-login 127.0.0.1:1",
    "login -u a -p b 127.0.0.1:1",
    "login -u a -p b {reg}",
    "login -u a --password b --tls-verify=false {tls}",
    "login -u a --password b --tls-verify=false {tok}",
    "logout 127.0.0.1:1",
)

PINGING = 'pinging container registry {0}: Get "https://{0}/v2/": '
REFUSED = PINGING.format("127.0.0.1:1") + "dial tcp 127.0.0.1:1: connect: connection refused"
PLAIN = PINGING.format("{reg}") + "http: server gave HTTP response to HTTPS client"
UNKNOWN = (
    PINGING.format("{tls}")
    + "tls: failed to verify certificate: x509: certificate signed by unknown authority"
)
TOKEN = (
    "unable to retrieve auth token: invalid username/password: unauthorized: wrong or no password"
)
ENGINE = (
    "loading image from docker engine: failed to connect to the docker API at unix:///none;"
    " check if the path is correct and if the daemon is running:"
    " dial unix /none: connect: no such file or directory"
)
NO_PLATFORM = 'no image found in image index for architecture "s390x", variant "", OS "linux"'

NEWER_SKOPEO: dict[str, tuple[int, str]] = {
    # Missing images.
    "inspect --tls-verify=false docker://{reg}/drop/app:none": (
        2,
        (
            'Error parsing image name "docker://{reg}/drop/app:none":'
            " reading manifest none in {reg}/drop/app: manifest unknown"
        ),
    ),
    f"{COPY} --src-tls-verify=false docker://{{reg}}/drop/none dir:{{out}}/o": (
        2,
        (
            "initializing source docker://{reg}/drop/none:latest:"
            " reading manifest latest in {reg}/drop/none: manifest unknown"
        ),
    ),
    f"{COPY} --src-tls-verify=false docker://{{reg}}/drop/app@{NOWHERE} dir:{{out}}/o": (
        2,
        (
            f"initializing source docker://{{reg}}/drop/app@{NOWHERE}:"
            f" reading manifest {NOWHERE} in {{reg}}/drop/app: manifest unknown"
        ),
    ),
    f"{COPY} oci:{{d}}/one:none dir:{{out}}/o": (
        2,
        'initializing source oci:{d}/one:none: no descriptor found for reference "none"',
    ),
    "inspect oci:{d}/one:none": (
        2,
        'Error parsing image name "oci:{d}/one:none": no descriptor found for reference "none"',
    ),
    "delete oci:{d}/one:none": (2, 'no descriptor found for reference "none"'),
    "delete oci:{d}/none:none": (1, "open {d}/none/index.json: no such file or directory"),
    f"{COPY} oci:{{d}}/many:@9 dir:{{out}}/o": (
        1,
        "initializing source oci:{d}/many:@9: index 9 is too large, only 2 entries available",
    ),
    "inspect oci:{d}/many:@x": (
        1,
        (
            'Error parsing image name "oci:{d}/many:@x": Invalid source index @x: not an integer:'
            ' strconv.Atoi: parsing "x": invalid syntax'
        ),
    ),
    f"--override-arch s390x {COPY} oci:{{d}}/many:many dir:{{out}}/o": (
        1,
        f"choosing an image from manifest list oci:{{d}}/many:many: {NO_PLATFORM}",
    ),
    "--override-arch s390x inspect oci:{d}/many:many": (
        1,
        f"Error parsing manifest for image: choosing image instance: {NO_PLATFORM}",
    ),
    f"{COPY} oci-archive:/none dir:{{out}}/o": (
        1,
        (
            "initializing source oci-archive:/none:: creating temp directory:"
            ' archive file not found: "/none"'
        ),
    ),
    f"{COPY} --src-daemon-host unix:///none docker-daemon:x:y dir:{{out}}/o": (
        1,
        f"initializing source docker-daemon:x:y: {ENGINE}",
    ),
    # Connections to a registry.
    f"{COPY} docker://127.0.0.1:1/x:1 dir:{{out}}/o": (
        1,
        (
            "initializing source docker://127.0.0.1:1/x:1:"
            f" fetching manifest 1 in 127.0.0.1:1/x: {REFUSED}"
        ),
    ),
    "inspect docker://{reg}/drop/app:1": (
        1,
        (
            'Error parsing image name "docker://{reg}/drop/app:1":'
            f" fetching manifest 1 in {{reg}}/drop/app: {PLAIN}"
        ),
    ),
    "inspect docker://{tls}/x:1": (
        1,
        (
            'Error parsing image name "docker://{tls}/x:1":'
            f" fetching manifest 1 in {{tls}}/x: {UNKNOWN}"
        ),
    ),
    "list-tags docker://127.0.0.1:1/x": (
        1,
        f"Error listing repository tags: getting repository tags: {REFUSED}",
    ),
    "login -u a -p b {tls}": (1, f'authenticating creds for "{{tls}}": {UNKNOWN}'),
    # Requests that a registry refuses.
    "list-tags --tls-verify=false docker://{reg}/drop/none": (
        1,
        "Error listing repository tags: fetching tags list: repository name not known to registry",
    ),
    "inspect --cert-dir {ca} docker://{tls}/x:1": (
        1,
        (
            'Error parsing image name "docker://{tls}/x:1":'
            " reading manifest 1 in {tls}/x: authentication required"
        ),
    ),
    "delete --tls-verify=false docker://{tls}/x:1": (
        1,
        "deleting {tls}/x:1: authentication required",
    ),
    f"{COPY} --src-tls-verify=false --src-creds a:b docker://{{tok}}/x:1 dir:{{out}}/o": (
        1,
        f"initializing source docker://{{tok}}/x:1: fetching manifest 1 in {{tok}}/x: {TOKEN}",
    ),
    f"{COPY} --dest-tls-verify=false oci:{{d}}/one docker://{{tls}}/x:1": (
        1,
        (
            f"trying to reuse blob {BASE.blob.digest} at destination:"
            f" checking whether a blob {BASE.blob.digest}"
            " exists in {tls}/x: authentication required"
        ),
    ),
    f"{COPY} --dest-tls-verify=false oci:{{d}}/one docker://{{reg}}/drop/x@{NOWHERE}": (
        1,
        "Digest of source image's manifest would not match destination reference",
    ),
    f"{COPY} --all oci:{{d}}/many:many docker-archive:{{out}}.tar:x:y": (
        1,
        (
            'copying multiple images: destination transport "docker-archive" does not support'
            " copying multiple images as a group"
        ),
    ),
    f"{COPY} --dest-compress-format zstd --format v2s2 oci:{{d}}/one dir:{{out}}/o": (
        1,
        (
            "compression using zstd required together with format"
            " application/vnd.docker.distribution.manifest.v2+json, which does not support it"
        ),
    ),
    "--tls-details /none inspect docker://x/y": (
        1,
        'reading "/none": open /none: no such file or directory',
    ),
    f"{COPY} docker-daemon:x:y dir:{{out}}/o --src-daemon-host=unix:///none": (
        1,
        f"initializing source docker-daemon:x:y: {ENGINE}",
    ),
    # Newer flags, and changed messages for older flags.
    "copy --retry-delay 5 a b": (
        1,
        'invalid argument "5" for "--retry-delay" flag: time: missing unit in duration "5"',
    ),
    "copy --retry-delay 5y a b": (
        1,
        'invalid argument "5y" for "--retry-delay" flag: time: unknown unit "y" in duration "5y"',
    ),
    "copy --retry-delay . a b": (
        1,
        'invalid argument "." for "--retry-delay" flag: time: invalid duration "."',
    ),
    "copy --retry-delay -5s a b": (
        1,
        (
            'Invalid source name a: Invalid image name "a",'
            " expected colon-separated transport:reference"
        ),
    ),
    "copy --image-parallel-copies -1 a b": (
        1,
        (
            'invalid argument "-1" for "--image-parallel-copies" flag:'
            ' strconv.ParseUint: parsing "-1": invalid syntax'
        ),
    ),
    "--insecure-policy copy --require-signed dir:/none dir:{out}/o": (
        1,
        "--insecure-policy and --require-signed are mutually exclusive",
    ),
    "login": (1, "please provide a registry to log in to"),
    "login a b": (1, "login accepts only one registry to log in to"),
    "login --password-stdin x": (1, "must provide --username with --password-stdin"),
    "login -u a -p b --password-stdin x": (
        1,
        "can't specify both --password-stdin and --password",
    ),
    "login --authfile /x --compat-auth-file /y x": (
        1,
        (
            "options for paths to the credential file and to the Docker-compatible credential file"
            " can not be set simultaneously"
        ),
    ),
    "logout": (1, "please provide a registry to log out from"),
    "logout a b": (1, "logout accepts only one registry to log out from"),
    "logout --authfile {d}/none x": (
        1,
        "credential file is not accessible: faccessat {d}/none: no such file or directory",
    ),
}


@dataclass(frozen=True, slots=True)
class Output:
    """The output of a program, without the parts that change from run to run."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Setup:
    """The directories and registries that the commands of the tables name."""

    names: dict[str, str]

    def words(self, text: str, out: Path, client_name: str) -> list[str]:
        return shlex.split(text.format(**self.names, out=out, client_name=client_name))

    def normalise(self, text: str, out: Path) -> str:
        text = re.sub(r'time="[^"]*" ', "", text.replace(str(out), "OUT"))
        for name in ("reg", "tls", "tok"):
            text = text.replace(self.names[name], name.upper())
        return text

    def run(self, program: servers.Client, text: str, out: Path, client_name: str) -> Output:
        out.mkdir()
        result = program(*self.words(text, out, client_name), cwd=out)
        stdout = "".join(_sort_blob_lines(self.normalise(result.stdout, out)))
        return Output(result.returncode, stdout, self.normalise(result.stderr, out))


def _sort_blob_lines(text: str) -> list[str]:
    """Sort the lines of blobs, which are copied in parallel; remove lines of 1.9.3 only."""
    text = re.sub("Copying (\\d) of ", r"Copying \1 images generated from ", text)
    lines = [line for line in text.splitlines(keepends=True) if line != "Storing signatures\n"]
    return sorted(lines) if "Copying blob" in text and "generated from" not in text else lines


@pytest.fixture(scope="module")
def setup(tmp_path_factory, registry, tls_registry, token_registry) -> Setup:
    root = tmp_path_factory.mktemp("stage")
    images.write_layout(root / "one", {"app": APP})
    images.write_layout(root / "many", {"app": APP, "many": MANY})
    (root / "reject").write_text('{"default": [{"type": "reject"}]}')
    images.push(registry.host, "drop/app", APP, "1")
    images.push(registry.host, "drop/many", MANY, "1")
    return Setup(
        {
            "d": str(root),
            "reg": registry.host,
            "tls": tls_registry.host,
            "tok": token_registry.host,
            "ca": str(tls_registry.ca.parent),
        }
    )


@pytest.fixture
def our_program(tmp_path: Path) -> servers.Client:
    """The program under the name ``skopeo``, forked from a process with its modules."""
    home = tmp_path / "our-home"
    home.mkdir()
    return servers.Client((*servers.AIRBUNDLE, "--as", "skopeo"), home, dict(servers.CHECKOUT))


@pytest.fixture
def installed_program(tmp_path: Path) -> servers.Client:
    """The program, installed as a file with the name ``skopeo``."""
    home, program = tmp_path / "installed-home", tmp_path / "skopeo"
    home.mkdir()
    install_program(program)
    return servers.Client((str(program),), home, servers.CHECKOUT)


@pytest.fixture
def skopeo_program(tmp_path: Path) -> servers.Client:
    home = tmp_path / "their-home"
    home.mkdir()
    return servers.Client((servers.program("skopeo"),), home)


@pytest.mark.parametrize("text", SAME_AS_SKOPEO)
def test_output_matches_skopeo(
    text: str, setup: Setup, our_program, skopeo_program, tmp_path: Path
) -> None:
    expected = setup.run(skopeo_program, text, tmp_path / "theirs", "theirs")
    assert setup.run(our_program, text, tmp_path / "ours", "ours") == expected


@pytest.mark.parametrize("text", NEWER_SKOPEO)
def test_output_matches_newer_skopeo(text: str, setup: Setup, our_program, tmp_path: Path) -> None:
    status, message = NEWER_SKOPEO[text]
    out = tmp_path / "ours"
    output = setup.run(our_program, text, out, "ours")
    for name, value in setup.names.items():
        message = message.replace(f"{{{name}}}", value)
    quoted = re.sub(r'(["\\])', r"\\\1", setup.normalise(message, out))
    assert (output.status, output.stderr) == (status, f'level=fatal msg="{quoted}"\n')


@pytest.mark.parametrize("command", ["copy", "copy a", "list-tags", "sync x"])
def test_wrong_number_of_arguments_prints_usage(command: str, installed_program) -> None:
    result = installed_program(*command.split())
    assert (result.returncode, result.stdout) == (1, "")
    *usage, last = result.stderr.splitlines()
    assert "Usage:" in usage
    assert "  --retry-times int" in result.stderr
    assert re.search(r'level=fatal msg="Exactly \w+ (non-option )?arguments? expected"$', last)


@pytest.mark.parametrize("arguments", ["--help", "help", "copy --help", "inspect -h"])
def test_help_is_printed_to_stdout(arguments: str, installed_program) -> None:
    result = installed_program(*arguments.split())
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage:\n  skopeo " in result.stdout


def test_version_matches_skopeo(installed_program, airbundle) -> None:
    for result in (
        installed_program("-v"),
        installed_program("--version"),
        airbundle("--as", "skopeo", "--version"),
    ):
        assert re.fullmatch(r"skopeo version 1\.\d+\.\d+\n", result.stdout)
        assert (result.returncode, result.stderr) == (0, "")


def test_login_and_logout_behave_like_skopeo(
    setup: Setup, our_program, skopeo_program, tmp_path
) -> None:
    output: list[list[tuple[Any, ...]]] = []
    for program in (our_program, skopeo_program):
        steps = (
            "login --tls-verify=false -u alice -p 'correct horse' {tls}",
            "login --tls-verify=false {tls}",
            "login --get-login {tls}",
            "login --tls-verify=false -v -u alice -p 'correct horse' {tls}",
            "logout {tls}",
            "logout {tls}",
            "login --tls-verify=false -u bob -p 'battery staple' {tok}",
            "logout --all",
        )
        found = []
        for step in steps:
            result = program(*setup.words(step, tmp_path, ""))
            normalise = setup.normalise(result.stdout + result.stderr, program.home)
            found.append((step, result.returncode, normalise))
        output.append(found)
    assert output[0] == output[1]


def test_login_reads_password_from_stdin(setup: Setup, our_program, skopeo_program) -> None:
    words = ["login", "-u", "alice", "--password-stdin", "--tls-verify=false", setup.names["tls"]]
    for program in (our_program, skopeo_program):
        result = program(*words, stdin="correct horse\n")
        assert (result.returncode, result.stdout, result.stderr) == (0, "Login Succeeded!\n", "")


def test_written_files_match_skopeo(
    setup: Setup, installed_program, skopeo_program, tmp_path
) -> None:
    """The digest file has no newline, and the directories are identical."""
    trees = []
    for program in (installed_program, skopeo_program):
        directory = program.home / "image"
        source = f"oci:{setup.names['d']}/many:many"
        digest = program.home / "digest"
        program.ok(*COPY.split(), "--all", "--digestfile", digest, source, f"dir:{directory}")
        files = {path.name: path.read_bytes() for path in directory.iterdir()}
        trees.append((digest.read_bytes(), files))
    assert trees[0] == trees[1]
    assert trees[0][0] == MANY.digest.encode()


def test_delete_prints_nothing(setup: Setup, our_program, skopeo_program, repository) -> None:
    host = setup.names["reg"]
    for program in (our_program, skopeo_program):
        images.push(host, repository, APP, "1")
        result = program("delete", "--tls-verify=false", f"docker://{host}/{repository}:1")
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


SYNCS = (
    "sync --src-tls-verify=false --src docker --dest dir {reg}/drop/app {out}",
    "sync --src-tls-verify=false --src docker --dest dir --scoped {reg}/drop/app:1 {out}",
    "sync --src-tls-verify=false --all -s docker -d dir {reg}/drop/many {out}",
    "sync --src docker --dest dir UP/x {out}",
)


@pytest.mark.parametrize("text", SYNCS)
def test_sync_output_matches_skopeo(
    text: str, setup: Setup, our_program, skopeo_program, tmp_path
) -> None:
    text = f"--insecure-policy {text}"
    expected = setup.run(skopeo_program, text, tmp_path / "theirs", "theirs")
    output = setup.run(our_program, text, tmp_path / "ours", "ours")
    assert (output.status, output.stdout) == (expected.status, expected.stdout)
    assert _remove_fatal_message(output.stderr) == _remove_fatal_message(expected.stderr)
    written = [
        sorted(
            str(path.relative_to(tmp_path / client_name))
            for path in (tmp_path / client_name).rglob("*")
        )
        for client_name in ("ours", "theirs")
    ]
    assert written[0] == written[1]


def _remove_fatal_message(log: str) -> str:
    return re.sub("level=fatal msg=.*", "level=fatal", log)


def test_sync_dry_run_reports_copies(setup: Setup, our_program, tmp_path) -> None:
    words = "--dry-run --src-tls-verify=false -s docker -d dir {reg}/drop/app {out}"
    output = setup.run(our_program, f"--insecure-policy sync {words}", tmp_path / "ours", "ours")
    sides = 'from="docker://REG/drop/app:1" to="dir:OUT/app:1"'
    assert (output.status, output.stdout) == (0, "")
    assert output.stderr.splitlines() == [
        'level=info msg="Tag presence check" imagename="REG/drop/app" tagged=false',
        'level=info msg="Getting tags" image="REG/drop/app"',
        'level=warning msg="Running in dry-run mode"',
        f'level=info msg="Would have copied image ref 1/1" {sides}',
        'level=info msg="Would have synced 1 images from 1 sources"',
    ]


@pytest.mark.parametrize("flag", ["--dest-compress", "--dest-decompress"])
def test_flag_without_effect_is_warned_about(
    flag: str, setup: Setup, our_program, tmp_path
) -> None:
    text = f"{COPY} {flag} oci:{{d}}/one oci:{{out}}/o"
    output = setup.run(our_program, text, tmp_path / "ours", "ours")
    reason = f"{flag} can only be used if the destination transport is 'dir'"
    assert (output.status, output.stderr) == (0, f'level=warning msg="{reason}"\n')


def test_retry_options_are_applied(our_program) -> None:
    again = ["--retry-times", "1", "--retry-delay", "10ms"]
    result = our_program("inspect", *again, "docker://127.0.0.1:1/x:1")
    first, last = re.sub(r'time="[^"]*" ', "", result.stderr).splitlines()
    reason = f"fetching manifest 1 in 127.0.0.1:1/x: {REFUSED}".replace('"', '\\"')
    assert first == f'level=warning msg="Failed, retrying in 10ms ... (1/1). Error: {reason}"'
    assert last.endswith(f': {reason}"')
