"""A trip that reduces to a share: which positions give way, how far, and what happens on the way."""

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fairlead import OrderStatus, OrderType, TradingState
from fairlead._models.accounts import EXTERNAL
from fairlead.facts import SweepEnded, SweepStarted
from fairlead.ports import Quote, Trip
from fairlead.testing import EVERYTHING, MARKET_AND_LIMIT, Bench, FakeBroker, Puppet, reject, silence
from fairlead.testing.market import make_instrument

D = Decimal
BTC, ETH = make_instrument("BTC/USDT:USDT"), make_instrument("ETH/USDT:USDT")


class Below:
    """Reduces below a price of the first instrument, once."""

    name = "below"
    wants = (Quote,)

    def __init__(self, action="reduce to 50%", scope="engine", level=90):
        self.found, self.level = Trip("too low", TradingState.REDUCE_ONLY, scope, action), level

    def check(self, intent, view):
        return None

    def watch(self, item, view):
        low = isinstance(item, Quote) and item.instrument == BTC.id and item.bid < self.level
        return self.found if low else None


def bench_of(*strategies, action="reduce to 50%", scope="engine", **profile):
    """A bench with two instruments at 100, and the breaker."""
    strategies = strategies or (Puppet(BTC.symbol, ETH.symbol),)
    broker = FakeBroker(BTC, ETH, **profile)
    bench = Bench(*strategies, broker=broker, breakers=[Below(action, scope)])
    bench.price(100)
    bench.price(100, instrument=ETH.id)
    return bench


def held(bench, instrument=BTC, strategy=""):
    return bench.state.quantity("fake", instrument.id, strategy)


def test_a_position_is_reduced_to_its_share_and_entries_go():
    """Half of it is sold, what could add is withdrawn, and trading is reduce-only until somebody resets it."""
    bench = bench_of()
    bench.do(lambda s: s.buy(2, instrument=BTC.symbol))
    entry = bench.do(lambda s: s.buy(1, instrument=BTC.symbol, limit_price=80))
    bench.price(89)
    bench.advance("3s")
    assert held(bench) == 1
    assert entry.status is OrderStatus.CANCELED
    (sweep,) = bench.of(SweepStarted)
    assert (sweep.verb, sweep.who, [t.quantity for t in sweep.targets]) == ("reduce", "below", [1])
    assert [end.reason for end in bench.of(SweepEnded)] == ["reduced"]
    assert bench.do(lambda s: s.buy(1, instrument=BTC.symbol)).denied
    bench.kernel.command("reset", "ann", "seen", breaker="below")
    assert not bench.do(lambda s: s.buy(1, instrument=BTC.symbol)).denied
    bench.check()


def test_the_riskiest_gives_way_first():
    """Of equal values the one that moves more is closed first; the calm one stays whole."""
    bench = Bench(
        Puppet(BTC.symbol, ETH.symbol, bars="1m"),
        broker=FakeBroker(BTC, ETH),
        breakers=[Below(level=50)],
    )
    for minute in range(25):
        start = bench.clock.now()
        wild, calm = 100 + 5 * (minute % 2), 100 + 0.1 * (minute % 2)
        bench.bar(calm, calm, calm, calm)
        bench.bar(wild, wild, wild, wild, instrument=ETH.id)
        assert bench.clock.now() > start
    bench.price(100)
    bench.price(100, instrument=ETH.id)
    bench.do(lambda s: s.buy(3, instrument=BTC.symbol))
    bench.do(lambda s: s.buy(3, instrument=ETH.symbol))
    bench.breakers[0].level = 101
    bench.price(100)
    bench.advance("3s")
    assert (held(bench), held(bench, ETH)) == (3, 0)


def test_without_volatility_the_largest_gives_way_first():
    """As much goes as is needed, and of the last one only a part."""
    bench = bench_of(action="reduce to 40%")
    bench.do(lambda s: s.buy(6, instrument=ETH.symbol))
    bench.do(lambda s: s.sell(4, instrument=BTC.symbol))
    bench.breakers[0].level = 200
    bench.price(100)
    bench.advance("3s")
    assert (held(bench), held(bench, ETH)) == (-4, 0)


@pytest.mark.parametrize("profile", [MARKET_AND_LIMIT, EVERYTHING])
@pytest.mark.parametrize("bracket", [False, True])
def test_what_is_left_stays_protected(profile, bracket):
    """A stop for the whole position becomes one for what is left of it."""
    bench = bench_of(profile=profile)
    if bracket:
        bench.do(lambda s: s.buy(2, instrument=BTC.symbol, stop_loss=50, take_profit=200))
    else:
        bench.do(lambda s: s.buy(2, instrument=BTC.symbol))
        bench.do(lambda s: s.sell(2, instrument=BTC.symbol, stop_price=50, reduce_only=True))
    bench.price(89)
    bench.advance("5s")
    assert held(bench) == 1
    stops = [o for o in bench.state.open.values() if o.type is OrderType.STOP]
    own = profile is MARKET_AND_LIMIT
    size = 2 if own and not bracket else 1  # a plain stop that the engine holds is fitted when it triggers
    assert [(o.remaining_quantity, o.stop_price, o.status) for o in stops] == [
        (size, 50, OrderStatus.HELD if own else OrderStatus.ACCEPTED)
    ]
    bench.check()


