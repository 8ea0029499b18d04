"""Wrong configurations: each is refused with its path, the rule, a remedy and an exit code, and never a traceback."""

import os
from pathlib import Path
from typing import NamedTuple

import pytest


class Wrong(NamedTuple):
    """A file with one thing wrong; sections that it lacks are filled in, where it is `whole`."""

    text: str
    path: str
    rule: str
    remedy: str
    options: tuple[str, ...] = ()
    environment: dict[str, str] = {}  # noqa: RUF012 - nobody changes it
    code: int = 2
    whole: bool = True


ENGINE = "engine"
KEYED = '[broker.venue]\nuse = "keyed"\nkey = "secret:ACME_KEY"\n'
KEY = {"ACME_KEY": "sesame-open-4711"}

ROWS = {
    # what there is no place for
    "section": Wrong("[enginee]", "enginee (test.toml:1)", "no such section", "did you mean 'engine'?"),
    "later section": Wrong(
        "[shadow]", "shadow (test.toml:1)", "no such section", "there are engine, strategy"
    ),
    "section as a value": Wrong("engine = 5", "engine", "it is a value", "write it as a table, [engine]"),
    "section without a name": Wrong(
        '[broker]\nuse = "paper"', "broker.use", "has a name", "[broker.NAME] with use"
    ),
    "section of tables": Wrong(
        "[[broker]]", "broker", "it is a value", "write it as a table, [broker.NAME]", whole=False
    ),
    "key of engine": Wrong("[engine]\nbusy_pol = true", "engine.busy_pol", "no such key", "'busy_poll'"),
    "key of a plugin": Wrong(
        '[breaker.limits]\nmax_levrage = 2\nmax_order_value = "1 USDT"',
        "breaker.limits.max_levrage (test.toml:2)",
        "no such key",
        "did you mean 'max_leverage'?",
    ),
    "name as a key": Wrong(
        '[breaker.drawdown]\nlimit = "5%"\nname = "x"', "breaker.drawdown.name", "is its name", "rename"
    ),
    "plugin": Wrong("[broker.papr]", "broker.papr", "no plugin is named 'papr'", "did you mean 'paper'?"),
    "plugin by use": Wrong(
        '[broker.main]\nuse = "zzyzx"', "broker.main.use", "no plugin is named", "install it"
    ),
    "plugin of another section": Wrong(
        "[broker.synthetic]", "broker.synthetic", "is a stream and no broker", "[stream.NAME]"
    ),
    "use is a number": Wrong("[broker.main]\nuse = 5", "broker.main.use", "must be the name", "write a text"),
    "an object for a plugin": Wrong(
        "[broker.ready]", "broker.ready", "is an object", "script's plugins=[...]"
    ),
    # strategies
    "strategy without use": Wrong(
        "[strategy.one]", "strategy.one.use", "it is missing", "write use = 'strategies.py:Class'"
    ),
    "strategy's file": Wrong(
        '[strategy.one]\nuse = "none.py:A"', "strategy.one.use", "is no file", "give the Python file"
    ),
    "strategy's class": Wrong(
        '[strategy.one]\nuse = "mine.py:InAndOt"',
        "strategy.one.use",
        "has no strategy 'InAndOt'",
        "'InAndOut'?",
    ),
    "no strategy": Wrong(
        '[strategy.one]\nuse = "mine.py:helper"', "strategy.one.use", "is no strategy", "fairlead.Strategy"
    ),
    "strategy without a class": Wrong(
        '[strategy.one]\nuse = "mine.py"', "strategy.one.use", "names no class", "strategies.py:Cross"
    ),
    "strategy's module": Wrong(
        '[strategy.one]\nuse = "packed.away:A"',
        "strategy.one.use",
        "packed.away cannot be imported",
        "install it",
    ),
    "strategy's argument": Wrong(
        '[strategy.one]\nuse = "mine.py:InAndOut"\nsymbl = "A/B"',
        "strategy.one.symbl",
        "no such key",
        "'symbol'?",
    ),
    "strategy lacks an argument": Wrong(
        '[strategy.one]\nuse = "mine.py:Fussy"\nfast = 1',
        "strategy.one.slow",
        "it is missing",
        "write slow = ...",
    ),
    "strategy refuses": Wrong(
        '[strategy.one]\nuse = "mine.py:Fussy"\nfast = 2\nslow = 1',
        "strategy.one",
        "fast must be below slow",
        "change its arguments",
        code=5,
    ),
    "strategy's Decimal": Wrong(
        '[strategy.one]\nuse = "mine.py:Exact"\nquantity = "0.1"',
        "strategy.one.quantity",
        "JSON, which has no Decimal",
        "annotate it as text or a number",
    ),
    "strategy's date": Wrong(
        '[strategy.one]\nuse = "mine.py:Loose"\nday = 2024-01-31',
        "strategy.one.day",
        "JSON, which has no date",
        "annotate",
    ),
    "strategy's secret": Wrong(
        '[strategy.one]\nuse = "mine.py:Exact"\nkey = "secret:ACME_KEY"',
        "strategy.one.key",
        "kept in the journal, and a secret must not be",
        "give it to a broker",
        environment=KEY,
    ),
    "allocation": Wrong(
        '[strategy.one]\nuse = "mine.py:InAndOut"\nallocation = "half"',
        "strategy.one.allocation",
        "half",
        "write",
    ),
    "two without allocation": Wrong(
        '[strategy.one]\nuse = "mine.py:InAndOut"\nallocation = "50%"\n[strategy.two]\nuse = "mine.py:InAndOut"',
        "strategy.two.allocation (test.toml:4)",
        "several strategies share the account",
        'allocation = "50%"',
    ),
    "strategy's secret in a list": Wrong(
        '[strategy.one]\nuse = "mine.py:Loose"\nkeys = ["a", "secret:ACME_KEY"]',
        "strategy.one.keys",
        "kept in the journal, and a secret must not be",
        "give it to a broker",
        environment=KEY,
    ),
    # types
    "choice": Wrong(
        '[engine]\ndurability = "ful"',
        "engine.durability",
        'must be "process" or "full"',
        "did you mean 'full'?",
    ),
    "number for truth": Wrong(
        "[engine]\nbusy_poll = 1", "engine.busy_poll", "must be true or false", "write it as that"
    ),
    "text for truth": Wrong(
        '[broker.paper]\nborrow = "yes"', "broker.paper.borrow", "must be true or false", "without quotes"
    ),
    "truth for number": Wrong(
        "[breaker.limits]\nmax_leverage = true",
        "breaker.limits.max_leverage",
        "is the truth value true",
        "write",
    ),
    "text for number": Wrong(
        '[stream.synthetic]\nseed = "7"',
        "stream.synthetic.seed",
        "must be a whole number",
        "write 7 without quotes",
    ),
    "fraction for whole": Wrong(
        "[stream.synthetic]\nseed = 7.5",
        "stream.synthetic.seed",
        "must be a whole number",
        "write it as that",
    ),
    "number for text": Wrong(
        "[broker.paper]\nfill_at = 5",
        "broker.paper.fill_at",
        "must be text",
        'in quotes, with its unit if it has one, "5"',
    ),
    "list for one": Wrong(
        '[broker.paper]\nfill_at = ["open"]', "broker.paper.fill_at", "is a list", "without brackets"
    ),
    "wrong in a list": Wrong(
        "[stream.synthetic]\nsymbols = ['A/B', 5]", "stream.synthetic.symbols[1]", "must be text", "in quotes"
    ),
    "wrong in a table": Wrong(
        KEYED + "pair = [1]",
        "broker.venue.pair",
        "a list of 2, and has 1",
        "write all of them",
        environment=KEY,
    ),
    "wrong in an object": Wrong(
        KEYED + 'instrument = {symbol = "A/B", tik = "1"}',
        "broker.venue.instrument",
        "Instrument has no 'tik'",
        "'tick'?",
        environment=KEY,
    ),
    "an object of code": Wrong(
        '[broker.paper]\nfills = "everything"', "broker.paper.fills", "an object of code", "in a script"
    ),
    "nan": Wrong("[broker.paper]\nfees = nan", "broker.paper.fees", "it is nan", "write a finite one"),
    "infinity": Wrong(
        "[breaker.limits]\nmax_leverage = -inf", "breaker.limits.max_leverage", "it is -inf", "a finite one"
    ),
    "home of nobody": Wrong(
        '[engine]\nrun = "~nobody-here/x"', "engine.run", "the home of nobody", "in full"
    ),
    "no path": Wrong('[engine]\nrun = "a\\u0000b"', "engine.run", "it is no path", "write another"),
    "doubled name": Wrong(
        '[broker.a]\nuse = "nameless"\n[broker.b]\nuse = "nameless"',
        "",
        "two brokers are named 'fake'",
        "another name",
    ),
    "empty": Wrong('[engine]\nrun = ""', "engine.run", "it is empty", "leave the line out"),
    "time without zone": Wrong(
        "[stream.synthetic]\nstart = 2024-01-01T00:00:00",
        "stream.synthetic.start",
        "a time without a zone",
        "00:00:00Z",
    ),
    # units
    "money without currency": Wrong(
        '[breaker.daily_loss]\nlimit = "2_000"',
        "breaker.daily_loss.limit (test.toml:2)",
        "is not money",
        "'2_000 USDT'",
    ),
    "money as a number": Wrong(
        "[breaker.daily_loss]\nlimit = 2000",
        "breaker.daily_loss.limit",
        "must be text or money",
        '"2000 USDT"',
    ),
    "duration": Wrong(
        '[breaker.stale_data]\nafter = "5 sec"',
        "breaker.stale_data.after",
        "is not a duration",
        "such as '5s'",
    ),
    "percentage": Wrong(
        '[breaker.drawdown]\nlimit = "10 percent"',
        "breaker.drawdown.limit",
        "is not money",
        "like '10%'",
    ),
    "out of bounds": Wrong(
        '[breaker.drawdown]\nlimit = "110%"', "breaker.drawdown.limit", "below 100%", "write it like '10%'"
    ),
    "duration of a broker": Wrong(
        '[broker.paper]\nlatency = "5 sec"', "broker.paper.latency", "is not a duration", "'5s'"
    ),
    # what is missing
    "argument": Wrong(
        "[breaker.daily_loss]", "breaker.daily_loss.limit (test.toml:1)", "it is missing", "write limit = ..."
    ),
    "nothing limited": Wrong(
        "[breaker.limits]", "breaker.limits (test.toml:1)", "limits nothing", "give max_order_value"
    ),
    "no broker": Wrong(
        '[engine]\nbreakers = "none"', "broker", "there is none", "such as [broker.paper]", whole=False
    ),
    "no breaker": Wrong(
        '[strategy.a]\nuse = "mine.py:InAndOut"', "breaker", "there is none", 'breakers = "none"', whole=False
    ),
    "nothing at all": Wrong("", "strategy", "there is none", "[strategy.NAME]", whole=False),
    # profiles
    "profile": Wrong(
        "[profile.paper.engine]",
        "profile 'papr' (--profile)",
        "no such profile",
        "'paper'?",
        ("--profile", "papr"),
    ),
    "no profiles": Wrong(
        "", "profile 'live'", "no such profile", "add [profile.NAME]", ("--profile", "live")
    ),
    "default profile": Wrong(
        '[engine]\nprofile = "x"', "profile 'x' (test.toml:2)", "no such profile", "add [profile.NAME]"
    ),
    "profile's section": Wrong(
        "[profile.paper.brokr.x]", "profile.paper.brokr", "no such section", "'broker'?"
    ),
    "profile in a profile": Wrong(
        "[profile.paper.profile.x]", "profile.paper.profile", "a profile in a profile", "there are"
    ),
    "profile as a value": Wrong(
        '[profile]\npaper = "yes"', "profile", "a profile is a table", "[profile.paper]"
    ),
    "profile's value": Wrong(
        '[profile.hard.breaker.drawdown]\nlimit = "0%"',
        "breaker.drawdown.limit (profile hard, test.toml:2)",
        "above 0%",
        "write it like",
        ("--profile", "hard"),
    ),
    "table of another profile": Wrong(
        "[profile.hard.breaker.limits]\nmax_leverage = 2",
        "breaker.limits.max_leverage (--set)",
        "no profile is in use",
        "choose the one that has",
        ("--set", "breaker.limits.max_leverage=1"),
    ),
    "live not said": Wrong(
        KEYED + 'mode = "live"', "broker.venue", "trades real money", "say --live", environment=KEY
    ),
    "live by the environment": Wrong(
        "",
        "engine.live",
        "about real money is said aloud",
        "say --live",
        environment={"FAIRLEAD__ENGINE__LIVE": "true"},
    ),
    # what is said over the file
    "set without =": Wrong(
        "", "--set engine.live", "it has no value", "section.name.key=value", ("--set", "engine.live")
    ),
    "set no text": Wrong(
        "", "--set breaker.drawdown.limit", "not UTF-8", "as text", ("--set", "breaker.drawdown.limit=\udcff")
    ),
    "variable of no text": Wrong(
        "", "FAIRLEAD__ENGINE__RUN", "not UTF-8", "as text", environment={"FAIRLEAD__ENGINE__RUN": "\udcff"}
    ),
    "secret of no text": Wrong(
        KEYED, "broker.venue.key", "is not UTF-8", "as text", environment={"ACME_KEY": "\udcff" * 9}
    ),
    "set nothing": Wrong("", "--set ", "it has no value", "section.name.key=value", ("--set", "=5")),
    "set too short": Wrong(
        "", "--set breaker.limits", "it names no key", "breaker.NAME.KEY", ("--set", "breaker.limits=5")
    ),
    "set too long": Wrong(
        "", "--set engine.run.x", "it names no key", "engine.KEY", ("--set", "engine.run.x=5")
    ),
    "set an unknown key": Wrong("", "engine.rn (--set)", "no such key", "'run'", ("--set", "engine.rn=5")),
    "set another table": Wrong(
        "",
        "--set breaker.drawdwn.limit",
        "the file has no [breaker.drawdwn]",
        "'drawdown'?",
        ("--set", "breaker.drawdwn.limit=5%"),
    ),
    "set a wrong value": Wrong(
        "",
        "breaker.drawdown.limit (--set)",
        "is not money",
        "such as '2_000 USDT'",
        ("--set", "breaker.drawdown.limit=ten"),
    ),
    "variable of no section": Wrong(
        "",
        "FAIRLEAD__BRAKER__X__Y",
        "no such section 'braker'",
        "'breaker'?",
        environment={"FAIRLEAD__BRAKER__X__Y": "1"},
    ),
    "variable of no key": Wrong(
        "",
        "breaker.drawdown.limt (environment FAIRLEAD__BREAKER__DRAWDOWN__LIMT)",
        "no such key",
        "'limit'?",
        environment={"FAIRLEAD__BREAKER__DRAWDOWN__LIMT": "5%"},
    ),
    "empty variable": Wrong(
        "",
        "breaker.drawdown.limit",
        "it is empty",
        "leave the line out",
        environment={"FAIRLEAD__BREAKER__DRAWDOWN__LIMIT": ""},
    ),
    "variable of two tables": Wrong(
        '[breaker.a-b]\nuse = "drawdown"\nlimit = "5%"\n[breaker.A_B]\nuse = "drawdown"\nlimit = "5%"',
        "FAIRLEAD__BREAKER__A_B__LIMIT",
        "can be a-b and A_B",
        "rename",
        environment={"FAIRLEAD__BREAKER__A_B__LIMIT": "4%"},
    ),
    # secrets
    "missing secret": Wrong(
        KEYED, "broker.venue.key (test.toml:3)", "the secret ACME_KEY is nowhere", "into the environment"
    ),
    "empty secret": Wrong(
        KEYED, "broker.venue.key", "is empty", "4 characters or more", environment={"ACME_KEY": ""}
    ),
    "short secret": Wrong(
        KEYED, "broker.venue.key", "fewer than 4", "4 characters or more", environment={"ACME_KEY": "abc"}
    ),
    "plain secret": Wrong(
        '[broker.venue]\nuse = "keyed"\nkey = "sesame-open-4711"',
        "broker.venue.key",
        "it is a secret",
        '"secret:NAME"',
    ),
    "secret for text": Wrong(
        KEYED + 'url = "secret:ACME_KEY"',
        "broker.venue.url",
        "takes plain text",
        "fairlead.Secret",
        environment=KEY,
    ),
    "secret inside": Wrong(
        KEYED + 'extra = {a = ["secret:ACME_KEY"]}',
        "broker.venue.extra",
        "holds a secret",
        "calls a Secret",
        environment=KEY,
    ),
    "secret's name": Wrong(
        '[broker.venue]\nuse = "keyed"\nkey = "secret:../x"',
        "broker.venue.key",
        "a secret's name",
        "BINANCE_KEY",
    ),
    # files
    "syntax": Wrong(
        "[engine]\nrun = runs", "line 2, column 7", "Invalid value", "repair the TOML", whole=False
    ),
    "doubled table": Wrong("[broker.paper]\n[broker.paper]", "line 2", "twice", "a table once", whole=False),
    "unclosed": Wrong(
        '[engine]\nrun = "x', "the end of the file", "Unterminated", "repair the TOML", whole=False
    ),
    "too deep": Wrong(f"x = {'[' * 9000}", "", "nested too deeply", "a section has names", whole=False),
    # plugins that refuse to load
    "gone plugin": Wrong(
        "[broker.gone]", "broker.gone", "cannot be loaded", "repair or uninstall it", code=5
    ),
    "old plugin": Wrong(
        "[broker.old]", "broker.old", "was built for fairlead <0.1", "install a matching version", code=5
    ),
    "broken plugin": Wrong(
        "[broker.broken]", "broker.broken", "RuntimeError: no such luck", "or repair it", code=5
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_wrong_configuration_is_refused_with_its_path_rule_and_remedy(
    row: Wrong, write, fairlead, monkeypatch
):
    """One sentence names the place, what is wrong and what to do; the exit code says that it is the configuration."""
    for name, value in row.environment.items():
        monkeypatch.setenv(name, value)
    done = fairlead("check", write(row.text, whole=row.whole), *row.options)
    assert done.exit_code == row.code, done.output
    said = done.stderr.split("test.toml", 1)[1]
    assert row.path in said
    assert row.rule in said
    assert row.remedy in said
    assert "Traceback" not in done.output
    assert "sesame" not in done.output
    if row.whole:  # the one fault that there is, and nothing that only follows from it
        assert done.stderr.count("\n") == 1, done.stderr


def test_the_table_is_long():
    """Enough kinds of mistakes to trust the rest."""
    assert len(ROWS) >= 80


def test_all_faults_are_said_at_once(write, fairlead):
    """Whoever has made three mistakes corrects the file once."""
    file = write(
        '[engine]\nrn = 1\n[broker.paper]\nlatency = "5 sec"\nreport_delay = "soon"\ncash = "1"\n'
        '[breaker.limits]\nmax_leverage = "two"\nmax_order_value = "3"\n'
    )
    done = fairlead("check", file)
    assert done.exit_code == 2
    first, *faults = done.stderr.splitlines()
    assert first == f"fairlead: {file} has 6 faults:"
    assert [fault.split()[0] for fault in faults] == [
        "engine.rn",
        "broker.paper.cash",
        "broker.paper.latency",
        "broker.paper.report_delay",
        "breaker.limits.max_order_value",
        "breaker.limits.max_leverage",
    ]


@pytest.mark.parametrize("verb", ["run", "check", "backtest", "config show"])
@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "cannot be read (Is a directory)"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "it is not UTF-8"),
        (lambda path: path.write_bytes(b"#" * 1_000_001), "larger than 1,000,000 bytes"),
    ],
    ids=["missing", "folder", "bytes", "large"],
)
def test_a_file_that_cannot_be_read_is_refused(verb: str, make, rule: str, folder: Path, fairlead):
    """Whatever lies there, it is a sentence and exit code 2."""
    path = folder / "other.toml"
    make(path)
    done = fairlead(*verb.split(), path)
    assert done.exit_code == 2
    assert rule in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(write, fairlead):
    """The system's own reason is given."""
    file = write("")
    file.chmod(0)
    done = fairlead("check", file)
    assert done.exit_code == 2
    assert "Permission denied" in done.stderr


@pytest.mark.parametrize(
    ("options", "path", "rule"),
    [
        (("--profile", "live"), "--profile live", "is a script"),
        (
            ("--set", "broker.paper.cash=5"),
            "broker.paper.cash (--set)",
            "a script composes its plugins itself",
        ),
        (("--set", "engine.live=true"), "engine.live (--set)", "a script says this itself"),
        (("--set", "engine.durability=ful"), "engine.durability (--set)", "did you mean 'full'?"),
        (("--set", "engine.x=1"), "engine.x (--set)", "no such key"),
        (("--set", "x"), "--set x", "it has no value"),
    ],
)
def test_what_a_script_says_itself_cannot_be_said_over_it(options, path, rule, folder, fairlead):
    """Of a script only the run's folder, durability and polling can be changed; the rest is refused, not ignored."""
    script = folder / "mine_composed.py"
    script.write_text(
        "from fairlead import LiveTradingEngine\nfrom mine import InAndOut\n"
        "engine = LiveTradingEngine(InAndOut(), ['paper', 'synthetic'], breakers='none')\n"
    )
    done = fairlead("check", script, *options)
    assert done.exit_code == 2
    assert path in done.stderr
    assert rule in done.stderr
