"""`fairlead init` and `fairlead plugins new`: files from the templates beside this module, never over others.

A template is a file that ends in `.tmpl`, with `$words` to fill in. In its path `dot_` begins a hidden name, and a
folder `package` takes the name of the package.
"""

from __future__ import annotations

import importlib
import importlib.util
import keyword
import re
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from string import Template

import click

from fairlead._cli.faults import USAGE, CommandFailed
from fairlead._engine.catalogue import names
from fairlead._engine.distributions import core_version

TEMPLATES = Path(__file__).parent / "templates"
PLUGINS, PROJECTS = TEMPLATES / "plugin", TEMPLATES / "project"
COMMON = "common"
"""What every kind of plugin has: not a kind."""

_ADVICE = {
    "README.md": "",
    ".gitignore": ": see that it has runs/ and .env",
    "pytest.ini": ": see that it has pythonpath = .",
}
"""Files of a project that may be there already, and what is said of one that is."""

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_MOST = 40
_SUMMARY = {
    "broker": "A broker",
    "stream": "A data stream",
    "breaker": "A circuit breaker",
    "reconciler": "A reconciliation strategy",
}


def kinds() -> list[str]:
    """The kinds of plugins that can be made: each is a folder of templates."""
    return sorted(path.name for path in PLUGINS.iterdir() if path.is_dir() and path.name != COMMON)


def new_plugin(kind: str, name: str, into: Path) -> None:
    """Write a package of a kind into a new folder. Raises CommandFailed where kind, name or folder cannot be used."""
    if kind not in kinds():
        raise CommandFailed(
            f"{kind!r} is no kind of plugin to begin with: there are {', '.join(kinds())}", USAGE
        )
    words = _words(kind, name)
    folder = into / words["distribution"]
    if folder.exists():
        raise CommandFailed(f"{folder} exists already: choose another name, or --into another folder", USAGE)
    files = _rendered(PLUGINS / COMMON, words) | _rendered(PLUGINS / kind, words)
    _make(folder, files)
    click.echo(f"{folder}: {words['class_name']}, a {kind} that works; make it yours\n")
    click.echo(f"  pip install -e '{folder}[test]'")
    click.echo(f"  pytest {folder}")
    click.echo(f"  fairlead plugins info {words['entry']}")


def new_project(folder: Path, template: str) -> None:
    """Write a project into a folder, new or not. Raises CommandFailed where a file of it is there already."""
    found = sorted(path.name for path in PROJECTS.iterdir() if path.is_dir())
    if template not in found:
        raise CommandFailed(f"{template!r} is no template: there are {', '.join(found)}", USAGE)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", folder.absolute().name).strip("-") or "bot"
    files = _rendered(PROJECTS / template, {"name": name})
    kept = {file for file in files if file.name in _ADVICE and (folder / file).exists()}
    there = sorted(str(file) for file in files if (folder / file).exists() and file not in kept)
    if there:
        raise CommandFailed(f"{folder} has {', '.join(there)} already: choose another folder", USAGE)
    if folder.exists() and not folder.is_dir():
        raise CommandFailed(f"{folder} is a file: choose another folder", USAGE)
    _write(folder, {file: text for file, text in files.items() if file not in kept})
    click.echo(f"{folder}: {', '.join(sorted(str(file) for file in files if file not in kept))}")
    for file in sorted(kept):
        click.echo(f"kept as it was: {folder / file}{_ADVICE[file.name]}")
    step = "" if folder.absolute() == Path.cwd() else f"cd {folder} && "
    click.echo(f"\n  {step}fairlead run app.py --until 1m\n  pytest")


# --- names --------------------------------------------------------------------------------------------------


def _words(kind: str, name: str) -> dict[str, str]:
    """What the templates of a plugin ask for. Raises CommandFailed for a name that cannot be used."""
    if not _NAME.fullmatch(name) or len(name) > _MOST:
        raise CommandFailed(
            f"{name!r} is no name for a plugin: write at most {_MOST} small letters, digits and hyphens, such as "
            "quiet-hours",
            USAGE,
        )
    thing = name.replace("_", "-")
    if thing == "fairlead" or thing.startswith("fairlead-"):
        raise CommandFailed(f"{name!r} begins with fairlead, which is added anyway: leave it out", USAGE)
    entry, distribution, package = (
        thing.replace("-", "_"),
        f"fairlead-{thing}",
        f"fairlead_{thing}".replace("-", "_"),
    )
    title = "".join(part.capitalize() for part in thing.split("-"))
    own = title if kind == "breaker" or title.endswith(kind.capitalize()) else title + kind.capitalize()
    if keyword.iskeyword(own) or own in _ours():
        raise CommandFailed(
            f"{name!r} would name its class {own}, which means something else: choose another", USAGE
        )
    if entry in names():
        raise CommandFailed(f"a plugin named {entry!r} is installed already: choose another name", USAGE)
    if _is_installed(distribution) or importlib.util.find_spec(package) is not None:
        raise CommandFailed(f"{package} is installed already: choose another name", USAGE)
    return {
        "kind": kind,
        "entry": entry,
        "distribution": distribution,
        "package": package,
        "class_name": own,
        "title": title,
        "summary": f"{_SUMMARY.get(kind, f'A {kind}')} for fairlead",
        "range": _range(),
    }


def _ours() -> set[str]:
    """Names that a plugin's own module may import: its class must not hide one."""
    modules = ("builtins", "fairlead", "fairlead.ports", "fairlead.facts", "fairlead.testing")
    return {name for module in modules for name in dir(importlib.import_module(module))}


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _range() -> str:
    """The versions of fairlead that a package made now can promise to work with: up to the next breaking one."""
    major, minor = (int(part) for part in core_version().split(".")[:2])
    return f">={major}.{minor},<{major + 1 if major else f'0.{minor + 1}'}"


# --- files --------------------------------------------------------------------------------------------------


def _rendered(folder: Path, words: Mapping[str, str]) -> dict[Path, str]:
    """The files of a folder of templates, filled in, by their path in what is made."""
    return {
        _place(file.relative_to(folder), words): Template(file.read_text(encoding="utf-8")).substitute(words)
        for file in sorted(folder.rglob("*.tmpl"))
    }


def _place(path: Path, words: Mapping[str, str]) -> Path:
    parts = [words["package"] if part == "package" else part for part in path.parts]
    parts[-1] = re.sub(r"^dot_", ".", parts[-1].removesuffix(".tmpl"))
    return Path(*parts)


def _make(folder: Path, files: Mapping[Path, str]) -> None:
    """A new folder, whole or not at all."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as half:
            _write(Path(half, "new"), files)
            Path(half, "new").rename(folder)
    except OSError as error:
        raise CommandFailed(
            f"{folder} cannot be written ({error.strerror}): choose another folder", USAGE
        ) from error


def _write(folder: Path, files: Mapping[Path, str]) -> None:
    """Write files that are not there yet; what was written is taken back where one cannot be."""
    written: list[Path] = []
    try:
        for file, text in files.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as opened:
                written.append(path)
                opened.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise CommandFailed(
            f"{folder} cannot be written ({error.strerror}): choose another folder", USAGE
        ) from error
