"""Secrets: found in each store in order, shown nowhere."""

import copy
import io
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
from types import SimpleNamespace

import msgspec
import pytest

from fairlead import ConfigurationError, LiveTradingEngine, Secret
from fairlead._secrets.scrub import scrub
from fairlead._storage.run import RunFolder
from fairlead.testing import Bench, FakeBroker, FakeStream, Puppet, reject

TEXT = "sesame/open+4711=="


@pytest.fixture
def stores(tmp_path, monkeypatch):
    """Put ACME_KEY into a store: `stores("environment", "text")`."""
    credentials, kept = tmp_path / "credentials", {}
    credentials.mkdir()

    def put(store, text):
        if store == "credentials directory":
            monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
            (credentials / "ACME_KEY").write_text(f"{text}\n")
        elif store == "environment":
            monkeypatch.setenv("ACME_KEY", text)
        elif store == ".env":
            path = tmp_path / ".env"
            path.write_text(f"# keys\nexport ACME_KEY='{text}'\nOTHER=${{HOME}}\n")
            path.chmod(0o600)
        else:
            kept["fairlead", "ACME_KEY"] = text
            fake = SimpleNamespace(get_password=lambda *name: kept.get(name), __spec__=SimpleNamespace())
            monkeypatch.setitem(sys.modules, "keyring", fake)

    return put


STORES = ["credentials directory", "environment", ".env", "keyring"]


@pytest.mark.parametrize("store", STORES)
def test_a_secret_is_found_in_each_store(store, stores, tmp_path):
    """Its text comes back as it was put there, and it says where it was."""
    stores(store, TEXT)
    secret = Secret("ACME_KEY", folder=tmp_path)
    assert (secret.reveal(), secret.store, secret.name) == (TEXT, store, "ACME_KEY")


@pytest.mark.parametrize("first", range(len(STORES)))
def test_the_first_store_that_has_it_wins(first, stores, tmp_path):
    """systemd's credentials, the environment, .env, the keyring: in this order."""
    for number in range(first, len(STORES)):
        stores(STORES[number], f"text-of-{number}")
    assert Secret("ACME_KEY", folder=tmp_path).reveal() == f"text-of-{first}"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620])
def test_an_env_file_that_others_can_open_is_refused(mode, stores, tmp_path):
    """The remedy is the command that closes it."""
    stores(".env", TEXT)
    (tmp_path / ".env").chmod(mode)
    with pytest.raises(ConfigurationError, match=f"open to other users.*mode 0{mode:o}.*chmod 600") as caught:
        Secret("ACME_KEY", folder=tmp_path).reveal()
    assert TEXT not in str(caught.value)


def test_an_env_file_is_not_opened_for_what_is_found_before(stores, tmp_path):
    """A file that is open to others is no matter where the environment has the secret."""
    stores(".env", TEXT)
    (tmp_path / ".env").chmod(0o644)
    stores("environment", "from-outside")
    assert Secret("ACME_KEY", folder=tmp_path).reveal() == "from-outside"


@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.mkfifo(path, 0o600)], ids=["folder", "pipe"])
def test_what_is_no_file_is_refused_and_never_waited_for(make, tmp_path):
    """A pipe would hang whoever opens it."""
    make(tmp_path / ".env")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Secret("ACME_KEY", folder=tmp_path).reveal()


@pytest.mark.parametrize(("raw", "why"), [(b"\xff\xfe", "not UTF-8"), (b"x" * 70_000, "larger than")])
def test_a_credential_that_is_no_text_is_refused(raw, why, stores, tmp_path):
    """The file is named, what is in it is not."""
    stores("credentials directory", TEXT)
    (tmp_path / "credentials" / "ACME_KEY").write_bytes(raw)
    with pytest.raises(ConfigurationError, match=f"credentials/ACME_KEY cannot be read .it is {why}"):
        Secret("ACME_KEY", folder=tmp_path).reveal()


