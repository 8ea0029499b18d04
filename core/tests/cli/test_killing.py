"""What `fairlead kill --standalone` says no to, before anything is done."""

import pytest


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--when-silent", "5s"), "are for --standalone"),
        (("--standalone", "--yes"), "needs the file that composes the engine"),
        (("SCRIPT", "--standalone"), "asks before it acts, and here is no terminal: add --yes"),
        (("SCRIPT", "--standalone", "--yes", "--when-silent", "100ms"), "write 1s or more"),
        (("SCRIPT", "--standalone", "--yes", "--account", "other"), "there is no account 'other' here"),
        (("SCRIPT", "--standalone", "--yes"), "account paper is simulated inside the engine's own process"),
        (("nowhere.py", "--standalone", "--yes"), "nowhere.py"),
    ],
)
def test_what_cannot_be_done_is_said(fairlead, script, words, says):
    """In one sentence, with the code for a wrong request; nothing is written anywhere."""
    done = fairlead("kill", *[str(script) if word == "SCRIPT" else word for word in words])
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())
    assert not (script.parent / "run").exists()
