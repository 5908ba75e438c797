"""No secret is in an output, a log, the records, a bundle, a temporary file or a process list.

Each secret contains a mark. After every command, with ``--debug`` and with failures, its output and
all files that it left are searched for the mark in each form in which it is encoded. The programs
that it starts record the arguments of all processes, and the files for temporary data.
"""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bundler.trust import keys
from tests.fakes import bundles, images
from tests.fakes.openpgp import GnuPG
from tests.fakes.registry import Answer, FakeRegistry, Request, create_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.cli.conftest import CommandResult, RunAirbundle

MARK = "zq7MARKEDsecret"
PASSPHRASE, WRONG, PASSWORD, TOKEN, PIN = (
    f"{MARK}-{name}" for name in ("passphrase", "wrong", "password", "token", "pin")
)
KEY, RECEIPT_KEY, COMMAND_KEY = (keys.generate_key() for _ in range(3))
REFUSED = "error"
"""The expected status of a command that fails for any reason."""

SPY = """\
#!/bin/sh
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' >>spied
grep -rhs . "$TMPDIR" >>spied
"""


def list_forms() -> list[bytes]:
    """Return the mark as text, in URLs, in hexadecimal, and in base64 at each position."""
    raw = MARK.encode()
    forms = [raw, quote(MARK).encode(), raw.hex().encode(), raw.hex().upper().encode()]
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw)
        forms += [text[4:-4], base64.urlsafe_b64encode(b"\0" * shift + raw)[4:-4]]
    return forms


def list_key_forms() -> Iterator[bytes]:
    """Yield the private keys: their numbers, and a line of each in PEM."""
    for key in (KEY, RECEIPT_KEY, COMMAND_KEY):
        pem = key.to_pem(None)
        loaded = serialization.load_pem_private_key(pem, None)
        number = loaded.private_numbers().private_value.to_bytes(32)  # type: ignore[union-attr]
        yield from (number, number.hex().encode(), base64.b64encode(number), pem.splitlines()[2])


FORMS = [*list_forms(), *list_key_forms()]


class EchoingRegistry(FakeRegistry):
    """A registry whose refusals contain the credentials of the request, in several forms."""

    refuses = False

    def answer(self, request: Request) -> Answer | None:
        given = request.headers.get("authorization", "")
        if not self.refuses or not given:
            return None
        kind, _, value = given.partition(" ")
        text = base64.b64decode(value).decode() if kind == "Basic" else value
        message = f"denied: {given}, that is {text} or {quote(text)}"
        status, headers, body = create_error(403, "DENIED", message)
        return status, headers | {"X-Echo": text}, body

    def issue_token(self, scopes: Iterable[str]) -> str:
        token = f"{TOKEN}-{len(self.tokens)}"
        self.tokens[token] = (frozenset(scopes), time.monotonic() + 300)
        return token