def test_a_keyring_that_fails_is_named(monkeypatch, tmp_path):
    """A machine without a desktop has none that opens."""

    def fail(*_):
        raise RuntimeError("no backend")

    monkeypatch.setitem(
        sys.modules, "keyring", SimpleNamespace(get_password=fail, __spec__=SimpleNamespace())
    )
    with pytest.raises(ConfigurationError, match=r"keyring cannot be asked.*RuntimeError"):
        Secret("ACME_KEY", folder=tmp_path).reveal()


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", ".hidden", "x" * 200, None, 5])
def test_a_name_that_could_be_a_path_or_a_text_is_refused(name):
    """And it is not repeated: it may be the secret itself."""
    with pytest.raises(ConfigurationError, match="a secret's name is made of letters") as caught:
        Secret(name)
    assert str(name) not in str(caught.value) or name in ("", None, 5)


def test_a_script_finds_the_env_file_beside_it(tmp_path):
    """Wherever it is started from."""
    (tmp_path / ".env").write_text("ACME_KEY=beside-the-script")
    (tmp_path / ".env").chmod(0o600)
    (tmp_path / "app.py").write_text("from fairlead import Secret\nprint(len(Secret('ACME_KEY').reveal()))")
    done = subprocess.run(
        [sys.executable, tmp_path / "app.py"], cwd="/", capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout.strip() == str(len("beside-the-script"))


# --- it shows nowhere -------------------------------------------------------------------------------------------


def test_a_secret_never_prints():
    """Neither by itself, nor in what holds it."""
    secret = Secret.of(TEXT)
    for shown in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>3}",
        f"{secret}",
        f"{[secret]}",
        f"{ {'a': secret} }",
    ):
        assert "sesame" not in shown
        assert "***" in shown
    assert not hasattr(secret, "__dict__")


def test_a_secret_is_written_nowhere():
    """Not by pickle, not as JSON or msgpack."""
    secret = Secret.of(TEXT)
    for write in (pickle.dumps, json.dumps, msgspec.json.encode, msgspec.msgpack.encode):
        with pytest.raises(TypeError):
            write(secret)
    assert copy.deepcopy(secret) is secret
    assert copy.copy(secret) is secret


def test_secrets_are_equal_by_their_texts(monkeypatch):
    """To each other, and never to a text."""
    monkeypatch.setenv("A_KEY", TEXT)
    assert Secret("A_KEY") == Secret.of(TEXT)
    assert Secret("A_KEY") != Secret.of("another")
    assert Secret.of(TEXT) != TEXT
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret.of(TEXT))


def logged(act) -> str:
    """What a plain handler of the root logger writes of it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        act()
    finally:
        root.removeHandler(handler)
    return stream.getvalue()


def fail():
    try:
        raise ValueError(f"cannot sign with {TEXT}")
    except ValueError as error:
        raise RuntimeError(f"GET /order?key={TEXT}") from error


@pytest.mark.parametrize("name", ["fairlead.engine", "fairlead", "acme.sdk"])
def test_a_log_has_stars_where_a_secret_was(name):
    """In messages, in arguments, in exceptions and what caused them, in stacks; whichever logger it is."""
    log = logging.getLogger(name)
    Secret.of(TEXT)

    def act():
        log.warning(f"plain {TEXT}")  # noqa: G004 - that is what others do
        log.warning("argument %s, %d", TEXT, 5)
        log.warning("encoded %s", "sesame%2Fopen%2B4711%3D%3D")
        try:
            fail()
        except RuntimeError:
            log.exception("failed with %r", TEXT)
        log.warning("stack", stack_info=True)

    said = logged(act)
    assert "sesame" not in said
    assert "plain ***" in said
    assert "argument ***, 5" in said
    assert "encoded ***" in said
    assert "RuntimeError: GET /order?key=***" in said
    assert "ValueError: cannot sign with ***" in said
    assert "Traceback" in said


def test_a_log_without_secrets_is_left_as_it_is():
    """An exception that holds none keeps its traceback for other formatters."""
    Secret.of(TEXT)
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    log = logging.getLogger("fairlead.engine")
    log.addHandler(handler)
    try:
        try:
            raise ValueError("nothing secret")
        except ValueError:
            log.exception("it %s", "failed")
    finally:
        log.removeHandler(handler)
    assert records[0].args == ("failed",)
    assert records[0].exc_info[0] is ValueError


def test_lines_of_a_key_are_secret_too():
    """A key of several lines shows up line by line, or with its ends of line written out."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----"
    Secret.of(key)
    assert "MIIE" not in scrub(f"line MIIEvQIBADANBgkqhkiG9w0B of {key!r} and {json.dumps(key)}")


