"""The documentation agrees with the program."""

from __future__ import annotations

import importlib.util
import re
import shlex
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from bundler import errors
from bundler.bundle.manifest import load as manifest
from bundler.cli.frontends import native
from bundler.cli.options.command import Command
from tests.fakes import images

if TYPE_CHECKING:
    from types import ModuleType

    from tests.cli.conftest import RunAirbundle

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    loader = SourceFileLoader("docs", str(ROOT / "scripts" / "docs"))
    spec = importlib.util.spec_from_loader("docs", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def load_command(name: str) -> click.Command:
    command: click.Command = native.airbundle
    for part in name.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), part)
        assert found is not None
        command = found
    return command


def list_commands() -> list[str]:
    """Return the names of all commands, those of groups with the name of the group."""
    names = []
    for name in native.COMMANDS:
        command = load_command(name)
        is_group = isinstance(command, click.Group)
        names += (
            [f"{name} {below}" for below in command.list_commands(click.Context(command))]
            if is_group
            else [name]
        )
    return names


def test_cli_page_is_up_to_date(docs: ModuleType) -> None:
    """To renew the page: .venv/bin/python scripts/docs."""
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == docs.document()


def test_list_and_schema_of_rules_are_generated_from_the_code(docs: ModuleType):
    schema = ROOT / "bundler/schemas/rules.schema.json"
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == docs.rules_document()
    assert schema.read_text(encoding="utf-8") == docs.rules_schema()


@pytest.mark.parametrize("name", list_commands())
def test_every_command_and_option_has_help(name: str) -> None:
    command = load_command(name)
    assert isinstance(command, Command)
    assert command.name == name.rsplit(maxsplit=1)[-1]
    assert (command.help or "").split("\n\n")[0].endswith(".")
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            assert (param.help or "").endswith("."), param.opts


@pytest.mark.parametrize("name", list_commands())
def test_every_command_has_json_output(name: str) -> None:
    spellings = {opt for param in load_command(name).params for opt in param.opts}
    assert "--json" in spellings or name in {
        *("cat", "inspect", "list-tags", "login", "logout", "sbom")
    }


@pytest.mark.parametrize("name", list_commands())
def test_help_of_every_command_has_example(name: str) -> None:
    assert f"$ airbundle {name} " in (load_command(name).help or "")


def test_cli_page_lists_every_exit_status(docs: ModuleType) -> None:
    assert set(docs.EXIT_STATUSES) == find_exit_statuses() | {0, 141}


def test_bundle_manifest_in_readme_is_valid(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "plant-7.yaml").write_text(example, encoding="utf-8")
    loaded = manifest.load(tmp_path / "plant-7.yaml", environment={})
    assert loaded.name == "plant-7"
    assert len(loaded.images) == 2


def test_commands_in_readme_run_in_order(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    """The paths of the medium and of the registries are replaced by local ones."""
    (tmp_path / "stick").mkdir()
    images.write_layout(tmp_path / "outside", {"app": images.image()})
    (tmp_path / "plant-7.yaml").write_text("images: ['oci:outside:app']\n", encoding="utf-8")
    steps = [example for page, example in find_examples() if page == "README.md"]
    for step in steps:
        local_step = step.replace("/media/stick", "stick").replace(
            "docker://registry.plant:5000", "oci:in"
        )
        more = ["--no-passphrase"] if " keygen " in step else []
        result = run_airbundle(*shlex.split(local_step)[1:], *more)
        assert result.status == 0, f"{step}: {result.stderr}"
    assert [step.split()[1] for step in steps] == [
        *("keygen", "plan", "export", "verify", "import", "import")
    ]


def test_links_between_pages_have_targets() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            path, _, anchor = link.partition("#")
            if not path.startswith("https:"):
                linked = page.parent / path if path else page
                assert linked.exists(), f"{page.name}: {link}"
                assert not anchor or anchor in read_anchors(linked), f"{page.name}: {link}"


def read_anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub generates them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def find_examples() -> list[tuple[str, str]]:
    """Return the page and the text of every example that starts ``airbundle``."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        (page.name, line.strip())
        for page in pages
        for line in re.findall(
            r"^ *\$ (airbundle [a-z].*)$", page.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]


@pytest.mark.parametrize(("page", "example"), find_examples())
def test_every_example_can_be_parsed(page: str, example: str) -> None:
    command_line = re.sub(r" <\w+$", "", example)
    name, *arguments = shlex.split(command_line, comments=True)[1:]
    command = load_command(name)
    command.make_context(name, arguments, resilient_parsing=False)


def test_glossary_defines_each_term_once_in_alphabetical_order() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!term|---)([^|]+) \| ([^|]+) \|", page, re.MULTILINE)
    terms = [term.lower() for term, _ in rows]
    assert len(terms) > 90
    assert terms == sorted(set(terms))
    assert all(meaning.endswith(".") for _, meaning in rows)


def find_exit_statuses() -> set[int]:
    """Return the exit statuses of all error classes."""

    def find(error: type[errors.BundlerError]) -> set[int]:
        return {error.exit_status}.union(*map(find, error.__subclasses__()))

    return find(errors.BundlerError)


def test_errors_page_explains_every_exit_status() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed, _, explained = page.partition("\n### 0\n")
    rows = re.findall(r"^\| \[([0-9, ]+)\]", listed, re.MULTILINE)
    sections = re.findall(r"^### ([0-9, ]+)$", f"### 0\n{explained}", re.MULTILINE)
    assert rows == sections
    assert {int(number) for row in rows for number in row.split(", ")} >= find_exit_statuses() | {
        0,
        143,
    }


def test_index_of_decisions_agrees_with_records() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \| (.+) \| (.+) \|$", index, re.MULTILINE)
    records = []
    for path in sorted(folder.glob("[0-9]*.md")):
        text = path.read_text(encoding="utf-8")
        head = re.match(r"# (\d+)\. (.+)\n\n- Status: (\w+).*\n- Date: (\S+)\n", text)
        assert head is not None, path.name
        sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert sections == ["Context", "Options considered", "Decision", "Consequences"], path.name
        assert path.name.startswith(f"{int(head[1]):04}-"), path.name
        records.append((head[1], head[2], path.name, head[3], head[4]))
    assert rows == records