class Site:
    """A directory with keys, images and files of secrets."""

    def __init__(self, path: Path, run: RunAirbundle, registry: EchoingRegistry) -> None:
        self.path, self.registry = path, registry
        self._run = run
        (path / "tmp").mkdir()
        (path / "bin").mkdir()
        for name, key in (("site", KEY), ("receipt", RECEIPT_KEY), ("command", COMMAND_KEY)):
            passphrase = None if key is COMMAND_KEY else PASSPHRASE.encode()
            keys.write_key_pair(path / name, key, passphrase)
        (path / "pass").write_text(f"{PASSPHRASE}\n")
        (path / "wrong").write_text(f"{WRONG}\n")
        app = images.image(images.layer({"app": b"app " * 500}))
        images.write_layout(path / "layout", {"app": app})
        (path / "plant.yaml").write_text("name: plant-7\nimages: ['oci:./layout:app']\n")
        bundles.write(path / "bundle", keys=(KEY,))
        basic = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
        auths = {"auths": {registry.host: {"auth": basic}}}
        (path / "auth.json").write_text(json.dumps(auths))
        signer = path / "bin" / "signer"
        signer.write_text(f'{SPY}[ "$TOKEN_PIN" ] && exec openssl dgst -sha256 -sign command.key\n')
        signer.chmod(0o755)
        self.inputs = {path / name for name in self._find_leaks()}

    def run(
        self,
        line: str,
        *,
        status: int | str = 0,
        stdin: str = "",
        env: dict[str, str] | None = None,
    ) -> CommandResult:
        """Run a command, compare its status, and search what it left; ``%`` is a space."""
        variables = {"TOKEN_PIN": PIN, "USERNAME": "user", "PASSWORD": PASSWORD}
        variables |= {"TMPDIR": str(self.path / "tmp")} | (env or {})
        words = [word.replace("%", " ") for word in line.split()]
        front_end = ["--as", "skopeo"] if words[0] == "skopeo" else []
        words = words[len(front_end) // 2 :]
        result = self._run(*front_end, "--debug", *words, stdin=stdin, env=variables)
        assert (result.status != 0) if status == REFUSED else (result.status == status), (
            line,
            result.stderr,
        )
        self.search(line, result.stdout.encode(), result.stderr.encode())
        return result

    def search(self, command: str, *outputs: bytes) -> None:
        """Search outputs, and the files that are not inputs."""
        for output in outputs:
            assert not [form for form in FORMS if form in output], (command, output)
        leaks = {name for name in self._find_leaks() if self.path / name not in self.inputs}
        assert not leaks, command

    def _find_leaks(self) -> list[str]:
        found = []
        for path in self.path.rglob("*"):
            if path.is_file() and not path.is_symlink():
                raw = path.read_bytes()
                if any(form in raw for form in FORMS):
                    found.append(str(path.relative_to(self.path)))
        return found


@pytest.fixture
def site(tmp_path: Path, run_airbundle: RunAirbundle) -> Iterator[Site]:
    with EchoingRegistry(auth="bearer", password=PASSWORD) as registry:
        registry.add_image("app", "1")
        yield Site(tmp_path, run_airbundle, registry)


def test_marks_are_found(site: Site):
    """The search would find a leak."""
    for form in FORMS:
        (site.path / "leak").write_bytes(b"x" + form)
        with pytest.raises(AssertionError):
            site.search("none")
    assert {path.name for path in site.inputs} >= {"pass", "wrong", "auth.json", "command.key"}


def test_bundle_commands(site: Site):
    signing = "--sign-key site.key --passphrase-file"
    external = "--sign-cmd bin/signer --sign-cmd-key command.pub"
    site.run(f"export plant.yaml stick {signing} pass {external} --rehearse")
    assert "sign" in (site.path / "spied").read_text()
    site.run(f"export plant.yaml other {signing} wrong", status=2)
    site.run("export plant.yaml other --sign-key site.key", status=2)  # no terminal
    site.run("sign bundle --sign-cmd bin/signer%--pin --sign-cmd-key receipt.pub", status=1)
    site.run("sign bundle --key receipt.key --passphrase-file pass")
    site.run("sign bundle --key receipt.key --passphrase-file wrong", status=2)
    site.run(f"sign bundle {external} --output review.sig")
    site.run("verify stick --key site.pub --offline")


def test_receipts_and_trust_files(site: Site):
    importing = "import bundle oci:inside --key site.pub --receipt r.json"
    site.run(f"{importing} --receipt-key receipt.key --receipt-passphrase-file pass")
    site.run(f"{importing} --receipt-key receipt.key --receipt-passphrase-file wrong", status=2)
    command = "--receipt-sign-cmd bin/signer --receipt-sign-cmd-key"
    site.run(f"{importing} {command} command.pub")
    site.run(f"{importing} {command} receipt.pub", status=1)
    site.run("verify-receipt r.json --key site.key", status=REFUSED)
    site.run("trust add t.json --key site.pub --role trust")
    site.run("trust sign t.json --key site.key --passphrase-file pass")
    site.run("trust sign t.json --key site.key --passphrase-file wrong", status=2)
    for command in ("trust add t.json --role trust --key command.key", "trust show command.key"):
        site.run(command, status=REFUSED)
    site.run("log show")


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_registry_credentials(site: Site, auth: str):
    registry = site.registry
    registry.auth = auth
    access = f"--tls-verify=false --creds user:{PASSWORD}"
    image, pushed = f"docker://{registry.host}/app:1", f"docker://{registry.host}/new:1"
    file = "--tls-verify=false --authfile auth.json"
    (site.path / "target.yaml").write_text(
        f"target: docker://{registry.host}/mirror\n"
        "credentials: {usernameEnv: USERNAME, passwordEnv: PASSWORD}\ntls: {verify: false}\n"
    )
    sync = f"{registry.host}: {{images: {{app: ['1']}}, tls-verify: false, credentials: "
    sync += f"{{username: user, password: {PASSWORD}}}}}"
    (site.path / "sync.yaml").write_text(sync)
    site.inputs.add(site.path / "sync.yaml")
    (site.path / "list.txt").write_text(f"{image}\n")
    commands = [
        f"inspect {image} {access}",
        f"list-tags docker://{registry.host}/app {file}",
        f"copy {image} oci:copied --src-tls-verify=false --src-creds user:{PASSWORD}",
        f"copy {image} dir:tree --src-tls-verify=false --src-authfile auth.json",
        f"copy oci:layout:app {pushed} --dest-tls-verify=false --dest-creds user:{PASSWORD}",
        f"sync --src yaml --dest dir sync.yaml synced-{auth}",
        f"export list.txt carried --unsigned {access}",
        "import bundle target.yaml --key site.pub",
        f"plan list.txt {file}",
        f"delete {pushed} {access}",
    ]
    for registry.refuses in (True, False) if auth == "bearer" else (True,):
        for command in commands:
            site.run(command, status=REFUSED if registry.refuses else 0)
    wrong = f"--tls-verify=false --creds user:{WRONG}"
    registry.refuses = False
    site.run(f"inspect {image} {wrong}", status=7)
    token = f"--tls-verify=false --registry-token {TOKEN}"
    site.run(f"inspect {image} {token}", status=REFUSED)
    redirect = f"http://user:{PASSWORD}@{registry.host}/elsewhere?token={TOKEN}"
    registry.fail("GET", "/blobs/", times=None, redirect=redirect)
    copying = f"copy {image} oci:moved --src-tls-verify=false --src-authfile auth.json"
    site.run(copying, status=REFUSED)


@pytest.mark.parametrize("command", ["", "skopeo "])
def test_credentials_in_arguments_and_proxies(site: Site, command: str):
    host = site.registry.host
    image, address = f"docker://{host}/app:1", f"user:{PASSWORD}@{host}"
    site.run(f"{command}inspect docker://{address}/app:1", status=REFUSED)
    site.run(f"{command}copy {image} docker://{address}/app:1", status=REFUSED)
    for proxy in (f"http://{address}", f"socks5://{address}", f"http://user:{PASSWORD}@a%b:x"):
        variables = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), proxy)
        variables |= {name.lower(): proxy for name in variables}
        where = f"{command}inspect docker://registry.invalid/app:1"
        site.run(f"{where} {'' if command else '--patience 1s'}", status=REFUSED, env=variables)
    if not command:
        site.run(f"import bundle docker://{address}/x --key site.pub", status=2)
        target = f"--target docker://{address}/x"
        site.run(f"verify bundle --key site.pub --offline {target}", status=2)
        for signer in (f"false%--pin%{PIN}", f"false%'--pin%{PIN}", f"./none%{PIN}"):
            site.run(f"sign bundle --sign-cmd {signer} --sign-cmd-key receipt.pub", status=REFUSED)