def test_one_secret_inside_another_leaves_nothing_over():
    """The longer is taken out first."""
    Secret.of("abcd")
    Secret.of("abcd-efgh-ijkl")
    assert scrub("x abcd-efgh-ijkl y abcd z") == "x *** y *** z"


@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_traceback_of_a_script_has_stars(where, tmp_path):
    """A script that dies prints what happened, without the key that was part of it."""
    call = (
        "fail()"
        if where == "main"
        else "import threading; t = threading.Thread(target=fail); t.start(); t.join()"
    )
    (tmp_path / "app.py").write_text(
        "import os\nfrom fairlead import Secret\n"
        "def fail():\n    raise RuntimeError('key=' + Secret('ACME_KEY').reveal())\n" + call
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "app.py"],
        env={**os.environ, "ACME_KEY": TEXT},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert "RuntimeError: key=***" in done.stderr
    assert "line 4, in fail" in done.stderr
    assert "sesame" not in done.stderr


def test_errors_of_the_command_line_have_stars(write, fairlead, monkeypatch):
    """A plugin that repeats its key in a refusal does not print it."""
    monkeypatch.setenv("ACME_KEY", TEXT)
    file = write('[broker.venue]\nuse = "telling"\nkey = "secret:ACME_KEY"')
    site = file.parent / "site"
    points = site / "acme_venue-1.2.3.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "telling = acme_telling:Telling\n")
    (site / "acme_telling.py").write_text(
        "from fairlead import ConfigurationError, Secret\n"
        "class Telling:\n"
        "    def __init__(self, key: Secret):\n"
        "        raise ConfigurationError('key: ' + key.reveal() + ' is no key')\n"
    )
    done = fairlead("check", file)
    assert done.exit_code == 2
    assert "broker.venue.key" in done.stderr
    assert "key: *** is no key" in done.stderr
    assert "sesame" not in done.output


# --- what is kept -----------------------------------------------------------------------------------------------


class Keyholder(Puppet):
    """A strategy that is given something."""

    def __init__(self, key):
        super().__init__()


@pytest.mark.parametrize("key", [Secret.of(TEXT), [Secret.of(TEXT)], {"a": Secret.of(TEXT)}])
def test_a_strategy_is_not_given_a_secret(key):
    """Its arguments are kept in the journal; the remedy is another place for the key."""
    with pytest.raises(
        ConfigurationError, match=r"Keyholder was made with a Secret.*Secret\('NAME'\) itself"
    ):
        LiveTradingEngine(Keyholder(key), [FakeBroker(), FakeStream()], breakers="none")


def test_a_revealed_secret_is_not_kept_either():
    """A text that is known to be secret does not get into the journal as an argument."""
    from fairlead._engine.parts import spec

    text = Secret.of(TEXT).reveal()
    with pytest.raises(ConfigurationError, match="the text of a secret"):
        spec(Keyholder(text))


def test_facts_have_stars_where_a_venue_or_a_plugin_says_a_secret():
    """What a strategy notes, an error says or a venue answers is in the journal without it; ids are as they were."""
    Secret.of(TEXT)
    broker = FakeBroker()
    broker.answers.append(reject(reason=f"no such key {TEXT}"))
    bench = Bench(broker=broker)
    bench.quote(99.9, 100.1)
    order = bench.do(lambda strategy: strategy.buy(1))
    bench.do(lambda strategy: strategy.note(f"it said {TEXT}"))
    with pytest.raises(AssertionError, match=r"key=\*\*\*"):
        bench.do(fail_in)
    said = repr(bench.journal.facts)
    assert "sesame" not in said
    for part in ("no such key ***", "it said ***", "RuntimeError: GET /order?key=***"):
        assert part in said
    assert order.client_order_id in said


