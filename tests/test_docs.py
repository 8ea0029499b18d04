"""The documentation is true: its snippets run and print what it says, its links lead somewhere, its verbs exist."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

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

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 20


class Snippet(NamedTuple):
    """A block of a page, and the block of text that follows it at once, where there is one."""

    page: Path
    line: int
    language: str
    text: str
    says: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def snippets(page: Path) -> list[Snippet]:
    """The fenced blocks of a page. A `text` block after a `python` one, one line between at most, is its output."""
    whole = page.read_text(encoding="utf-8")
    blocks = list(FENCE.finditer(whole))
    found = []
    for block, after in zip(blocks, [*blocks[1:], None], strict=False):
        between = whole[block.end() : after.start()].strip() if after is not None else ""
        follows = after is not None and after[1] == "text" and between.count("\n") == 0 and "#" not in between
        line = whole.count("\n", 0, block.start()) + 1
        found.append(Snippet(page, line, block[1], block[2], after[2] if follows and after else None))
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
@pytest.mark.parametrize("snippet", PYTHON, ids=str)
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
    assert first.says is not None


def test_the_readme_is_one_screen_of_prose():
    """It says what this is, how to see it, and where to go."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    assert "./dev demo" in text
    assert "./dev test" in text
    assert "## Risk" in text


# --- verbs --------------------------------------------------------------------------------------------------


def words_of_dev() -> set[str]:
    """The words that ./dev itself knows."""
    listed = (ROOT / "dev").read_text(encoding="utf-8").split("<<'WORDS'\n")[1].split("\nWORDS")[0]
    return {line.split()[1] for line in listed.splitlines() if line.startswith("./dev ")}


def called() -> list[tuple[str, list[str]]]:
    """Every call of ./dev in a console block or in the middle of a sentence."""
    call = re.compile(r"\./dev +([a-z][^`#\n]*)")
    return [
        (page.name, match[1].split())
        for page in PAGES
        for match in call.finditer(page.read_text(encoding="utf-8"))
    ]


def test_the_words_of_dev_exist():
    """Every `./dev WORD` of the documentation is one of its words, or a program of the environment."""
    own = words_of_dev()
    programs = {path.name for path in Path(sys.executable).parent.iterdir()}
    for page, words in called():
        assert words[0] in own | programs, f"{page}: ./dev {words[0]}"


@pytest.mark.full
def test_the_verbs_of_fairlead_exist():
    """Every `fairlead VERB` of the documentation is a verb of the command line."""
    for page, words in called():
        if words[0] != "fairlead":
            continue
        verbs = [word for word in words[1:] if not word.startswith("-")]
        for count in range(1, len(verbs) + 1):
            if not re.fullmatch(r"[a-z-]+", verbs[count - 1]):
                break
            command = [sys.executable, "-m", "fairlead", *verbs[:count], "--help"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
            assert done.returncode == 0, f"{page}: fairlead {' '.join(verbs[:count])}: {done.stderr}"


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
