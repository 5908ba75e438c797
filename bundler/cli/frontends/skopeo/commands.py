"""The supported commands of Skopeo: each builds a request and calls one function.

``argument_checks`` has already checked the command line.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bundler.cli.frontends.skopeo import requests, signing
from bundler.cli.frontends.skopeo.messages import logrus
from bundler.cli.output import text
from bundler.cli.runtime.prompts import raise_if_interrupted
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cli.frontends.skopeo.arguments.argv import CommandLine
    from bundler.cli.runtime.context import CommandContext
    from bundler.ports import OpenOptions

Result = TypeVar("Result")
_ALGORITHMS = ("sha256", "sha512")


def copy(context: CommandContext, line: CommandLine) -> None:
    """Copy an image; the only output is the progress."""
    from bundler.images.copy_image import copy_image  # noqa: PLC0415 - loads the engine

    source, destination = line.arguments
    from_source = requests.create_access_settings(line, "src-")
    to_destination = requests.create_access_settings(line, "dest-")
    request = requests.create_copy_request(line, context)
    signers = signing.load_signers(line, context)
    with context.run(requests.find_jobs(line)) as run:
        request = request.with_signer(signers.create_sign_manifest(run))
        reading = run.create_open_options_for(source, from_source)
        writing = run.create_open_options_for(destination, to_destination)
        engine, check = run.create_engine_options(), run.create_policy_check()
        report = requests.create_retry(line).call(
            lambda: copy_image(request, reading, writing, engine, policy_check=check),
            run.cancellation,
            run.emit,
        )
    if digestfile := line.path("digestfile"):
        digestfile.write_text(str(report.root.digest))


def sync(context: CommandContext, line: CommandLine) -> None:
    """Copy images that are missing at the destination; the only output is the log."""
    from bundler.cli.commands.images.sync import DEFAULT_JOBS  # noqa: PLC0415 - as above
    from bundler.images.sync.sync import sync_images  # noqa: PLC0415

    source, destination = line.arguments
    if line.text("src") == "docker":
        tagged = ":" in source.rpartition("/")[2] or "@" in source
        logrus.log("info", "Tag presence check", imagename=source, tagged=tagged)
    target = f"{line.text('dest')}:{destination}"
    if line.text("dest") == "docker":
        target = f"docker://{destination.rstrip('/')}/image"
    request = requests.create_sync_request(line, context)
    signers = signing.load_signers(line, context)
    to_destination = requests.create_access_settings(line, "dest-")
    dry_run = line.is_set("dry-run")
    with context.run(DEFAULT_JOBS) as run:
        request = request.with_signer(signers.create_sign_manifest(run))
        reading, writing = (
            run.create_open_options(),
            run.create_open_options_for(target, to_destination),
        )
        engine = run.create_engine_options(keep_going=line.is_set("keep-going"))
        check = run.create_policy_check()
        report = requests.create_retry(line).call(
            lambda: sync_images(
                request, reading, writing, engine, policy_check=check, dry_run=dry_run
            ),
            run.cancellation,
            run.emit,
        )
    if (digestfile := line.path("digestfile")) and not dry_run:
        digestfile.write_text(report.digest_lines())
    report.check()


def inspect(context: CommandContext, line: CommandLine) -> None:
    """Print the properties, the manifest or the config of an image."""
    from bundler.images.inspect import InspectRequest, inspect_image  # noqa: PLC0415 - as above

    algorithm = line.text("manifest-digest") or None
    if algorithm not in (None, *_ALGORITHMS):
        known = ", ".join(map(repr, _ALGORITHMS))
        raise UsageError(
            f"Invalid value for '--manifest-digest': {algorithm!r} is not one of {known}."
        )
    request = InspectRequest(
        requests.parse_reference(line.arguments[0]),
        context.detect_platform(),
        raw=line.is_set("raw"),
        config=line.is_set("config"),
        template=line.text("format") or None,
        tags=not line.is_set("no-tags"),
        algorithm=algorithm,
    )
    output = _run_with_options(
        context, line, _keep_invalid_tags(functools.partial(inspect_image, request))
    )
    sys.stdout.buffer.write(output)


def list_tags(context: CommandContext, line: CommandLine) -> None:
    """Print the tags of a repository, or the names in an archive."""
    from bundler.images import inspect as images  # noqa: PLC0415 - as above

    reference = requests.parse_reference(line.arguments[0])
    list_names = _keep_invalid_tags(functools.partial(images.list_tags, reference))
    output = _run_with_options(context, line, list_names)
    sys.stdout.buffer.write(output)


def delete(context: CommandContext, line: CommandLine) -> None:
    """Delete an image; print nothing."""
    from bundler.images.delete import DeleteRequest, delete_image  # noqa: PLC0415 - as above

    request = DeleteRequest(requests.parse_reference(line.arguments[0]))
    _run_with_options(context, line, functools.partial(delete_image, request))


def layers(context: CommandContext, line: CommandLine) -> None:
    """Write layers to a new directory; print nothing."""
    from bundler.images.extract_layers import LayersRequest, extract_layers  # noqa: PLC0415
    from bundler.oci.digest import Digest  # noqa: PLC0415

    image, *digests = line.arguments
    access = requests.create_access_settings(line)
    request = LayersRequest(
        requests.parse_reference(image),
        context.detect_platform(),
        tuple(Digest(digest if ":" in digest else f"sha256:{digest}") for digest in digests),
    )
    with context.run(1) as run:
        reading, writing = run.create_open_options_for(image, access), run.create_open_options()
        check = run.create_policy_check()
        requests.create_retry(line).call(
            lambda: extract_layers(request, reading, writing, check), run.cancellation, run.emit
        )


def manifest_digest(context: CommandContext, line: CommandLine) -> None:  # noqa: ARG001 - as all commands
    """Print the digest of a manifest in a file."""
    from bundler.cli.commands.images.manifest_digest import read_manifest  # noqa: PLC0415
    from bundler.oci.manifest import compute_manifest_digest  # noqa: PLC0415

    raw, subject = read_manifest(Path(line.arguments[0]))
    text.print_line(str(compute_manifest_digest(raw, subject=subject)))


def login(context: CommandContext, line: CommandLine) -> None:
    """Check credentials with a registry and store them."""
    from bundler.cli.options.login import complete_credentials, run_login  # noqa: PLC0415
    from bundler.config.registry_access import RegistryOverride  # noqa: PLC0415
    from bundler.images import login as logins  # noqa: PLC0415

    registry = logins.CredentialScope.parse(line.arguments[0])
    store, settings = requests.create_credential_store(line), context.settings
    if line.is_set("get-login"):
        text.print_line(logins.find_username(registry, settings, store))
        return
    override = RegistryOverride(
        tls_verify=requests.find_tls_verify(line),
        cert_dir=requests.find_certificate_directory(line),
    )
    stored = logins.read_credentials(registry, settings, store)
    credentials = complete_credentials(
        stored,
        line.text("username") or None,
        line.text("password") or None,
        from_stdin=line.is_set("password-stdin"),
        ask_username=lambda: _ask("Username"),
        ask_password=lambda _: _ask("Password", secret=True),
    )
    if credentials is None:
        text.print_line(f"Authenticating with existing credentials for {registry}")
        sys.stdout.flush()
    path = run_login(context, registry, credentials, stored=stored, override=override, store=store)
    if credentials is None:
        text.print_line(f"Existing credentials are valid. Already logged in to {registry}")
        return
    if line.is_set("verbose"):
        text.print_line(f"Used:  {path}")
    text.print_line("Login Succeeded!")


def _ask(subject: str, *, secret: bool = False) -> str:
    """Prompt on stdout, as Skopeo does; ``secret`` input is not echoed."""
    sys.stdout.write(f"{subject}: ")
    sys.stdout.flush()
    front = f"getting username and password: reading {subject.lower()}"
    if secret:
        if not sys.stdin.isatty():
            raise UsageError(f"{front}: inappropriate ioctl for device")
        from getpass import getpass  # noqa: PLC0415 - rarely needed

        with raise_if_interrupted():
            return getpass("")
    with raise_if_interrupted():
        answer = sys.stdin.readline()
    if not answer:
        raise UsageError(f"{front}: EOF")
    return answer.strip()


def logout(context: CommandContext, line: CommandLine) -> None:
    """Remove the stored credentials for one registry or for all."""
    from bundler.images import login as logins  # noqa: PLC0415

    store = requests.create_credential_store(line)
    if line.is_set("all"):
        logins.logout_all(context.settings, store)
        subject = "all registries"
    else:
        registry = logins.CredentialScope.parse(line.arguments[0])
        logins.logout(registry, context.settings, store)
        subject = str(registry)
    text.print_line(f"Removed login credentials for {subject}")


def image_proxy(context: CommandContext, line: CommandLine) -> None:
    """Serve images to the calling program."""
    from bundler.cli.commands.images.image_proxy import serve_images  # noqa: PLC0415

    serve_images(context, max(0, line.number("sockfd") or 0), requests.create_access_settings(line))


def completion(context: CommandContext, line: CommandLine) -> None:  # noqa: ARG001 - as all commands
    """Print the completion script for a shell."""
    from bundler.cli.commands.completion import create_script  # noqa: PLC0415

    sys.stdout.write(create_script(line.arguments[0], "skopeo"))


def _keep_invalid_tags(
    function: Callable[[OpenOptions], Result],
) -> Callable[[OpenOptions], Result]:
    """Let ``function`` list all texts that a registry returns as tags, as Skopeo does."""

    def call(options: OpenOptions) -> Result:
        from bundler.transports.docker.options import DockerOptions  # noqa: PLC0415 - rare

        more = (*options.transport_options, DockerOptions(invalid_tags=True))
        return function(replace(options, transport_options=more))

    return call


def _run_with_options(
    context: CommandContext, line: CommandLine, function: Callable[[OpenOptions], Result]
) -> Result:
    """Call ``function`` with the options for the first argument; retry temporary failures."""
    access = requests.create_access_settings(line)
    with context.run(1) as run:
        options = run.create_open_options_for(line.arguments[0], access)
        return requests.create_retry(line).call(
            lambda: function(options), run.cancellation, run.emit
        )


COMMANDS: dict[str, Callable[[CommandContext, CommandLine], None]] = {
    "completion": completion,
    "copy": copy,
    "delete": delete,
    "experimental-image-proxy": image_proxy,
    "generate-sigstore-key": signing.generate_sigstore_key,
    "inspect": inspect,
    "layers": layers,
    "list-tags": list_tags,
    "login": login,
    "logout": logout,
    "manifest-digest": manifest_digest,
    "standalone-sign": signing.standalone_sign,
    "standalone-verify": signing.standalone_verify,
    "sync": sync,
    "untrusted-signature-dump-without-verification": signing.dump_signature,
}