def test_login(site: Site):
    registry = site.registry
    login = f"login --authfile own.json --tls-verify=false -u user --password-stdin {registry.host}"
    site.inputs.add(site.path / "own.json")
    site.run(login, stdin=f"{WRONG}\n", status=7)
    site.run(login, stdin=f"{PASSWORD}\n")
    registry.refuses = True
    site.run(login, stdin=f"{PASSWORD}\n", status=REFUSED)
    site.run(f"logout --authfile own.json {registry.host}")


def test_keys_of_images(site: Site):
    site.run("keygen new --passphrase-file pass")
    site.run("keygen new --passphrase-file pass", status=REFUSED)
    site.run("generate-sigstore-key --output-prefix image --passphrase-file pass")
    signing = "copy oci:layout:app oci:out:app --sign-by-sigstore"
    target = "copy oci:layout:app dir:signed --sign-identity example.com/a:1 --sign-by-sigstore"
    key = f"{target}-private-key image.private --sign-passphrase-file"
    site.run(f"{key} pass")
    site.run(f"{key} wrong", status=2)
    (site.path / "key.yaml").write_text(
        "privateKeyFile: image.private\nprivateKeyPassphraseFile: pass\n"
    )
    site.run(f"{target} key.yaml")
    claims = base64.urlsafe_b64encode(b'{"sub": "a", "email": "a@b", "email_verified": true}')
    identity = f"e30.{claims.decode().rstrip('=')}.{MARK}"
    (site.path / "fulcio.yaml").write_text(
        f"fulcio: {{fulcioURL: '{site.registry.url}', oidcMode: staticToken,"
        f" oidcIDToken: {identity}}}\nrekorURL: {site.registry.url}\n"
    )
    site.inputs.add(site.path / "fulcio.yaml")
    site.registry.refuses = True
    site.run(f"{target} fulcio.yaml", status=REFUSED)
    (site.path / "broken.yaml").write_text(f"oidcIDToken: {identity}\nprivateKey: {PASSPHRASE}\n")
    site.inputs.add(site.path / "broken.yaml")
    site.run(f"{signing} broken.yaml", status=REFUSED)
    decrypting = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encrypted = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    (site.path / "layer.key").write_bytes(decrypting.private_bytes(pem, form, encrypted))
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    (site.path / "layer.pub").write_bytes(decrypting.public_key().public_bytes(pem, public))
    site.run("copy oci:layout:app oci:encrypted:app --encryption-key jwe:layer.pub")
    decrypt = "copy oci:encrypted:app oci:plain:app --decryption-key layer.key:"
    site.run(f"{decrypt}file=wrong", status=REFUSED)
    site.run(f"{decrypt}pass={WRONG}", status=REFUSED)
    site.run(f"{decrypt}{PASSPHRASE}")


