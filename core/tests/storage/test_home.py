"""The account's home."""

import contextlib
import os
from pathlib import Path

import attrs
import pytest

from fairlead._engine.ownership import Ownership, home_of
from fairlead._storage import files
from fairlead._storage.home import AccountHome, fairlead_home
from fairlead._storage.run import RunFolder
from fairlead.errors import ConfigurationError, LeaseLost
from fairlead.ports import Lease
from fairlead.testing import FakeBroker

KEY = "binance.live.ab12"


def test_home_follows_the_environment():
    """FAIRLEAD_HOME wins, then XDG_STATE_HOME, then the home folder."""
    assert fairlead_home({"FAIRLEAD_HOME": "/f", "XDG_STATE_HOME": "/x"}) == Path("/f")
    assert fairlead_home({"XDG_STATE_HOME": "/x"}) == Path("/x/fairlead")
    assert fairlead_home({}) == Path.home() / ".local/state/fairlead"


def test_epochs_rise(tmp_path):
    """Each acquisition begins a higher epoch, also of another object."""
    epochs = []
    for _ in range(3):
        home = AccountHome(tmp_path, KEY, run=tmp_path / "run")
        assert isinstance(home, Lease)
        for _ in range(2):
            epoch, deadline = home.acquire()
            assert deadline is None
            assert home.epoch == epoch
            epochs.append(epoch)
            home.release()
            home.release()
    assert epochs == [1, 2, 3, 4, 5, 6]
    assert sorted(path.name for path in home.folder.iterdir()) == ["epoch", "lock", "owner"]


def test_epoch_is_synced_before_it_is_told(tmp_path, monkeypatch):
    """The epoch's bytes and the names above them are synced before acquire returns."""
    synced = []
    real = os.fsync

    def fsync(file):
        synced.append(os.readlink(f"/proc/self/fd/{file}"))
        real(file)

    monkeypatch.setattr(files.os, "fsync", fsync)
    home = AccountHome(tmp_path / "home", KEY, run=tmp_path / "run")
    home.acquire()
    home.release()
    parents = [tmp_path, tmp_path / "home", tmp_path / "home" / "accounts"]
    assert synced[:5] == [*map(str, parents), str(home.folder / "epoch.new"), str(home.folder)]


def test_second_engine_is_refused(tmp_path):
    """While an engine has the account another is told which process that is, and the epoch stays."""
    home, other = (AccountHome(tmp_path, KEY, run=tmp_path / "run") for _ in range(2))
    home.acquire()
    with pytest.raises(LeaseLost, match=rf"being traded by process {os.getpid()}: stop that engine"):
        other.acquire()
    assert home.epoch == 1
    home.release()
    assert other.acquire() == (2, None)
    other.release()


def test_another_run_is_refused(tmp_path):
    """An account stays with the run whose journal holds it; the lock is let go of, the epoch untouched."""
    home = AccountHome(tmp_path, KEY, run=tmp_path / "one")
    home.acquire()
    home.release()
    other = AccountHome(tmp_path, KEY, run=tmp_path / "two")
    with pytest.raises(
        ConfigurationError, match=r"belongs to the run .*one, .*go on in that run, with run='.*one'"
    ):
        other.acquire()
    assert home.owner == tmp_path / "one"
    assert home.acquire() == (2, None)
    home.release()


@pytest.mark.parametrize("content", [None, "", "seven"])
def test_lost_epoch_is_never_begun_again(tmp_path, content):
    """Without its epoch an account that was traded before is refused: ids would come twice."""
    home = AccountHome(tmp_path, KEY, run=tmp_path / "run")
    home.acquire()
    home.release()
    path = home.folder / "epoch"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(ConfigurationError, match="a number above every epoch"):
        home.acquire()
    path.write_text("41\n")
    assert home.acquire() == (42, None)
    home.release()


@pytest.mark.parametrize("key", ["", "..", "a/b", ".hidden", "a b"])
def test_key_names_a_folder(tmp_path, key):
    """A key that could leave the home is refused."""
    with pytest.raises(ConfigurationError, match="account key"):
        AccountHome(tmp_path, key, run=tmp_path)


def test_an_account_that_was_started_too_often_is_refused(tmp_path):
    """Its epoch has four hex digits in every order's id; the last one still begins, and the refusal begins nothing."""
    home = AccountHome(tmp_path, KEY, run=tmp_path / "run")
    home.acquire()
    home.release()
    (home.folder / "epoch").write_text("65534\n")
    assert home.acquire()[0] == 65_535
    home.release()
    with pytest.raises(ConfigurationError, match="started 65,535 times"):
        home.acquire()
    assert home.epoch == 65_535
    assert AccountHome(tmp_path, "other.live.x", run=tmp_path / "run").acquire()[0] == 1


# --- whose it is ------------------------------------------------------------------------------------------------


def broker_of(environment, fingerprint, name="mine"):
    broker = FakeBroker(name=name)
    broker.profile = attrs.evolve(broker.profile, environment=environment)
    broker.fingerprint = fingerprint
    return broker


@pytest.mark.parametrize("environment", ["live", "testnet"])
def test_off_paper_a_broker_has_to_say_which_account_it_trades(tmp_path, monkeypatch, environment):
    """Its name is no key: one account under two names would be traded by two engines at once."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    broker = broker_of(environment, "")
    wanted = (
        f"the broker mine does not say which {environment} account it trades.*give FakeBroker a fingerprint"
    )
    with pytest.raises(ConfigurationError, match=wanted):
        home_of("mine", broker, RunFolder(tmp_path / "run"))
    del broker.fingerprint
    with pytest.raises(ConfigurationError, match=wanted):
        home_of("mine", broker, RunFolder(tmp_path / "run"))
    broker.profile = attrs.evolve(broker.profile, environment="paper")
    home = home_of("mine", broker, RunFolder(tmp_path / "run"))
    assert home.key == f"{broker.profile.venue}.paper.mine"


def test_one_account_under_two_names_is_one_account(tmp_path, monkeypatch):
    """The second engine is refused, whatever it calls the account; another account is free."""
    monkeypatch.setattr("fairlead._engine.ownership.fairlead_home", lambda: tmp_path / "home")
    with contextlib.ExitStack() as stack:
        Ownership({"a": broker_of("live", "ab12", "a")}, RunFolder(tmp_path / "one"), None, stack)
        other = RunFolder(tmp_path / "two")
        with pytest.raises(LeaseLost):
            Ownership({"b": broker_of("live", "ab12", "b")}, other, None, stack)
        Ownership({"b": broker_of("live", "cd34", "b")}, other, None, stack)
