"""Execute templates.

Limits on the work and the output ensure that every template ends.

https://pkg.go.dev/text/template
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import TemplateError, TemplateLimitError
from bundler.gocompat.template import functions
from bundler.gocompat.template.functions import FUNCTIONS
from bundler.gocompat.template.parse import (
    Block,
    Chain,
    Constant,
    Function,
    Pipeline,
    Text,
    Tree,
    Variable,
    parse,
)
from bundler.gocompat.template.printf import get_type_name
from bundler.gocompat.values import NIL, NIL_MAP, Nil, Struct, format_value, is_empty

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.gocompat.template.parse import Operand
    from bundler.gocompat.values import Value

MAX_OUTPUT = 16 * 1024 * 1024
MAX_WORK = 500_000
"""The number of steps; 64 characters of output count as one step."""

_NO_VALUE = Nil("<no value>")


def render(template: str, data: Value) -> str:
    """Execute ``template`` with ``data``, and return the output.

    Raises:
        TemplateLimitError: the template, its execution or its output exceeds a limit.
        TemplateError: the template is invalid, or does not match ``data``.
    """
    trees = parse(template)
    execution = _TemplateExecution(data)
    execution.execute_all(trees, data)
    return "".join(execution.output)


class _TemplateExecution:
    """One execution of a template: its variables, its output and its work so far."""

    def __init__(self, data: Value) -> None:
        self.output: list[str] = []
        self._size = 0
        self._work = 0
        self._variables: list[tuple[str, Value]] = [("$", data)]

    def execute_all(self, trees: Sequence[Tree], dot: Value) -> None:
        """Execute trees in a new scope of variables."""
        known = len(self._variables)
        for tree in trees:
            self._count_work()
            match tree:
                case Text():
                    self._write(tree.text)
                case Block():
                    self._execute_block(tree, dot)
                case Pipeline():
                    value = self._evaluate_pipeline(tree, dot)
                    if not tree.variables:
                        self._write(format_value(value))
        del self._variables[known:]

    def _execute_block(self, block: Block, dot: Value) -> None:
        known = len(self._variables)
        pipeline = block.pipeline
        empty = True
        if block.kind == "range":
            for key, item in _iterate(self._evaluate_pipeline(Pipeline(pipeline.commands), dot)):
                empty = False
                self._count_work()
                for name, value in zip(reversed(pipeline.variables), (item, key), strict=False):
                    self._set_variable(name, value, declares=pipeline.declares)
                self.execute_all(block.body, item)
                del self._variables[known:]
        else:
            value = self._evaluate_pipeline(pipeline, dot)
            empty = is_empty(value)
            if not empty:
                self.execute_all(block.body, value if block.kind == "with" else dot)
        if empty:
            self.execute_all(block.alternative, dot)
        del self._variables[known:]

    def _evaluate_pipeline(self, pipeline: Pipeline, dot: Value) -> Value:
        final: tuple[Value, ...] = ()
        for command in pipeline.commands:
            self._count_work()
            first, *arguments = command
            if isinstance(first, Function):
                final = (self._call(first.name, arguments, dot, final),)
            elif arguments or final:
                raise TemplateError("only functions take arguments")
            elif isinstance(first, Constant) and first.value is None:
                raise TemplateError("nil is not a command")
            else:
                final = (self._evaluate_operand(first, dot),)
        for name in pipeline.variables:
            self._set_variable(name, final[0], declares=pipeline.declares)
        return final[0]

    def _evaluate_operand(self, operand: Operand, dot: Value) -> Value:
        self._count_work()
        match operand:
            case Constant():
                return NIL if operand.value is None else operand.value
            case Chain():
                value = dot if operand.of is None else self._evaluate_operand(operand.of, dot)
                for name in operand.names:
                    value = _get_field(value, name)
                return value
            case Variable():
                return self._get_variable(operand.name)
            case Function():
                return self._call(operand.name, (), dot, ())
            case Pipeline():
                return self._evaluate_pipeline(operand, dot)

    def _call(
        self, name: str, operands: Sequence[Operand], dot: Value, final: tuple[Value, ...]
    ) -> Value:
        if name in ("and", "or"):
            values = (self._evaluate_operand(operand, dot) for operand in operands)
            found: Value | None = None
            for value in (*values, *final) if final else values:
                found = value
                if is_empty(value) == (name == "and"):
                    break  # the others are not evaluated
            if found is None:
                raise TemplateError(f"{name} requires an argument")
            return found
        if name not in FUNCTIONS:
            raise TemplateError(
                f"function {name[:80]!r} not defined",
                hint=f"use one of {', '.join(sorted(('and', 'or', *FUNCTIONS)))}",
            )
        arguments = [self._evaluate_operand(operand, dot) for operand in operands]
        given = [NIL if value == _NO_VALUE else value for value in (*arguments, *final)]
        result = functions.call(name, given)
        self._count_work(result)
        return result

    def _get_variable(self, name: str) -> Value:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise TemplateError(f"undefined variable {name[:80]}")

    def _set_variable(self, name: str, value: Value, *, declares: bool) -> None:
        if declares:
            self._variables.append((name, value))
            return
        self._get_variable(name)
        last = max(i for i, (known, _) in enumerate(self._variables) if known == name)
        self._variables[last] = (name, value)

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_OUTPUT:
            raise TemplateLimitError(f"the output exceeds {MAX_OUTPUT:,} characters")
        self._count_work(text)
        self.output.append(text)

    def _count_work(self, result: Value = "") -> None:
        """Count one step, and the length of its result."""
        self._work += 1 + (len(result) // 64 if isinstance(result, str | list) else 0)
        if self._work > MAX_WORK:
            raise TemplateLimitError(f"the execution exceeds {MAX_WORK:,} steps")


def _iterate(value: Value) -> Iterator[tuple[Value, Value]]:
    """Iterate over pairs of index or key and value; keys are sorted."""
    match value:
        case list():
            yield from enumerate(value)
        case dict():
            yield from ((key, value[key]) for key in sorted(value))
        case int() if not isinstance(value, bool):
            yield from ((number, number) for number in range(value))
        case Nil() if value != NIL:
            return
        case _:
            raise TemplateError(f"range can't iterate over {format_value(value)[:80]}")


def _get_field(value: Value, name: str) -> Value:
    found: Value | None = None
    match value:
        case Struct():
            found = value.get(name)
        case dict():
            found = value.get(name, _NO_VALUE)
        case Nil() if value in (NIL_MAP, _NO_VALUE):
            found = _NO_VALUE
        case _:
            pass
    if found is None:
        hint = None
        if isinstance(value, Struct):
            hint = f"use one of {', '.join(member.name for member in value.members)}"
        raise TemplateError(
            f"can't evaluate field {name[:80]} in type {get_type_name(value)}", hint=hint
        )
    return found
