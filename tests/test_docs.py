"""The documentation is true: its snippets run and print what it says, its links lead somewhere, its verbs exist."""

import contextlib
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest

from fairlead import LiveTradingEngine, Strategy

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "core" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted([*ROOT.glob("plugins/*/README.md"), *ROOT.glob("brokers/*/README.md")]),
    *sorted(ROOT.glob("examples/plugins/*/README.md")),
]
SOURCES = [str(folder) for folder in ROOT.glob("examples/plugins/*/src")]
"""What is not installed here, and stands in a page all the same."""

TUTORIAL = ROOT / "docs" / "tutorial.md"
"""A page whose blocks are one story: they are run in order, in one folder."""

SESSIONS = {
    "README.md": 1,  # its first block, demo and test, has tests of its own
    "docs/tutorial.md": 0,
    "docs/market-data.md": 0,
    "docs/configuration.md": 0,
    "docs/plugin-authors-guide.md": 0,
}
"""Pages whose commands are run in order, and which block is the first."""

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 20
TUTORIAL_SECONDS = 120


class Snippet(NamedTuple):
    """A block of a page: the block of text that follows it at once, and the file that it is saved as, where said."""

    page: Path
    line: int
    language: str
    text: str
    says: str | None
    file: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def snippets(page: Path) -> list[Snippet]:
    """The fenced blocks of a page. A `text` block after another one, one line between at most, is its output.

    A block is saved as the file that the line before it ends with: "... as `FILE`:".
    """
    whole = page.read_text(encoding="utf-8")
    blocks = list(FENCE.finditer(whole))
    found = []
    for block, after in zip(blocks, [*blocks[1:], None], strict=False):
        between = whole[block.end() : after.start()].strip() if after is not None else ""
        follows = after is not None and after[1] == "text" and between.count("\n") == 0 and "#" not in between
        line = whole.count("\n", 0, block.start()) + 1
        named = re.search(r"`([\w./-]+\.\w+)`:\n\n\Z", whole[: block.start()])
        says = after[2] if follows and after else None
        found.append(Snippet(page, line, block[1], block[2], says, named[1] if named else ""))
    return found


ALL = [snippet for page in PAGES for snippet in snippets(page)]
PYTHON = [snippet for snippet in ALL if snippet.language == "python"]
CONSOLE = [snippet for snippet in ALL if snippet.language == "console"]