def test_strategies_on_both_sides_never_turn_the_account():
    """What counts is the account's net position, and what stands on its side gives way."""
    long, short = (Puppet(BTC.symbol, name=name, allocation="50%") for name in ("long", "short"))
    bench = bench_of(long, short)
    bench.do(lambda s: s.buy(10))
    bench.do(lambda s: s.sell(8), strategy=1)
    bench.price(89)
    bench.advance("3s")
    assert (held(bench), held(bench, strategy="long"), held(bench, strategy="short")) == (1, 9, -8)


def test_a_strategys_own_scope_reduces_its_own():
    """What another strategy holds stays."""
    one, other = (Puppet(BTC.symbol, name=name, allocation="50%") for name in ("one", "other"))
    bench = bench_of(one, other, scope="strategy:one")
    bench.do(lambda s: s.buy(4))
    bench.do(lambda s: s.buy(4), strategy=1)
    bench.price(89)
    bench.advance("3s")
    assert (held(bench, strategy="one"), held(bench, strategy="other")) == (2, 4)


def test_it_goes_on_after_a_restart_in_the_middle():
    """A partial fill, a crash: the rest is sold, and no more than that."""
    bench = bench_of()
    bench.do(lambda s: s.buy(2, instrument=BTC.symbol))
    ordinary, bench.broker.script = bench.broker.script, silence()
    bench.price(89)
    (working,) = bench.broker.working
    bench.broker.fill(working, D("0.4"), 89)
    bench.broker.script = ordinary
    bench.restart()
    bench.broker.cancel(working)
    bench.advance("30s")
    assert held(bench) == 1
    assert len(bench.of(SweepStarted)) == 1
    bench.check()


def test_a_refusal_is_tried_again():
    """What the venue rejected is sent once more, a while later."""
    bench = bench_of()
    bench.do(lambda s: s.buy(2, instrument=BTC.symbol))
    bench.broker.answers.append(reject())
    bench.price(89)
    assert held(bench) == 2
    bench.advance("5s")
    assert held(bench) == 1


def test_a_resume_calls_it_off():
    """A person may stop it: what is left then stays."""
    bench = bench_of()
    bench.do(lambda s: s.buy(2, instrument=BTC.symbol))
    bench.broker.answers.append(reject())
    bench.price(89)
    bench.kernel.command("resume", "ann", "no")
    bench.advance("10s")
    assert held(bench) == 2
    assert not bench.state.sweeps


@pytest.mark.parametrize("text", ["reduce", "reduce to", "reduce to 0%", "reduce to 100%", "reduce to much"])
def test_a_share_that_is_none_is_refused(text):
    """Nothing that is not above 0 and below 1 is a share."""
    with pytest.raises(ValueError, match="action"):
        Trip("?", TradingState.REDUCE_ONLY, "engine", text)


# --- at random --------------------------------------------------------------------------------------------------

quantities = st.integers(1, 10).map(lambda n: D(n) / 10)
picks = st.integers(0, 1000)
SIDES = {"long": 1, "short": -1, EXTERNAL: 1}


