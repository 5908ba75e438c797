"""Parse a template into a tree.

Nested templates (``define``, ``block``, ``template``), ``break``, ``continue`` and imaginary
numbers are not supported.

https://pkg.go.dev/text/template
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Union

from bundler.errors import TemplateError, TemplateLimitError
from bundler.gocompat.template.lex import parse_constant, tokenize

if TYPE_CHECKING:
    from bundler.gocompat.template.lex import Token

MAX_TEMPLATE = 64 * 1024
MAX_DEPTH = 40

_UNSUPPORTED = ("define", "block", "template", "break", "continue")


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text, which is copied to the output."""

    text: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, a number, true, false, or nil as None."""

    value: str | float | bool | None


@dataclass(frozen=True, slots=True)
class Function:
    """A reference to a function by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Access to nested fields of an operand, or of the dot if ``of`` is None."""

    of: Variable | Pipeline | None
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``; ``$`` alone is the data passed to the template."""

    name: str


Operand = Union[Constant, Function, Chain, Variable, "Pipeline"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each of which receives the value of the previous one as its last argument."""

    commands: tuple[tuple[Operand, ...], ...]
    variables: tuple[str, ...] = ()
    declares: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """``if``, ``range`` or ``with``; ``alternative`` is the part after ``else``."""

    kind: Literal["if", "range", "with"]
    pipeline: Pipeline
    body: tuple[Tree, ...]
    alternative: tuple[Tree, ...]


Tree = Text | Pipeline | Block


def parse(text: str) -> tuple[Tree, ...]:
    """Parse a template.

    Raises:
        TemplateLimitError: the template is too long or nested too deeply.
        TemplateError: the template is invalid.
    """
    if len(text) > MAX_TEMPLATE:
        raise TemplateLimitError(f"too long (expected at most {MAX_TEMPLATE:,} characters)")
    parser = _Parser(list(tokenize(text)))
    trees, end = parser.parse_body(0)
    if end is not None:
        raise TemplateError(f"line {end.line}: unexpected {{{{{end.text}}}}}")
    return trees


class _Parser:
    """Parser of a list of tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0
        self._variables = ["$"]

    def parse_body(self, depth: int) -> tuple[tuple[Tree, ...], Token | None]:
        """Parse up to ``end``, ``else`` or the end of the template; also return that token."""
        if depth > MAX_DEPTH:
            raise TemplateLimitError(f"nested too deeply (expected at most {MAX_DEPTH} levels)")
        known = len(self._variables)
        trees: list[Tree] = []
        end: Token | None = None
        while end is None and self._position < len(self._tokens):
            token = self._peek()
            if token.kind == "text":
                self._position += 1
                trees.append(Text(token.text))
                continue
            self._skip_space()
            token = self._peek()
            match token.text if token.kind == "word" else "":
                case "if" | "range" | "with" as kind:
                    self._position += 1
                    outer = len(self._variables)
                    trees.append(self._parse_block(kind, depth))
                    del self._variables[outer:]
                case "end" | "else":
                    self._position += 1
                    end = token
                case word if word in _UNSUPPORTED:
                    raise TemplateError(f"line {token.line}: {word} is not supported")
                case _:
                    trees.append(self._parse_pipeline("end", depth))
        del self._variables[known:]
        return tuple(trees), end

    def _parse_block(self, kind: Literal["if", "range", "with"], depth: int) -> Block:
        pipeline = self._parse_pipeline("end", depth, variables=2 if kind == "range" else 1)
        body, end = self.parse_body(depth + 1)
        alternative: tuple[Tree, ...] = ()
        if end is not None and end.text == "else":
            self._skip_space()
            token = self._peek()
            if token.kind == "word" and token.text == kind != "range":
                self._position += 1
                return Block(kind, pipeline, body, (self._parse_block(kind, depth + 1),))
            self._expect("end")
            alternative, end = self.parse_body(depth + 1)
        if end is None:
            raise TemplateError(f"unclosed {kind} ({{{{end}}}} is missing)")
        if end.text == "else":
            raise TemplateError(f"line {end.line}: unexpected second else")
        self._skip_space()
        self._expect("end")
        return Block(kind, pipeline, body, alternative)

    def _parse_pipeline(self, until: str, depth: int, *, variables: int = 1) -> Pipeline:
        """Parse up to the token ``until``, specified by its kind, or by its text if a delimiter."""
        if depth > MAX_DEPTH:
            raise TemplateLimitError(f"nested too deeply (expected at most {MAX_DEPTH} levels)")
        names, declares = self._parse_declaration(variables)
        commands: list[tuple[Operand, ...]] = []
        while True:
            self._skip_space()
            token = self._peek()
            if token.ends(until):
                break
            command = self._parse_command(until, depth)
            if commands and isinstance(command[0], Constant):
                raise TemplateError(f"line {token.line}: a constant takes no argument")
            commands.append(command)
        if not commands:
            raise TemplateError(f"line {self._peek().line}: missing value")
        self._position += 1
        return Pipeline(tuple(commands), names, declares)

    def _parse_declaration(self, limit: int) -> tuple[tuple[str, ...], bool]:
        """Parse an optional ``$x :=``, ``$x =`` or, in a range, ``$i, $x :=``.

        Return the names of the variables, and whether they are declared here.
        """
        start = self._position
        names: list[str] = []
        while len(names) < limit:
            self._skip_space()
            if self._peek().kind != "variable":
                break
            names.append(self._next().text)
            self._skip_space()
            token = self._next()
            if token.kind == "set":
                if token.text == ":=":
                    self._variables += names
                return tuple(map(self._check_variable, names)), token.text == ":="
            if token.text != ",":
                break
        self._position = start
        return (), False

    def _parse_command(self, until: str, depth: int) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while True:
            self._skip_space()
            operands.append(self._parse_operand(depth))
            token = self._peek()
            if token.kind == "space":
                self._skip_space()
                token = self._peek()
                if not token.ends(until) and token.text != "|":
                    continue
            if token.text == "|":
                self._position += 1
            elif not token.ends(until):
                raise self._create_error(token)
            return tuple(operands)

    def _parse_operand(self, depth: int) -> Operand:
        token = self._next()
        found: Operand
        match token.kind, token.text:
            case "dot", _:
                return Chain(None, ())
            case "field", name:
                return Chain(None, (name[1:], *self._parse_fields()))
            case "variable", name:
                found = Variable(self._check_variable(name))
            case "mark", "(":
                found = self._parse_pipeline(")", depth + 1, variables=0)
            case "word", "true" | "false":
                return Constant(token.text == "true")
            case "word", "nil":
                return Constant(None)
            case "word", name:
                return Function(name)
            case "string" | "char" | "number", _:
                return Constant(parse_constant(token))
            case _:
                raise self._create_error(token)
        names = self._parse_fields()
        return Chain(found, names) if names else found

    def _parse_fields(self) -> tuple[str, ...]:
        names = []
        while self._peek().kind == "field":
            names.append(self._next().text[1:])
        return tuple(names)

    def _check_variable(self, variable: str) -> str:
        if variable not in self._variables:
            raise TemplateError(f"undefined variable {variable[:80]}")
        return variable

    def _peek(self) -> Token:
        if self._position >= len(self._tokens):
            raise TemplateError("unexpected end")
        return self._tokens[self._position]

    def _next(self) -> Token:
        token = self._peek()
        self._position += 1
        return token

    def _skip_space(self) -> None:
        while self._position < len(self._tokens) and self._peek().kind == "space":
            self._position += 1

    def _expect(self, kind: str) -> None:
        token = self._next()
        if token.kind != kind:
            raise self._create_error(token)

    def _create_error(self, token: Token) -> TemplateError:
        return TemplateError(f"line {token.line}: unexpected {token.text[:80]!r}")
