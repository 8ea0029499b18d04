"""`fairlead init` and `fairlead plugins new`: what is written works at once, and nothing is written over."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead._cli.scaffold import kinds


def done(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """A command in a folder, to its end."""
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=folder,
        env={**os.environ, "FAIRLEAD_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


# --- plugins new --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", kinds())
def test_a_new_plugin_has_a_whole_package(fairlead, tmp_path: Path, kind: str) -> None:
    """Project, readme, licence note, types, ignored files and tests; no template word is left over."""
    made = fairlead("plugins", "new", kind, "acme", "--into", tmp_path)
    assert made.exit_code == 0, made.output
    folder = tmp_path / "fairlead-acme"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"pyproject.toml", "README.md", ".gitignore"} <= files
    assert {"src/fairlead_acme/__init__.py", "src/fairlead_acme/py.typed"} <= files
    assert any(name.startswith("tests/test_") for name in files)
    project = (folder / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dependencies = ["fairlead>=0.1,<0.2"]' in project
    assert 'acme = "fairlead_acme:Acme' in project
    assert "## Licence" in (folder / "README.md").read_text(encoding="utf-8")
    assert not any("$" in path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())
    assert not list(tmp_path.glob(".*"))


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy knows of the core and the library, for the four kinds to share."""
    return tmp_path_factory.mktemp("types")


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.full
def test_a_new_plugin_is_clean(fairlead, tmp_path: Path, types: Path, kind: str) -> None:
    """ruff and mypy --strict have nothing to say, its tests included."""
    fairlead("plugins", "new", kind, "acme", "--into", tmp_path)
    folder = tmp_path / "fairlead-acme"
    for command in (("ruff", "check", "--no-cache"), ("ruff", "format", "--check", "--no-cache"), ("mypy",)):
        cache = ("--cache-dir", types) if command == ("mypy",) else ()
        found = done(folder, *command, *cache)
        assert found.returncode == 0, found.stdout + found.stderr