def test_gpg_gets_no_passphrase_as_an_argument(site: Site, hermetic_environment: dict[str, str]):
    home = GnuPG()
    try:
        key = home.generate("site <site@example.com>", passphrase=PASSPHRASE)
        home.forget_passphrases()
        program, gpg = shutil.which("gpg"), site.path / "bin" / "gpg"
        gpg.write_text(SPY + f'exec {program} "$@"\n')
        gpg.chmod(0o755)
        hermetic_environment["GNUPGHOME"] = str(home.home)
        hermetic_environment["PATH"] = f"{site.path / 'bin'}:{hermetic_environment['PATH']}"
        manifest = next(iter((site.path / "layout/blobs/sha256").iterdir()))
        (site.path / "manifest.json").write_bytes(manifest.read_bytes())
        signing = f"standalone-sign {manifest} example.com/a:1 {key} -o out.sig --passphrase-file"
        site.run(f"{signing} wrong", status=REFUSED)
        site.run(f"{signing} pass")
        copying = f"copy oci:layout:app dir:signed --sign-identity example.com/a:1 --sign-by {key}"
        site.run(f"{copying} --sign-passphrase-file pass")
        assert "gpg" in (site.path / "spied").read_text()
    finally:
        home.close()


@pytest.mark.parametrize(("answer", "status"), [(PASSPHRASE, 0), (WRONG, 2)])
def test_prompt_shows_nothing(
    site: Site, hermetic_environment: dict[str, str], answer: str, status: int
):
    """A passphrase that is typed on a terminal is not echoed."""
    signing = "sign bundle --key receipt.key"
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bundler.cli.main", "--debug", *signing.split()],
        cwd=site.path,
        env=hermetic_environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    output = b""
    while b"Passphrase" not in output:
        output += os.read(controller, 1024)
    time.sleep(0.2)  # getpass changes the terminal after the prompt
    os.write(controller, f"{answer}\n".encode())
    while select.select([controller], [], [], 30)[0]:
        try:
            output += os.read(controller, 1024)
        except OSError:  # the end of the program
            break
    os.close(controller)
    assert process.wait() == status, output
    site.search("prompt", output)
