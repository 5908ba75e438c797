"""Run the carried program in an empty root, with other versions of Python, and for arm64.

It downloads the parts of the program, unless they are in the cache, and therefore is no test of
pytest.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from scripts.torturing.row import Result, Torture
from tests.fakes import images
from tests.kernel import namespace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = "name: plant\nimages:\n  - oci:./layout:web:1\n"
MODULES = "re2, zstandard, isal.isal_zlib, yaml._yaml, cbor2, nacl.bindings, bcrypt, ssl, sqlite3"
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")


class FailedCommandError(Exception):
    """A command failed."""


def program(torture: Torture, _: int) -> Iterator[Result]:
    """Export a bundle with the program, and use the program, until the first failure."""
    with torture.directory() as work:
        try:
            use_program(work)
        except FailedCommandError as error:
            yield Result("program", "1 program", f"failed: {error}", "0 failures", met=False)
        else:
            yield Result("program", "1 program", "0 failures", "0 failures", met=True)


def use_program(work: Path) -> None:
    """Export a bundle with the program, and use the program.

    Raises:
        FailedCommandError: a command failed.
    """
    image = images.image(images.layer({"web": b"web " * 1000}))
    images.write_layout(work / "layout", {"web:1": image})
    (work / "plant.yaml").write_text(MANIFEST)
    own = (sys.executable, "-m", "bundler.cli.main")
    run(*own, "keygen", work / "plant", "--no-passphrase")
    sign = ("--sign-key", work / "plant.key", "--with-program")
    run(*own, "export", work / "plant.yaml", work / "root/medium", *sign, "--parents")
    shutil.copy(work / "plant.pub", work / "root")
    use_in_empty_root(work / "root")
    bundle = work / "root/medium"
    use_other_interpreters(next(bundle.glob("program-*")), bundle, work / "plant.pub")


def use_in_empty_root(root: Path) -> None:
    """Verify, import and relay in a root that contains only the bundle and the key."""
    program = next((root / "medium").glob("program-*")).relative_to(root)
    command = (*namespace("net"), "chroot", root, f"/{program}/linux-x86_64/airbundle")
    key = ("--key", "/plant.pub")
    run(*command, "verify", "/medium", *key)
    run(*command, "import", "/medium", "oci:/imported", *key, "--records", "/records")
    run(*command, "packages", "/medium", *key)
    run(*command, "keygen", "/relay", "--no-passphrase")
    sign = ("--sign-key", "/relay.key", "--with-program")
    run(*command, "relay", "/medium", "/relayed", *key, *sign)
    run(*command, "verify", "/relayed", "--key", "/relay.pub")


def use_other_interpreters(program: Path, bundle: Path, key: Path) -> None:
    """Verify with each Python of this machine alone, and for arm64 if an emulator is installed."""
    verify = ("verify", bundle, "--key", key)
    for name in PYTHONS:
        python = shutil.which(name)
        if python is not None and subprocess.run([python, "-c", ""], check=False).returncode == 0:
            run("env", "-i", python, program / "airbundle.pyz", *verify)
    run(program / "linux-x86_64/python3", "-c", f"import {MODULES}")
    if (emulator := shutil.which("qemu-aarch64-static")) is None:
        print("arm64: left out, because qemu-aarch64-static is not installed")
        return
    own = program / "linux-aarch64"
    libraries = ("--inhibit-cache", "--library-path", own, "--preload", own / "libstdcxx.so.6")
    start = (emulator, own / "ld.so", *libraries, "--argv0", own / "python3", own / "interpreter")
    run(*start, program / "airbundle.pyz", *verify)
    run(*start, "-c", f"import {MODULES}")


def run(*command: object) -> None:
    """Print a command and run it."""
    arguments = [str(part) for part in command]
    print("$", *arguments, flush=True)
    result = subprocess.run(arguments, check=False)
    if result.returncode != 0:
        raise FailedCommandError(f"{shlex.join(arguments)}: status {result.returncode}")
