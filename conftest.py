"""What holds for every test of every distribution: no socket to anywhere but loopback, no engine of this user."""

import os
import runpy
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

GUARD = Path(__file__).parent / "tests" / "loopback"


def pytest_configure(config: pytest.Config) -> None:
    runpy.run_path(str(GUARD / "sitecustomize.py"))
    handle, name = tempfile.mkstemp(prefix="fairlead-outside-")
    os.close(handle)
    os.environ["FAIRLEAD_OUTSIDE"] = name
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(GUARD), os.environ.get("PYTHONPATH")]))
    config.add_cleanup(lambda: Path(name).unlink(missing_ok=True))
    home = tempfile.mkdtemp(prefix="fairlead-home-")
    os.environ["FAIRLEAD_HOME"], os.environ["XDG_RUNTIME_DIR"] = f"{home}/home", f"{home}/run"
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))


def _loopback_only() -> Generator[None, object, object]:
    """Fail the phase of a test that reached out, also when the code under test swallowed the error."""
    try:
        return (yield)
    finally:
        report = Path(os.environ["FAIRLEAD_OUTSIDE"])
        if report.stat().st_size:
            hosts = ", ".join(dict.fromkeys(report.read_text(encoding="utf-8").split()))
            report.write_text("", encoding="utf-8")
            pytest.fail(f"tests use loopback only, and this one tried {hosts}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    return (yield from _loopback_only())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    return (yield from _loopback_only())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    return (yield from _loopback_only())
