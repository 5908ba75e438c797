"""Dataclasses as in the standard library, without its cost at the start of a command.

``dataclasses.dataclass`` compiles six methods of each class when its module is imported, and most
of them are never called. For the 170 classes of an import, this took a tenth of the time of the
command. See decision record 41.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # Type checkers treat the decorator as the one of the standard library.
    from dataclasses import dataclass

    _Fields = Sequence[dataclasses.Field[Any]]
else:

    def dataclass(
        cls: type | None = None,
        /,
        *,
        frozen: bool = False,
        slots: bool = False,
        eq: bool = True,
        order: bool = False,
    ) -> Callable[[type], type] | type:
        """Add the methods of a dataclass to a class.

        Like ``dataclasses.dataclass`` with these arguments, except that ``__init__`` is compiled by
        its first call, and that other methods are not compiled. ``KW_ONLY`` and ``InitVar`` are not
        supported, and attributes of subclasses of a frozen class cannot be assigned either.
        """
        if cls is None:
            return partial(dataclass, frozen=frozen, slots=slots, eq=eq, order=order)
        if order:
            return dataclasses.dataclass(frozen=frozen, slots=slots, eq=eq, order=order)(cls)
        return _add_methods(cls, frozen=frozen, slots=slots, eq=eq)


def _add_methods(cls: type, *, frozen: bool, slots: bool, eq: bool) -> type:
    if not cls.__doc__:
        cls.__doc__ = cls.__name__  # or dataclasses would compute the signature
    made: type[Any] = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
    fields = dataclasses.fields(made)

    def __init__(self: object, *arguments: object, **named: object) -> None:  # noqa: N807
        made.__init__ = _compile_init(made, fields, frozen=frozen)
        made.__init__(self, *arguments, **named)

    methods: dict[str, object] = {"__init__": __init__, "__repr__": _create_repr(fields)}
    if eq:
        methods["__eq__"] = _create_eq([item.name for item in fields if item.compare])
        hashed = [item.compare if item.hash is None else item.hash for item in fields]
        names = [item.name for item, included in zip(fields, hashed, strict=True) if included]
        methods["__hash__"] = _create_hash(names) if frozen else None
    if frozen:
        methods |= _FROZEN
    for name, method in methods.items():
        if cls.__dict__.get(name) is None:  # Python sets __hash__ to None beside __eq__
            setattr(made, name, method)
    return made


def _compile_init(cls: type, fields: _Fields, *, frozen: bool) -> Callable[..., None]:
    """Compile ``__init__``; a field is assigned as the standard library does it."""
    names: dict[str, Any] = {"_set": object.__setattr__, "_unset": dataclasses.MISSING}
    parameters, lines = ["self"], []
    for item in fields:
        name = value = item.name
        default = None
        if item.default is not dataclasses.MISSING:
            default = f"_default_{name}"
            names[default] = item.default
            value = name if item.init else default
        elif item.default_factory is not dataclasses.MISSING:
            default, create = "_unset", f"_create_{name}"
            names[create] = item.default_factory
            value = f"{create}() if {name} is _unset else {name}" if item.init else f"{create}()"
        if item.init:
            parameters.append(name if default is None else f"{name}={default}")
        if item.init or default is not None:  # else __post_init__ assigns it
            lines.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    body = "\n ".join(lines) or "pass"
    exec(f"def __init__({', '.join(parameters)}):\n {body}", names)  # noqa: S102 - own names only
    compiled: Callable[..., None] = names["__init__"]
    compiled.__qualname__ = f"{cls.__qualname__}.__init__"
    return compiled


def _create_repr(fields: _Fields) -> Callable[[object], str]:
    visible = [item.name for item in fields if item.repr]

    @recursive_repr()
    def __repr__(self: object) -> str:  # noqa: N807
        values = (f"{name}={getattr(self, name)!r}" for name in visible)
        return f"{type(self).__qualname__}({', '.join(values)})"

    return __repr__


def _create_eq(names: Sequence[str]) -> Callable[[object, object], bool]:
    get = attrgetter(*names) if names else lambda _: ()

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        if other.__class__ is not self.__class__:
            return NotImplemented
        return bool(get(self) == get(other))

    return __eq__


def _create_hash(names: Sequence[str]) -> Callable[[object], int]:
    get = attrgetter(*names) if names else lambda _: ()

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(get(self))

    return __hash__


def _refuse_assignment(_: object, name: str, __: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(_: object, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(self: Any) -> list[object]:  # noqa: ANN401
    return [getattr(self, item.name) for item in dataclasses.fields(self)]


def _set_state(self: Any, state: list[object]) -> None:  # noqa: ANN401
    for item, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, item.name, value)


_FROZEN = {
    "__setattr__": _refuse_assignment,
    "__delattr__": _refuse_deletion,
    "__getstate__": _get_state,  # pickle and copy would assign the attributes
    "__setstate__": _set_state,
}