def test_facts_have_stars_whoever_says_a_secret():
    """Who asks, a request's id, its words, a venue's code, a tag, a failed answer, a breaker's reason."""
    Secret.of(TEXT)
    broker = FakeBroker()
    breaker = SimpleNamespace(
        name="talks",
        wants=(),
        check=lambda intent, view: TEXT if intent.tag == "denied" else None,
        watch=None,
    )
    bench = Bench(broker=broker, breakers=[breaker])
    bench.quote(99.9, 100.1)
    told = []
    broker.answers.append(reject(code=f"no {TEXT}"))
    bench.do(lambda strategy: strategy.buy(1, tag=f"for {TEXT}"))
    bench.do(lambda strategy: strategy.buy(1, tag="denied"))
    bench.do(lambda strategy: strategy.ask(len, then=told.append))
    bench.answer(error=f"KeyError: {TEXT}")
    wanted = {"instrument": bench.instrument, "side": "buy", "quantity": "1", "tag": f"as {TEXT}"}
    command = bench.kernel.command
    first = command("submit", f"ann {TEXT}", f"since {TEXT}", f"r {TEXT}", **wanted)
    assert command("submit", "ann", "again", f"r {TEXT}", **wanted) == {**first, "repeated": True}
    with pytest.raises(
        AssertionError, match=r"the venue option 'key' of an order for .* is the text of a secret"
    ):
        bench.do(lambda strategy: strategy.buy(1, venue_options={"key": TEXT}))
    said = repr(bench.journal.facts)
    assert "sesame" not in said
    for part in (
        "'no ***'",
        "for ***",
        "'***'",
        "KeyError: ***",
        "ann ***",
        "since ***",
        "'r ***'",
        "as ***",
    ):
        assert part in said
    bench.check()


def test_a_run_is_written_down_without_the_secrets_of_its_command_line(tmp_path):
    """run.json has the arguments as they were, but for them."""
    Secret.of(TEXT)
    RunFolder(tmp_path).write_info(
        script="x", versions={}, created_ns=1, argv=["x", f"--set=key={TEXT}", "-v"]
    )
    assert RunFolder(tmp_path).read_info()["argv"] == ["x", "--set=key=***", "-v"]


def fail_in(strategy):
    """A handler that fails."""
    fail()


def test_threads_hide_secrets_by_the_hook(capsys):
    """What a thread dies of is printed without its secrets; anything else goes the usual way."""
    Secret.of(TEXT)
    try:
        fail()
    except RuntimeError as error:
        args = threading.ExceptHookArgs(
            (RuntimeError, error, error.__traceback__, threading.current_thread())
        )
        threading.excepthook(args)
    said = capsys.readouterr().err
    assert "Exception in thread MainThread" in said
    assert "sesame" not in said


LEAKY = """
import logging

from fairlead import Secret, Strategy


def look_up(text):
    raise LookupError("nothing at " + text)


class Leaky(Strategy):
    def on_start(self):
        self.watch("BTC/USDT", bars="1m")

    async def on_bar(self, bar):
        text = Secret("ACME_KEY").reveal()
        self.note("told " + text)
        self.buy(1, tag="tagged " + text)
        try:
            await self.ask(look_up, text)
        except Exception as error:
            self.note(f"heard {error}")
        logging.getLogger("acme.sdk").warning("sending %s", text)
        raise RuntimeError("refused " + text)
"""


@pytest.mark.full
def test_a_run_leaves_no_secret_in_any_file(folder):
    """A strategy that tells its key everywhere: journal, log, tape, reports and terminal have stars."""
    (folder / "mine_leaky.py").write_text(LEAKY)
    (folder / "fairlead.toml").write_text(
        '[engine]\nrun = "out"\nbreakers = "none"\n[strategy.leaky]\nuse = "mine_leaky.py:Leaky"\n[broker.paper]\n'
        '[stream.synthetic]\nspeed = "max"\nduration = "5m"\n'
    )
    (folder / ".env").write_text(f"ACME_KEY={TEXT}\n")
    (folder / ".env").chmod(0o600)

    def call(*arguments):
        command = [sys.executable, "-m", "fairlead", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=40)

    done = call("run", "fairlead.toml")
    shown = call("report", "out")
    assert done.returncode == 1
    assert "leaky is halted: RuntimeError: refused ***" in done.stderr
    assert shown.returncode == 0
    files = [path for path in (folder / "out").rglob("*") if path.is_file()]
    everything = b"".join(path.read_bytes() for path in files)
    assert b"sending ***" not in everything  # an SDK's log is not the engine's
    assert b"refused ***" in everything
    for part in (b"told ***", b"tagged ***", b"LookupError: nothing at ***", b"heard LookupError"):
        assert part in everything
    assert b"sesame" not in everything
    assert "sesame" not in done.stdout + done.stderr + shown.stdout
