"""The documents say what the program does."""

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
from bundler.cli.frontends.native import commands as native
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


def load(name: str) -> click.Command:
    found = native.airbundle.get_command(click.Context(native.airbundle), name)
    assert found is not None
    return found


def test_the_page_of_the_command_line_is_up_to_date(docs: ModuleType) -> None:
    """If not: .venv/bin/python scripts/docs."""
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == docs.document()


@pytest.mark.parametrize("name", native.COMMANDS)
def test_every_command_has_one_form(name: str) -> None:
    command = load(name)
    assert isinstance(command, Command)
    assert command.name == name
    assert (command.help or "").split("\n\n")[0].endswith(".")
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            assert (param.help or "").endswith("."), param.opts


@pytest.mark.parametrize("name", native.COMMANDS)
def test_every_command_speaks_json(name: str) -> None:
    spellings = {opt for param in load(name).params for opt in param.opts}
    assert "--json" in spellings or name in {"inspect", "list-tags", "login", "logout"}


@pytest.mark.parametrize("name", native.COMMANDS)
def test_every_command_ends_its_help_with_an_example(name: str) -> None:
    assert f"$ airbundle {name} " in (load(name).help or "")


def test_every_exit_status_is_listed(docs: ModuleType) -> None:
    assert set(docs.EXIT_STATUSES) == exit_statuses() | {0, 141}


def test_the_bundle_manifest_of_the_tour_is_one(tmp_path: Path) -> None:
    tour = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", tour, re.DOTALL)
    (tmp_path / "plant-7.yaml").write_text(example, encoding="utf-8")
    found = manifest.load(tmp_path / "plant-7.yaml", environment={})
    assert found.name == "plant-7"
    assert len(found.images) == 2


def test_the_tour_works_in_its_order(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    """Its commands, with places of this machine for the stick and for the registries."""
    (tmp_path / "stick").mkdir()
    images.write_layout(tmp_path / "outside", {"app": images.image()})
    (tmp_path / "plant-7.yaml").write_text("images: ['oci:outside:app']\n", encoding="utf-8")
    steps = [example for page, example in examples() if page == "README.md"]
    for step in steps:
        here = step.replace("/media/stick", "stick").replace(
            "docker://registry.plant:5000", "oci:in"
        )
        more = ["--no-passphrase"] if " keygen " in step else []
        outcome = run_airbundle(*shlex.split(here)[1:], *more)
        assert outcome.status == 0, f"{step}: {outcome.stderr}"
    assert [step.split()[1] for step in steps] == [
        *("keygen", "plan", "export", "verify", "import", "import")
    ]


def test_every_link_between_the_pages_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            path, _, anchor = link.partition("#")
            if not path.startswith("https:"):
                linked = page.parent / path if path else page
                assert linked.exists(), f"{page.name}: {link}"
                assert not anchor or anchor in anchors(linked), f"{page.name}: {link}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def examples() -> list[tuple[str, str]]:
    """Every line of an example in a document that starts our command."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        (page.name, found.strip())
        for page in pages
        for found in re.findall(
            r"^ *\$ (airbundle [a-z].*)$", page.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]


@pytest.mark.parametrize(("page", "example"), examples())
def test_every_example_is_a_command_that_can_be_parsed(page: str, example: str) -> None:
    command_line = re.sub(r" <\w+$", "", example)
    name, *arguments = shlex.split(command_line, comments=True)[1:]
    command = load(name)
    command.make_context(name, arguments, resilient_parsing=False)


def test_glossary_defines_each_term_once_in_alphabetical_order() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!term|---)([^|]+) \| ([^|]+) \|", page, re.MULTILINE)
    terms = [term.lower() for term, _ in rows]
    assert len(terms) > 90
    assert terms == sorted(set(terms))
    assert all(meaning.endswith(".") for _, meaning in rows)


def exit_statuses() -> set[int]:
    """Every status that a class of error has."""

    def below(kind: type[errors.BundlerError]) -> set[int]:
        return {kind.exit_status}.union(*map(below, kind.__subclasses__()))

    return below(errors.BundlerError)


def test_page_of_errors_explains_every_exit_status() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed, _, explained = page.partition("\n### 0\n")
    rows = re.findall(r"^\| \[([0-9, ]+)\]", listed, re.MULTILINE)
    sections = re.findall(r"^### ([0-9, ]+)$", f"### 0\n{explained}", re.MULTILINE)
    assert rows == sections
    assert {int(number) for row in rows for number in row.split(", ")} >= exit_statuses() | {0, 143}


def test_index_of_decision_records_agrees_with_the_records() -> None:
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
