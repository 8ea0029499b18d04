"""What breakers allow beforehand, `check` has nothing against."""

from hypothesis import given
from hypothesis import strategies as st

from fairlead_breakers import Limits, StaleData

INSTRUMENT = "BTC/USDT@x"

amounts = st.floats(0.01, 1e6)
sides = st.sampled_from(["buy", "sell"])


@given(
    value=st.none() | st.integers(1, 10**6),
    leverage=st.none() | st.integers(1, 20),
    worth=amounts,
    after=amounts,
    equity=amounts,
    side=sides,
)
def test_orders_within_what_limits_allow_pass(make_view, intent, value, leverage, worth, after, equity, side):
    """The engine need not show them to `check`: it refuses none of them."""
    if value is None and leverage is None:
        leverage = 1
    limits = Limits(None if value is None else f"{value} USDT", leverage)
    view = make_view(worth=worth, after=after, equity_now=equity)
    allowed = limits.allows("paper", INSTRUMENT, view)
    if worth <= allowed.value and after <= equity * allowed.leverage:
        assert limits.check(intent(side), view) is None


@given(after=st.integers(1, 100), age=st.integers(0, 200), cadence=st.integers(0, 50), side=sides)
def test_orders_on_data_as_fresh_as_allowed_pass(make_view, intent, after, age, cadence, side):
    """A mark no older than `after` is no reason to refuse, whatever bars its instrument has."""
    stale = StaleData(after=f"{after}ms")
    view = make_view(cadences={INSTRUMENT: cadence * 1_000_000})
    view.received[INSTRUMENT] = view.now - age * 1_000_000
    if view.age(INSTRUMENT) <= stale.allows("paper", INSTRUMENT, view).age_ns:
        assert stale.check(intent(side), view) is None


def test_nothing_is_allowed_beforehand_in_another_currency(view):
    """A limit in a currency that is not the account's refuses every order, so `check` sees them all."""
    view.home = "USD"
    assert Limits(max_order_value="10_000 USDT").allows("paper", INSTRUMENT, view) is None