def run(snippet: Snippet, folder: Path) -> str:
    """Run a snippet as the script of a process of its own, in an empty folder; what it printed."""
    script = folder / "snippet.py"
    script.write_text(snippet.text, encoding="utf-8")
    path = os.pathsep.join([*SOURCES, os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ,
        "HOME": str(folder),
        "FAIRLEAD_HOME": str(folder / "home"),
        "PYTHONPATH": path,
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{snippet}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.full
@pytest.mark.parametrize("snippet", [s for s in PYTHON if s.page != TUTORIAL], ids=str)
def test_every_python_snippet_runs_and_prints_what_the_page_says(snippet, tmp_path):
    """A reader who copies a snippet into a file gets what stands below it."""
    printed = run(snippet, tmp_path)
    if snippet.says is not None:
        assert printed == snippet.says


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_every_python_snippet_is_python(snippet):
    """At once, also where snippets are not run."""
    compile(snippet.text, str(snippet), "exec")


def test_the_script_of_the_readme_is_short():
    """Twenty lines at most are enough for a strategy, its plugins and a run; blank lines are not counted."""
    first = next(snippet for snippet in PYTHON if snippet.page.name == "README.md")
    assert len([line for line in first.text.splitlines() if line.strip()]) <= 20
    assert first.file == "dip.py"


def test_the_readme_is_one_screen_of_prose():
    """It says what this is, how to see it, and where to go."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    assert "./dev demo" in text
    assert "./dev test" in text
    assert "## Risk" in text


# --- the tutorial -------------------------------------------------------------------------------------------


def checkout(folder: Path) -> Path:
    """What a clone is after its first `./dev`: the same packages in an environment of its own, which may be changed."""
    clone = folder / "fairlead"
    clone.mkdir()
    shutil.copy2(ROOT / "dev", clone)
    shutil.copy2(ROOT / "requirements.lock", clone)
    shutil.copytree(
        ROOT / "examples", clone / "examples", ignore=shutil.ignore_patterns("runs", "__pycache__")
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=clone, check=True)
    [own] = (clone / ".venv" / "lib").glob("python*/site-packages")
    packages = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (own / "packages.pth").write_text(packages, encoding="utf-8")
    for program in ("fairlead", "pip", "pytest"):
        script = clone / ".venv" / "bin" / program
        script.write_text(f'#!/bin/sh\nexec "${{0%/*}}/python" -m {program} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    ready = '{ echo "$PWD " && cat requirements.lock; } | cksum >.venv/.stamp-lock; '
    ready += "cksum </dev/null >.venv/.stamp-members"
    subprocess.run(["sh", "-c", ready], cwd=clone, check=True)
    return clone


def as_typed(commands: str) -> str:
    """The commands of a block. After one in the background a reader takes a moment to go on, and so does this."""
    trades = 'fairlead status --json 2>/dev/null | grep -q \'"mark": *"\''
    moment = f"for _ in $(seq 100); do {trades} && break; sleep 0.2; done"
    return re.sub(r"&$", lambda _: f"&\n{moment}", commands, flags=re.MULTILINE)


def in_order(page: Path, folder: Path, first: int = 0) -> list[tuple[Snippet, str]]:
    """Run the blocks of a page, from the `first` on, as one session of a shell, files saved under way.

    Gives what each console block printed.
    """
    mark = "=== block"
    lines = ["set -e", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    blocks = [snippet for snippet in ALL if snippet.page == page][first:]
    for number, block in enumerate(blocks):
        if block.file:
            lines.append(f"printf %s {shlex.quote(block.text)} > {shlex.quote(block.file)}")
        elif block.language == "console":
            lines += [f"echo '{mark} {number}'", as_typed(block.text)]
    home = folder / "home"
    home.mkdir()
    # No network: pip neither looks for what is here already nor makes an environment to build in.
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_CACHE_DIR": "1"}
    lost = ("FAIRLEAD_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "PYTHON", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in lost}
    session = subprocess.Popen(
        ["bash", "-c", "\n".join(lines)],
        cwd=checkout(folder),
        env={**environment, **pip, "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, errors = session.communicate(timeout=TUTORIAL_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):  # what was left in the background
            os.killpg(session.pid, signal.SIGKILL)
    assert session.returncode == 0, f"{printed}\n{errors}"
    parts = re.split(rf"^{mark} (\d+)\n", printed, flags=re.MULTILINE)
    return [(blocks[int(number)], text) for number, text in zip(parts[1::2], parts[2::2], strict=True)]


def expected(text: str) -> str:
    """A pattern for what a page shows: `...` is any lines, and in a line anything; blanks at an end do not count."""
    pattern = ""
    for line in text.splitlines():
        inside = r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("..."))
        pattern += r"(?:[^\n]*\n)*?" if line == "..." else inside + r" *\n"
    return pattern


@pytest.mark.full
@pytest.mark.timeout(150)
@pytest.mark.parametrize(("page", "first"), SESSIONS.items(), ids=str)
def test_a_stranger_types_what_stands_there(page, first, tmp_path):
    """With an empty home, in order, and sees what stands below."""
    for block, printed in in_order(ROOT / page, tmp_path, first):
        if block.says is not None:
            assert re.fullmatch(expected(block.says), printed), (
                f"{block} says\n{block.says}\nand it is\n{printed}"
            )


def test_what_a_page_shows_is_compared_line_by_line():
    """Dots stand for lines, or for the middle of one; anything else has to be there."""
    shown = expected("one\n...\nthree: ... ms\n")
    assert re.fullmatch(shown, "one\ntwo\ntwo\nthree: 3 ms  \n")
    assert not re.fullmatch(shown, "one\nthree: 3 s\n")
    assert not re.fullmatch(shown, "one\nthree: 3 ms\nfour\n")


# --- verbs --------------------------------------------------------------------------------------------------


def words_of_dev() -> set[str]:
    """The words that ./dev itself knows."""
    listed = (ROOT / "dev").read_text(encoding="utf-8").split("<<'WORDS'\n")[1].split("\nWORDS")[0]
    return {line.split()[1] for line in listed.splitlines() if line.startswith("./dev ")}


def called() -> list[tuple[str, list[str]]]:
    """Every call of ./dev, and of fairlead without it, in a console block or in the middle of a sentence."""
    typed = re.compile(r"(?:^(?:\$ )?|\./dev +)((?<=dev ) *[a-z]|fairlead )([^`#|>&\n]*)", re.MULTILINE)
    spoken = re.compile(r"`(?:\./dev +([a-z][^`\n]*)|(fairlead [a-z][^`\n]*))`")
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = "\n".join(block[2] for block in FENCE.finditer(text) if block[1] == "console")
        calls = [match[1] + match[2] for match in typed.finditer(blocks)]
        calls += [match[1] or match[2] for match in spoken.finditer(FENCE.sub("", text))]
        found += [(page.name, call.split()) for call in calls]
    return found


def test_the_words_of_dev_exist():
    """Every `./dev WORD` of the documentation is one of its words, or a program of the environment."""
    own = words_of_dev()
    programs = {path.name for path in Path(sys.executable).parent.iterdir()}
    for page, words in called():
        assert words[0] in own | programs, f"{page}: ./dev {words[0]}"


@pytest.mark.full
def test_the_verbs_of_fairlead_exist():
    """Every `fairlead VERB` of the documentation is a verb of the command line."""
    verbs: dict[tuple[str, ...], str] = {}
    for page, words in called():
        if words[0] == "fairlead":
            named = [word for word in words[1:] if not word.startswith("-")]
            named = list(itertools.takewhile(lambda word: re.fullmatch(r"[a-z-]+", word), named))
            verbs.update({tuple(named[:count]): page for count in range(1, len(named) + 1)})
    assert len(verbs) > 30
    for verb, page in verbs.items():
        command = [sys.executable, "-m", "fairlead", *verb, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        assert done.returncode == 0, f"{page}: fairlead {' '.join(verb)}: {done.stderr}"


def test_the_methods_of_an_engine_and_of_a_strategy_exist():
    """Every `engine.NAME` and `self.NAME(...)` in the middle of a sentence is there to be called."""
    spoken = {"engine": LiveTradingEngine, "self": Strategy}
    for page in PAGES:
        for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text(encoding="utf-8"))):
            for owner, name in re.findall(r"\b(engine|self)\.(\w+)\(", code):
                assert hasattr(spoken[owner], name), f"{page.name}: {owner}.{name}"


# --- the whole ----------------------------------------------------------------------------------------------


def test_the_index_lists_every_page():
    """No page is found by chance only."""
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_no_page_is_a_dead_end(page):
    """From each page another one can be reached."""
    links = re.findall(r"\]\(([\w./-]+\.md)(?:#[\w-]+)?\)", page.read_text(encoding="utf-8"))
    assert {link for link in links if link != page.name}


def test_the_page_of_facts_is_what_the_code_says():
    """docs/facts.md is written by scripts/facts.py, and nobody forgot to run it."""
    command = [sys.executable, ROOT / "scripts" / "facts.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stderr


# --- links and style ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    """Files and headings that a page points to exist."""
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in slugs, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_are_plain(page):
    """No superlatives, no absolute paths of a machine, no line past 130 characters outside tables and links."""
    text = page.read_text(encoding="utf-8")
    for word in (
        "blazing",
        "seamless",
        "powerful",
        "cutting-edge",
        "state-of-the-art",
        "effortless",
        "simply",
        "world-class",
    ):
        assert word not in text.lower()
    assert not re.search(r"(?<![\w.])/(home|root|work|Users)/", text)
    for line in text.splitlines():
        assert len(line) <= 130 or line.startswith("|"), line