class Reducing(RuleBasedStateMachine):
    """Positions on both sides, then a trip: whatever the venue does, nothing turns or grows, and all of it ends."""

    @initialize(
        profile=st.sampled_from([MARKET_AND_LIMIT, EVERYTHING]),
        share=st.sampled_from([10, 33, 50, 90]),
        scope=st.sampled_from(["engine", "account:fake", "strategy:long", f"instrument:{BTC.id}"]),
        sizes=st.tuples(*[quantities] * 4),
        brackets=st.booleans(),
        entries=st.booleans(),
    )
    def begin(self, profile, share, scope, sizes, brackets, entries):
        puppets = [Puppet(BTC.symbol, ETH.symbol, name=name, allocation="50%") for name in ("long", "short")]
        self.share, self.scope = D(share) / 100, scope
        self.bench = bench_of(*puppets, action=f"reduce to {share}%", scope=scope, profile=profile)
        self.broker = self.bench.broker
        for which, (btc, eth) in enumerate((sizes[:2], sizes[2:])):
            for instrument, quantity in ((BTC, btc), (ETH, eth)):
                self.enter(which, instrument, quantity, brackets)
                if entries:
                    self.enter(which, instrument, quantity, brackets, resting=True)
        self.ordinary, self.broker.script = self.broker.script, silence()
        self.broker.cancels = silence()
        self.bench.breakers[0].level = 200
        self.was = self.positions()
        self.gross_was = self.gross()
        self.filled_late, self.closed_some = D(0), False
        self.bench.price(100)

    def enter(self, which, instrument, quantity, bracket, resting=False):
        def trade(strategy):
            do = strategy.sell if which else strategy.buy
            limit = None if not resting else 110 if which else 90
            stop = None if not bracket else 150 if which else 50
            return do(quantity, instrument=instrument.symbol, limit_price=limit, stop_loss=stop)

        self.bench.do(trade, strategy=which)

    def positions(self):
        found = {}
        for instrument in (BTC, ETH):
            for name in ("", "long", "short"):
                found[instrument.id, name] = self.bench.state.quantity("fake", instrument.id, name)
        return found

    def covered(self, instrument):
        kind, _, name = self.scope.partition(":")
        return kind != "instrument" or name == instrument

    def gross(self):
        """At a price of 100 throughout."""
        name = "long" if self.scope == "strategy:long" else ""
        now = self.positions()
        return sum(
            abs(q) for (instrument, whose), q in now.items() if whose == name and self.covered(instrument)
        )

    @rule(pick=picks, part=quantities)
    def fill(self, pick, part):
        names = sorted(self.broker.working)
        if names:
            name = names[pick % len(names)]
            order = self.bench.state.orders[name]
            taken = min(part, self.broker.working[name].left)
            if not order.intent.reduce_only:
                self.filled_late += taken
            self.broker.fill(name, taken, 100)

    @rule(pick=picks)
    def confirm_a_cancel(self, pick):
        asked = sorted({c.client_order_id for c in self.broker.canceling} & self.broker.working.keys())
        if asked:
            self.broker.cancel(asked[pick % len(asked)])

    @rule()
    def next_is_rejected(self):
        if not self.broker.answers:
            self.broker.answers.append(reject())

    @rule(which=st.integers(0, 1), quantity=quantities)
    def the_strategy_closes_some(self, which, quantity):
        side = "buy" if which else "sell"
        order = self.bench.do(
            lambda s: getattr(s, side)(quantity, instrument=BTC.symbol, reduce_only=True), strategy=which
        )
        self.closed_some = self.closed_some or not order.denied

    @rule(seconds=st.sampled_from([1, 3, 11]))
    def wait(self, seconds):
        self.bench.advance(f"{seconds}s")

    @precondition(lambda self: len(self.bench.journal.facts) < 3000)
    @rule()
    def restart(self):
        self.bench.restart()
        self.bench.price(100, instrument=ETH.id)

    @invariant()
    def nothing_turns_and_only_late_entries_add(self):
        if not hasattr(self, "was"):
            return
        for (instrument, name), quantity in self.positions().items():
            if name:
                assert quantity * SIDES[name] >= 0
                assert abs(quantity) <= abs(self.was[instrument, name]) + self.filled_late

    @invariant()
    def its_orders_only_reduce(self):
        if not hasattr(self, "bench"):
            return
        for order in self.bench.state.open.values():
            if order.intent.sweep:
                assert order.intent.reduce_only

    @invariant()
    def the_fold_is_the_state(self):
        if hasattr(self, "bench"):
            self.bench.check()

    def teardown(self):
        """The venue answers at last: what is left is the share at most, and nothing is under way."""
        if not hasattr(self, "was"):
            return
        self.broker.answers.clear()
        self.broker.cancels = lambda broker, cancel: [broker.canceled(cancel.client_order_id)]
        self.broker.script = self.ordinary
        for _ in range(12):
            for name in list(self.broker.working):
                if name not in self.broker.working:
                    continue
                order = self.bench.state.orders[name]
                if any(c.client_order_id == name for c in self.broker.canceling):
                    self.broker.cancel(name)
                elif order.type == "market":
                    self.broker.fill(name, None, 100)
            self.bench.advance("15s")
        assert not self.bench.state.sweeps
        if self.scope == "strategy:long" or not self.the_other_side_shrank():
            assert self.gross() <= self.gross_was * self.share
        self.bench.check()

    def the_other_side_shrank(self):
        """A strategy that closed what balanced another's leaves the account with more: that is its choice."""
        if self.closed_some:
            return True
        now = self.positions()
        for instrument in (BTC.id, ETH.id):
            net = self.was[instrument, ""]
            others = [name for name in ("long", "short") if net * SIDES[name] <= 0]
            if any(abs(now[instrument, name]) < abs(self.was[instrument, name]) for name in others):
                return True
        return False


Reducing.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestReducing = pytest.mark.full(Reducing.TestCase)
