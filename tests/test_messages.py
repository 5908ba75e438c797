"""No code reads the text of messages: decisions use the types and fields of errors."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[1] / "bundler"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE / "errors")
TEXTS = {"message", "hint", "verify_message"}
"""Attributes of errors that hold text for people."""
SEARCHES = {
    "casefold", "count", "endswith", "find", "findall", "finditer", "fullmatch", "index", "lower",
    "match", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rpartition",
    "search", "split", "startswith", "sub",
}  # fmt: skip
"""Methods of texts and of regular expressions that look into a text."""


def find_searches(source: str) -> list[int]:
    """Return the lines on which the text of an error is searched or compared."""
    tree = ast.parse(source)
    scopes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)] or [tree]
    return sorted(
        {
            node.lineno
            for scope in scopes
            for names in [frozenset(find_text_variables(scope))]
            for node in ast.walk(scope)
            if is_search(node, names)
        }
    )


def find_text_variables(scope: ast.AST) -> Iterator[str]:
    """Yield the variables that hold the text of an error."""
    for node in ast.walk(scope):
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=value) if is_text(value, frozenset()):
                yield name
            case ast.NamedExpr(target=ast.Name(name), value=value) if is_text(value, frozenset()):
                yield name
            case _:
                pass


def is_search(node: ast.AST, names: frozenset[str]) -> bool:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            by_none = all(isinstance(item, ast.Is | ast.IsNot) for item in ops)
            return not by_none and any(is_text(item, names) for item in (left, *comparators))
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=args) if name in SEARCHES:
            return any(is_text(item, names) for item in (value, *args))
        case ast.Match(subject=subject):
            return is_text(subject, names)
        case ast.Subscript(value=value):
            return is_text(value, names)
        case _:
            return False


def is_text(node: ast.expr, names: frozenset[str]) -> bool:
    """Whether an expression is the text of an error, judged by the usual names of errors."""
    match node:
        case ast.Name(name):
            return name in names
        case ast.Attribute(attr=name):
            return name in TEXTS
        case ast.Call(func=ast.Name("str"), args=[ast.Name(name)]):
            return name in {"error", "cause", "failure", "refusal", "exception", "problem"}
        case ast.Call(func=ast.Name("str"), args=[ast.Attribute(attr=name)]):
            return name == "error"
        case _:
            return False


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_does_not_read_messages(path: Path) -> None:
    found = find_searches(path.read_text())
    assert found == [], f"{path}: decide by the error's type and fields, not by its text"


def create_violations() -> Iterator[str]:
    yield 'x = "no image" in error.message'
    yield 'x = error.message == "stopped"'
    yield 'x = error.message.startswith("not done within")'
    yield "x = PATTERN.search(error.message)"
    yield "x = re.search('no image', str(error))"
    yield 'x = str(error).endswith(".")'
    yield 'x = "login" in (error.hint, "")[0] or error.hint.split()'
    yield 'x = "expired" in cause.verify_message'
    yield 'match error.message:\n    case "x": pass'
    yield "x = error.message[:5]"
    yield 'def f(error):\n    text = str(error)\n    return "no image" in text'
    yield 'def f(error):\n    return (text := error.message) and text.startswith("no")'


@pytest.mark.parametrize("source", list(create_violations()))
def test_check_finds_code_that_reads_a_message(source: str) -> None:
    assert find_searches(source)


@pytest.mark.parametrize(
    "source",
    [
        "x = error.hint is None",
        'x = f"{path}: {error.message}"',
        'x = error.exchange.body.startswith("404")',
        "x = isinstance(error, NotFoundError) and error.path == path",
    ],
)
def test_check_allows_printing_messages_and_reading_fields(source: str) -> None:
    assert not find_searches(source)
