"""The operator's runbook is true: its commands run in order, and answer as it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "operators-runbook.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 60


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output that follows it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    assert not parts[0].strip(), "a block begins with a command"
    return [tuple(part.split("\n", 1)) for part in parts[1:]]  # type: ignore[misc]


def fits(said: str, wanted: str) -> bool:
    """Whether an output is the one of the page: `...` stands for anything, and many spaces for one."""
    squeezed = [re.sub(r"[ \t]+", " ", text).strip() for text in (said, wanted)]
    pattern = ".*".join(re.escape(part) for part in squeezed[1].split("..."))
    return re.fullmatch(pattern, squeezed[0], re.DOTALL) is not None


@pytest.mark.full
@pytest.mark.timeout(180)
def test_every_command_of_the_runbook_does_what_it_says(tmp_path: Path) -> None:
    """In one folder, one after the other; `echo $?` tells the code of the one before."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "FAIRLEAD_HOME": str(tmp_path / "home"),
        "COLUMNS": "200",
    }
    code, ran = 0, 0
    for language, name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language == "python":
            (tmp_path / name).write_text(text, encoding="utf-8")
            continue
        for command, wanted in commands(text):
            done = subprocess.run(
                ["bash", "-c", f"(exit {code}); {command}"],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=SECONDS,
            )
            code, ran = done.returncode, ran + 1
            assert fits(done.stdout, wanted), f"$ {command}\n{done.stdout}\nbut the page has\n{wanted}"
    assert ran > 20


def test_the_comparison_can_fail() -> None:
    """It is not so lenient that it says yes to everything."""
    assert fits("a  b 12 c\n", "a b ... c\n")
    assert not fits("a b 12 d\n", "a b ... c\n")
    assert not fits("something", "")
