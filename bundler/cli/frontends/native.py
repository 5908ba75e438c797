"""The command line of airbundle: a click group that imports a command when it runs."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, cast

import click

from bundler import __version__
from bundler.cli.frontends import CLASSES
from bundler.cli.options.command import create_global_parameters, refuse_repetitions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cli.frontends.frontend import ProgressView
    from bundler.cli.runtime.environment import Environment
    from bundler.errors import BundlerError

PROGRAM, *_OTHER_NAMES = CLASSES

SECTIONS = {
    "Bundles": {
        "export": ("bundles.export:export", "Write a signed bundle from a bundle manifest."),
        "verify": ("bundles.verify:verify", "Check a bundle and its signatures."),
        "owed": ("bundles.owed:owed", "Show which volumes of a bundle a target still lacks."),
        "import": ("bundles.import_:import_", "Push the images of a bundle to a target."),
        "plan": ("bundles.plan:plan", "Show what an export would transfer."),
        "lock": ("bundles.lock:lock", "Pin the images of a bundle manifest to their digests."),
        "ls": ("bundles.ls:ls", "List the images of a bundle."),
        "holdings": (
            "bundles.holdings:holdings",
            "List what a target has, for export --have.",
        ),
        "media": ("bundles.media:media", "Show what a medium can store, and how fast."),
        "relay": ("bundles.relay:relay", "Write the images of a bundle to another bundle."),
        "carry": ("bundles.carry:carry", "Write this program to a medium."),
        "repair": ("bundles.repair:repair", "Restore damaged files with recovery data."),
        "sign": ("bundles.sign:sign", "Add a signature to a bundle."),
        "verify-attestation": (
            "bundles.verify_attestation:verify_attestation",
            "Show from which bundle and source an image comes.",
        ),
    },
    "Contents": {
        "tree": ("audit.tree:tree", "Show the content of images as a tree."),
        "why": ("audit.why:why", "Show who asked for an image, or which images need a blob."),
        "find": ("audit.find:find", "Find images by reference, digest, label, package or file."),
        "show": ("audit.show:show", "Show the properties of an image of a bundle."),
        "files": ("audit.files:files", "List the files of an image."),
        "cat": ("audit.cat:cat", "Print a file of an image."),
        "diff": ("audit.diff:diff", "Compare bundles, images, or a bundle with its target."),
        "packages": ("audit.packages:packages", "List the packages in images."),
        "sbom": ("audit.sbom:sbom", "Write an SBOM of an image."),
        "vulns": ("audit.vulns:vulns", "List the known vulnerabilities of the packages."),
        "serve": ("audit.serve:serve", "Serve the images of bundles as a read-only registry."),
        "audit": ("audit.audit:audit", "Check the images of a bundle against rules."),
    },
    "Records of a site": {
        "stream": ("records.stream:stream", "Show or reset the serials of streams."),
        "log": ("log.group:log", "Show, search and verify the log of imports and audits."),
        "undo": ("records.undo:undo", "Let names point again to what they did before an import."),
        "verify-receipt": (
            "records.verify_receipt:verify_receipt",
            "Check the signature of a receipt.",
        ),
    },
    "Images": {
        "copy": ("images.copy:copy", "Copy one image."),
        "sync": ("images.sync:sync", "Copy many images, skipping those that are present."),
        "inspect": ("images.inspect:inspect", "Show the properties of an image or artifact."),
        "list-tags": ("images.list_tags:list_tags", "List the tags of a repository."),
        "delete": ("images.delete:delete", "Delete an image from a registry or a layout."),
        "manifest-digest": (
            "images.manifest_digest:manifest_digest",
            "Compute the digest of a manifest in a file.",
        ),
        "standalone-sign": (
            "images.standalone_sign:standalone_sign",
            "Sign a manifest in a file.",
        ),
        "standalone-verify": (
            "images.standalone_verify:standalone_verify",
            "Verify the signature of a manifest in a file.",
        ),
    },
    "Registries and keys": {
        "login": ("credentials.login:login", "Store the credentials for a registry."),
        "logout": ("credentials.logout:logout", "Remove the credentials for a registry."),
        "keygen": ("credentials.keygen:keygen", "Create a key pair for signing bundles."),
        "trust": ("trust.group:trust", "Show and change the keys that a site trusts."),
        "generate-sigstore-key": (
            "credentials.generate_sigstore_key:generate_sigstore_key",
            "Create a key pair for signing images.",
        ),
    },
}
"""The sections of ``--help``: the ``module:attribute`` in ``cli.commands`` and the summary of each
command."""

COMMANDS = {name: item for section in SECTIONS.values() for name, item in section.items()}

HIDDEN = {
    "completion": "completion:completion",
    "help": "information:help_",
    "experimental-image-proxy": "images.image_proxy:image_proxy",
    "layers": "images.layers:layers",
    "untrusted-signature-dump-without-verification": "images.signature_dump:signature_dump",
    "version": "information:version",
}
"""Commands for other programs, old scripts and habits, which ``--help`` does not list."""


class LazyGroup(click.Group):
    """A group that imports a command when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of ``SECTIONS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in COMMANDS and cmd_name not in HIDDEN:
            return None
        location = HIDDEN[cmd_name] if cmd_name in HIDDEN else COMMANDS[cmd_name][0]
        module, _, attribute = location.partition(":")
        return cast(
            "click.Command", getattr(import_module(f"bundler.cli.commands.{module}"), attribute)
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the global options before the command; each may be given once."""
        refuse_repetitions(self, ctx, args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that ``args`` begin with.

        Raises:
            UsageError: if it does not exist; the hint names a similar command.
        """
        if args[0] not in {*COMMANDS, *HIDDEN} and not ctx.resilient_parsing:
            from difflib import get_close_matches  # noqa: PLC0415 - only for a mistyped command

            from bundler.errors import UsageError  # noqa: PLC0415 - as above

            similar = get_close_matches(args[0], COMMANDS, n=1)
            raise UsageError(
                f"unknown command {args[0][:80]!r}",
                hint=f"{PROGRAM} {similar[0]}" if similar else f"{PROGRAM} --help",
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands by section, without importing them."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, summary) for name, (_, summary) in commands.items()])


@click.group(
    name=PROGRAM,
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Run a command with --help for its options.",
    params=create_global_parameters(hidden=False),
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.option(
    "--as",
    "name",
    metavar=f"[{'|'.join(_OTHER_NAMES)}]",
    help="Behave as this program; must be the first argument.",
)
@click.pass_context
def airbundle(ctx: click.Context, /, name: str | None, **_options: object) -> None:
    """Carry container images, with their signatures and SBOMs, across an air gap."""
    if name is None and ctx.invoked_subcommand is not None:
        return
    from bundler.errors import UsageError  # noqa: PLC0415 - only for errors

    if name is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(UsageError.exit_status)
    if name not in CLASSES:
        raise UsageError(f"--as: unknown name {name[:80]!r} (expected {' or '.join(CLASSES)})")
    raise UsageError("--as: must be the first argument")  # main handles the first argument


class NativeFrontend:
    """The native front end: runs the click commands, and prints errors with their hints."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    def run(self, arguments: Sequence[str], /) -> int:
        """Run a command of the click group."""
        try:
            with airbundle.make_context(PROGRAM, list(arguments), obj=self) as context:
                airbundle.invoke(context)
        except click.exceptions.Exit as leaving:
            return leaving.exit_code
        return 0

    def complete(self, instruction: str, /) -> int:
        """Print completions of the click group."""
        from bundler.cli.commands.completion import complete  # noqa: PLC0415 - only for shells

        return complete(airbundle, instruction)

    def show_progress(self, *, quiet: bool) -> ProgressView | None:
        """Return a display of bars or lines on stderr; None with ``quiet``."""
        if quiet:
            return None
        from bundler.cli.output.progress import Progress  # noqa: PLC0415 - not for --help

        return Progress.on_stderr(self.environment.variables)

    def report_error(self, error: BundlerError, /) -> int:
        """Print an error and its hint to stderr; return the exit status of its class."""
        from bundler.cli.output import text  # noqa: PLC0415 - only for errors
        from bundler.errors import CancelledError  # noqa: PLC0415 - as above

        text.print_error(error)
        return error.status if isinstance(error, CancelledError) else error.exit_status

    def report_traceback(self, text: str, /) -> None:
        """Print a traceback to stderr."""
        sys.stderr.write(text)
