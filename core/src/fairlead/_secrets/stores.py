"""Where secrets are kept, in the order in which they are looked for."""

from __future__ import annotations

import importlib
import importlib.util
import io
import logging
import os
import stat
from pathlib import Path
from typing import NamedTuple

from fairlead._secrets.secret import SecretError

_MOST_BYTES = 65_536
_SERVICE = "fairlead"


class Found(NamedTuple):
    """A secret's text, and where it was."""

    text: str
    store: str


def look_up(name: str, folder: Path) -> Found | None:
    """Find a secret: systemd's credentials, the environment, `.env` in `folder`, the keyring; None if nowhere.

    Raises ConfigurationError where a store that has it cannot be read, or is open to other users.
    """
    for store in (_credential, _environment, _env_file, _keyring):
        found = store(name, folder)
        if found is not None:
            return found
    return None


def _credential(name: str, _: Path) -> Found | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    path = Path(folder) / name
    try:
        text = _read(path)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(
            f"the credential {path} cannot be read ({_why(error)}): give this user the right to read it, as text"
        ) from None
    return Found(text.rstrip("\r\n"), "credentials directory")


def _environment(name: str, _: Path) -> Found | None:
    text = os.environ.get(name)
    return None if text is None else Found(text, "environment")


def _env_file(name: str, folder: Path) -> Found | None:
    text = env_file(folder / ".env").get(name)
    return None if text is None else Found(text, ".env")


def env_file(path: Path) -> dict[str, str | None]:
    """The variables of a `.env` file; nothing where there is none.

    Raises ConfigurationError for one that cannot be read, or that others than its owner can.
    """
    try:
        text = _read(path, private=True)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{path} cannot be read ({_why(error)}): repair it, or remove it") from None
    from dotenv import dotenv_values

    # It warns of lines that it cannot read by their number; as it knows no file here, it is said with the name.
    parser = logging.getLogger("dotenv.main")
    silenced, parser.disabled = parser.disabled, True
    try:
        return dict(dotenv_values(stream=io.StringIO(text), interpolate=False))
    finally:
        parser.disabled = silenced


def _read(path: Path, *, private: bool = False) -> str:
    """A small regular file. What it is gets asked of the open file, which nobody can exchange in between."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise OSError("it is no file")
        if private and about.st_mode & 0o077:
            raise SecretError(
                f"{path} is open to other users (mode {stat.S_IMODE(about.st_mode):04o}), and it holds secrets: "
                f"chmod 600 {path}"
            )
        raw = file.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise OSError(f"it is larger than {_MOST_BYTES:,} bytes")
    return raw.decode("utf-8")


def _keyring(name: str, _: Path) -> Found | None:
    if importlib.util.find_spec("keyring") is None:
        return None
    try:
        text = importlib.import_module("keyring").get_password(_SERVICE, name)
    except (
        Exception
    ) as error:  # a keyring without a desktop fails in its own ways; it is the last place to look
        raise SecretError(
            f"the keyring cannot be asked for {name} ({type(error).__name__}): unlock it, or put the secret into "
            f"the environment or a .env file"
        ) from None
    return None if text is None else Found(text, "keyring")


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return getattr(error, "strerror", None) or str(error)
