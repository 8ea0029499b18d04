"""`Secret`: the name of a secret, whose text is looked up when it is used and never shown."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

from fairlead.errors import ConfigurationError

if TYPE_CHECKING:
    from fairlead._secrets.stores import Found

HIDDEN = "***"
LEAST = 4
"""The length from which on a text can be taken out of others without making them unreadable."""

PREFIX = "secret:"


class SecretError(ConfigurationError):
    """A secret is nowhere, or cannot be used as it is."""


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}")


class Secret:
    """A reference to a key, token or password by its name; only `reveal()` gives the text.

        BinanceBroker(key=Secret("BINANCE_KEY"))

    In a file the same is written `"secret:BINANCE_KEY"`. It is looked for, when it is used, in systemd's credentials
    (`$CREDENTIALS_DIRECTORY/NAME`), the environment, the file `.env` in `folder` (by default that of the script which
    makes the reference), and the keyring, if the package keyring is installed (service `fairlead`).

    It prints as `***`, cannot be pickled or made JSON of, and its text is taken out of log records, refusals and
    tracebacks of this process. Two are equal when their texts are. Raises ConfigurationError for a name that is none.
    """

    __hash__ = None  # type: ignore[assignment]
    __slots__ = ("_folder", "_found", "_name")

    def __init__(self, name: str, *, folder: str | Path | None = None) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError(
                "a secret's name is made of letters, digits, '_', '-' and '.', such as BINANCE_KEY: "
                "give the name, and keep the text in the environment or a .env file"
            )
        if folder is None:
            file = sys._getframe(1).f_globals.get("__file__")
            folder = Path(file).parent if file else Path()
        self._name, self._folder = name, Path(folder)
        self._found: Found | None = None

    @classmethod
    def of(cls, text: str, name: str = "given") -> Self:
        """Hide a text that comes from elsewhere, such as a vault. Raises ConfigurationError for a very short one."""
        made = cls(name, folder=Path())
        from fairlead._secrets.stores import Found

        made._keep(Found(text, "program"))
        return made

    @property
    def name(self) -> str:
        """The name that it is looked up by."""
        return self._name

    @property
    def store(self) -> str:
        """Where its text is, looked up now if that has not been done. Raises ConfigurationError if it is nowhere."""
        return self._resolved().store

    def reveal(self) -> str:
        """The text, looked up at the first call. Raises ConfigurationError where it is nowhere or cannot be read."""
        return self._resolved().text

    def _resolved(self) -> Found:
        if self._found is None:
            from fairlead._secrets.stores import look_up

            found = look_up(self._name, self._folder)
            if found is None:
                raise SecretError(
                    f"the secret {self._name} is nowhere: put it into the environment or into {self._folder / '.env'} "
                    f"({self._name}=..., chmod 600)"
                )
            self._keep(found)
        assert self._found is not None
        return self._found

    def _keep(self, found: Found) -> None:
        if len(found.text) < LEAST:
            what = "is empty" if not found.text else f"has fewer than {LEAST} characters"
            raise SecretError(
                f"the secret {self._name} ({found.store}) {what}, and could not be told from other text in a log: "
                f"give one of {LEAST} characters or more"
            )
        if not is_unicode(found.text):
            raise SecretError(f"the secret {self._name} ({found.store}) is not UTF-8: give it as text")
        from fairlead._secrets.scrub import remember

        remember(found.text)
        self._found = found

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        import hmac

        return self is other or hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not written anywhere: pass its name, and look it up again")


def is_unicode(text: str) -> bool:
    """Whether a text can be written: what the system gives as bytes of no text cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def secrets_in(value: Any) -> list[Secret]:
    """The secrets in an argument, in lists and tables too."""
    if isinstance(value, Secret):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return (
        [s for item in inner for s in secrets_in(item)]
        if isinstance(value, dict | list | tuple | set)
        else []
    )
