"""Prompts on the terminal."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


def prompt(
    text: str,
    *,
    hidden: bool = False,
    twice: bool = False,
    hint: str = "",
    default: str | None = None,
) -> str:
    """Prompt on stderr; ``hidden`` input is not echoed, and needs a terminal.

    With ``twice``, the answer has to be repeated. ``hint`` is the alternative to a prompt.
    ``default`` is the result of an empty answer; None: it is asked again.

    Raises:
        UsageError: hidden input is requested, and standard input is not a terminal.
        click.Abort: the user interrupted the prompt, or standard input ended.
    """
    if hidden and not sys.stdin.isatty():
        raise UsageError(f"{text}: cannot prompt without a terminal", hint=hint)
    with raise_if_interrupted():
        answer: str = click.prompt(
            text,
            hide_input=hidden,
            confirmation_prompt=twice,
            err=True,
            default=default,
            show_default=False,
        )
    return answer


@contextmanager
def raise_if_interrupted() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block, so that a prompt restores the terminal.

    Elsewhere, an interruption ends the process or cancels the run.
    """
    former = signal.getsignal(signal.SIGINT)
    if former is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
