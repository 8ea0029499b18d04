"""What is known to be secret, taken out of every text on its way to a log, a terminal or a traceback.

Python asks one function of the process for log records, whoever logs. It is taken over when the first secret becomes
known, so that what an SDK logs is covered too; a process without secrets is left as it is.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, TypeVar

from fairlead._secrets.secret import HIDDEN, LEAST

if TYPE_CHECKING:
    from msgspec import Struct

S = TypeVar("S", bound="Struct")

_LINE = 16
"""The length from which on a single line of a secret, such as one of a key in PEM, is a secret itself."""

known: list[str] = []
"""What is hidden, in all its spellings; empty in a process without secrets, which then pays for nothing."""

_guarded = False
_lock = threading.Lock()


def remember(value: str) -> None:
    """Keep a text, in all its spellings, out of logs, sentences and tracebacks from now on."""
    global _guarded  # noqa: PLW0603 - logging and tracebacks are one for the process
    with _lock:
        new = _spellings(value) - set(known)
        if new:  # the longest first: one secret may be part of another
            known[:] = sorted({*known, *new}, key=lambda form: (-len(form), form))
        if not _guarded:
            _guarded = True
            _guard()


def scrub(text: str) -> str:
    """The text with `***` in place of every known secret."""
    if not known or not isinstance(text, str):
        return text
    for form in known:
        if form in text:
            text = text.replace(form, HIDDEN)
    return text


def said(error: BaseException) -> str:
    """An exception in one line, for a sentence or a fact."""
    return scrub(f"{type(error).__name__}: {error}")


def hidden(record: S, *names: str) -> S:
    """A record with no secret in the texts of these names; one that has none of them is given back as it is."""
    if not known:
        return record
    texts = {name: getattr(record, name, "") for name in names}
    clean_texts = {name: hides for name, text in texts.items() if (hides := scrub(text)) != text}
    if not clean_texts:
        return record
    from msgspec.structs import replace

    return replace(record, **clean_texts)


def _spellings(value: str) -> set[str]:
    import base64
    import json
    from urllib.parse import quote, quote_plus

    raw = value.encode()
    forms = {value, repr(value)[1:-1], json.dumps(value)[1:-1], quote(value, safe=""), quote_plus(value)}
    forms |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    forms |= {line.strip() for line in value.splitlines() if len(line.strip()) >= _LINE}
    return {form for form in forms if len(form) >= LEAST}


# --- where texts leave ------------------------------------------------------------------------------------------


def _guard() -> None:
    make = logging.getLogRecordFactory()

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = make(*args, **kwargs)
        clean(made)
        return made

    logging.setLogRecordFactory(record)
    show, show_thread = sys.excepthook, threading.excepthook

    def excepthook(kind: Any, error: BaseException, trace: Any) -> None:
        text = _traceback(kind, error, trace)
        hidden = scrub(text)
        if hidden == text:
            show(kind, error, trace)
        else:
            sys.stderr.write(hidden)

    def thread_hook(args: Any) -> None:
        text = _traceback(args.exc_type, args.exc_value, args.exc_traceback)
        hidden = scrub(text)
        if hidden == text:
            show_thread(args)
        else:
            sys.stderr.write(f"Exception in thread {args.thread.name if args.thread else '?'}:\n{hidden}")

    sys.excepthook, threading.excepthook = excepthook, thread_hook


def clean(record: logging.LogRecord) -> None:
    """Take secrets out of a log record: its message with its arguments, its exception and its stack."""
    try:
        text = record.getMessage()
    except Exception:  # logging itself says what is wrong with such a call
        text = ""
    hidden = scrub(text)
    if hidden != text:
        record.msg, record.args = hidden, ()
    if record.stack_info:
        record.stack_info = scrub(record.stack_info)
    if record.exc_info and record.exc_info[0] is not None:
        text = _traceback(*record.exc_info)
        hidden = scrub(text)
        if hidden != text:  # a formatter that finds no exception shows this text
            record.exc_info, record.exc_text = None, hidden.rstrip("\n")


def _traceback(kind: Any, error: Any, trace: Any) -> str:
    return "".join(traceback.format_exception(kind, error, trace))