def test_a_kind_that_is_not_there_is_refused_with_those_that_are(fairlead, tmp_path: Path) -> None:
    """The kinds are the folders of templates, and nothing more is promised."""
    made = fairlead("plugins", "new", "shadow", "acme", "--into", tmp_path)
    assert made.exit_code == 2
    assert "'shadow' is no kind of plugin to begin with: there are breaker, broker, reconciler" in made.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_help_names_the_kinds_there_are(fairlead) -> None:
    """No more, and no fewer."""
    said = " ".join(fairlead("plugins", "new", "--help").stdout.split())
    named = set(re.findall(r"\w+", said.partition("KIND is ")[2].partition(".")[0])) - {"or"}
    assert named == set(kinds())


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("breaker", "Quiet Hours", "is no name for a plugin"),
        ("breaker", "-x", "is no name for a plugin"),
        ("breaker", "../x", "is no name for a plugin"),
        ("breaker", "a" * 41, "is no name for a plugin"),
        ("breaker", "fairlead-acme", "begins with fairlead"),
        ("breaker", "true", "would name its class True"),
        ("breaker", "trip", "would name its class Trip"),
        ("breaker", "bench", "would name its class Bench"),
        ("breaker", "value-error", "would name its class ValueError"),
        ("breaker", "drawdown", "a plugin named 'drawdown' is installed already"),
        ("broker", "paper", "a plugin named 'paper' is installed already"),
        ("stream", "streams", "fairlead_streams is installed already"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(fairlead, tmp_path: Path, kind, name, why) -> None:
    """Not valid, taken, or hiding something: nothing is written."""
    made = fairlead("plugins", "new", kind, "--into", tmp_path, "--", name)
    assert made.exit_code == 2
    assert why in made.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(fairlead, tmp_path: Path) -> None:
    """Whatever is in it stays as it was."""
    folder = tmp_path / "fairlead-acme"
    folder.mkdir()
    (folder / "mine").write_text("mine", encoding="utf-8")
    made = fairlead("plugins", "new", "breaker", "acme", "--into", tmp_path)
    assert made.exit_code == 2
    assert "exists already" in made.stderr
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_made_is_refused(fairlead, tmp_path: Path) -> None:
    """In one sentence, with nothing half done."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    made = fairlead("plugins", "new", "breaker", "acme", "--into", tmp_path / "file")
    assert made.exit_code == 2
    assert "cannot be written" in made.stderr


# --- init ---------------------------------------------------------------------------------------------------

FILES = {".env.example", ".gitignore", "README.md", "app.py", "fairlead.toml", "pytest.ini", "test_app.py"}


@pytest.mark.full
def test_a_new_project_runs_and_passes_its_test(process: Callable[..., object], tmp_path: Path) -> None:
    """Made, checked, run for a moment on paper, and tested, with no network: another project around it is not asked."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = ["--import-mode=importlib"]\ntestpaths = ["elsewhere"]\n',
        encoding="utf-8",
    )
    (tmp_path / "conftest.py").write_text("raise RuntimeError('not of this project')\n", encoding="utf-8")
    assert done(tmp_path, "fairlead", "init", "my-bot").returncode == 0
    bot = tmp_path / "my-bot"
    assert {path.name for path in bot.iterdir()} == FILES
    checked = done(bot, "fairlead", "check", "app.py", "--json")
    assert json.loads(checked.stdout)["ok"] is True
    ran = done(bot, "fairlead", "run", "app.py", "--until", "2s", "--no-view")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (bot / "runs" / "my-bot" / "journal").is_dir()
    tested = done(bot, "pytest", "-q", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout


@pytest.mark.full
@pytest.mark.parametrize("profile", [(), ("--profile", "fast")])
def test_the_file_of_a_new_project_is_the_same_engine(tmp_path: Path, profile: tuple[str, ...]) -> None:
    """fairlead.toml composes what app.py does, and runs, each of its profiles too."""
    done(tmp_path, "fairlead", "init", "my-bot")
    bot = tmp_path / "my-bot"
    wired = [
        [(row["port"], row["plugin"], row["distribution"]) for row in json.loads(said.stdout)["wiring"]]
        for said in (
            done(bot, "fairlead", "check", "app.py", "--json"),
            done(bot, "fairlead", "check", "fairlead.toml", *profile, "--json"),
        )
    ]
    assert wired[0] == wired[1]
    ran = done(bot, "fairlead", "run", "fairlead.toml", *profile, "--until", "2s", "--no-view")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_project_is_written_over_nothing(fairlead, tmp_path: Path) -> None:
    """A file that is there refuses the whole of it."""
    (tmp_path / "app.py").write_text("mine", encoding="utf-8")
    made = fairlead("init", tmp_path)
    assert made.exit_code == 2
    assert "has app.py already" in made.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["app.py"]
    assert (tmp_path / "app.py").read_text(encoding="utf-8") == "mine"


def test_a_repository_that_is_there_keeps_its_readme(fairlead, tmp_path: Path) -> None:
    """README, .gitignore and pytest.ini of a repository stay, and what they should have is said."""
    for name in ("README.md", ".gitignore", "pytest.ini", "LICENSE"):
        (tmp_path / name).write_text("mine", encoding="utf-8")
    made = fairlead("init", tmp_path)
    assert made.exit_code == 0, made.output
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"LICENSE"}
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8") == "mine"
    assert ".gitignore: see that it has runs/ and .env" in made.stdout
    assert "pytest.ini: see that it has pythonpath = ." in made.stdout


def test_a_template_that_is_not_there_is_refused(fairlead, tmp_path: Path) -> None:
    """With those there are."""
    made = fairlead("init", tmp_path / "bot", "--template", "rocket")
    assert made.exit_code == 2
    assert "'rocket' is no template: there are paper" in made.stderr
    assert not (tmp_path / "bot").exists()


def test_a_file_is_no_folder(fairlead, tmp_path: Path) -> None:
    """A project cannot be written into a file."""
    (tmp_path / "bot").write_text("", encoding="utf-8")
    assert "is a file" in fairlead("init", tmp_path / "bot").stderr
