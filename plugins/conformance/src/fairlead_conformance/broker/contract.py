"""Cases about the adapter as an object, and about what it does to its process; the first ones send nothing."""

from __future__ import annotations

import zoneinfo
from decimal import Decimal
from typing import Any, ClassVar

from fairlead import OrderType, TimeInForce
from fairlead.ports import DUPLICATE_ID, BrokerAdapter, VenueProfile
from fairlead_conformance.cases import Case, Tier, case
from fairlead_conformance.checks import looks_like_port, makes_nothing, opens_nothing_at_import
from fairlead_conformance.desk import Desk
from fairlead_conformance.suite import Conformance
from fairlead_conformance.watch import Leftovers

PLAIN = ("send", "market", "learn", "persist", "endpoints")
AWAITED = ("instruments", "connect", "snapshot", "lookup", "fills", "close")


class Contract(Conformance):
    """What can be seen of an adapter without a venue, and what its process has seen of it."""

    _stalls: ClassVar[list[str]]
    _left: ClassVar[list[str]]
    _shown: ClassVar[list[str]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._stalls, cls._left, cls._shown = [], [], []

    def overheard(self, desk: Desk) -> None:
        """Look for secrets in everything that a case has made the adapter say, and keep what blocked the loop."""
        texts = [
            ("its repr", repr(desk.broker)),
            *(("a report", repr(said)) for said in desk.said),
            *(("an error", said) for said in desk.errors),
            *(("the log", record.getMessage()) for record in self.watch.log),
            *(("the loop's exception handler", said) for said in self.watch.unhandled),
        ]
        for where, text in texts:
            if any(secret in text for secret in self.secrets):
                self._shown.append(where)
        for stall in self.watch.stalls:
            self._stalls.append(stall)

    def after(self, info: Case, before: Leftovers) -> None:
        """Keep what is still open after a case."""
        self._left.extend(f"{what} after {info.name}" for what in before.more())

    @case(Tier.CONTRACT)
    def test_it_fills_the_port(self, broker: Any) -> None:
        """It has every method of the port: plain ones plain, and those that wait as coroutines."""
        looks_like_port(broker, BrokerAdapter, PLAIN, AWAITED)
        assert isinstance(broker.name, str) and broker.name, "its name is a text, unique in an engine"
        assert broker.name == self.make().name, (
            "its name differs from one object to the next, and stands in journals"
        )

    @case(Tier.CONTRACT, after="it_fills_the_port")
    def test_making_it_opens_nothing(self, broker: Any) -> None:
        """An adapter that is only made opens no file, socket, thread or task; nor does its import."""
        makes_nothing(self.make)
        opens_nothing_at_import(type(broker))

    @case(Tier.CONTRACT, after="it_fills_the_port")
    def test_its_profile_holds_together(self, broker: Any) -> None:
        """What it promises is possible, and no promise contradicts another."""
        profile = broker.profile
        assert isinstance(profile, VenueProfile), (
            f"its profile is a {type(profile).__name__}, no VenueProfile"
        )
        assert profile == self.make().profile, "its profile differs from one object to the next"
        assert profile.venue and profile.environment in ("paper", "testnet", "live"), (
            "venue and environment are named"
        )
        assert profile.order_types and profile.order_types <= set(OrderType), (
            "order types are OrderType, at least one"
        )
        assert profile.time_in_force and profile.time_in_force <= set(TimeInForce), (
            "times in force are TimeInForce"
        )
        for name in ("query_lag_ns", "answer_ns", "backfill_ns", "watch_ns"):
            value = getattr(profile, name)
            assert isinstance(value, int) and value >= 0, f"{name} is {value!r}: integer ns, not below 0"
        assert profile.answer_ns > 0, "answer_ns is 0: no answer is as quick"
        assert profile.validity_ns is None or profile.validity_ns > 0, (
            "validity_ns is above 0, or None for no bound"
        )
        assert not profile.exact or profile.environment == "paper", (
            "exact is for a venue inside the process only"
        )
        assert not profile.post_only or OrderType.LIMIT in profile.order_types, (
            "post-only is a kind of limit order"
        )
        assert DUPLICATE_ID not in (profile.definitive_codes or ()), (
            "DUPLICATE_ID is no proof that the order is not there: one of this id is"
        )
        zoneinfo.ZoneInfo(profile.zone)
        for limit in profile.rate_limits:
            assert limit.weight > limit.kept >= 0 and limit.window_ns > 0, (
                f"rate limit {limit.name} lets nothing through"
            )

    @case(Tier.CONTRACT, after="it_fills_the_port")
    def test_its_account_has_a_fingerprint(self, broker: Any) -> None:
        """Off paper it says which account it is, in letters, digits and `. _ -`, without the key itself."""
        if broker.profile.environment == "paper":
            return
        fingerprint = getattr(broker, "fingerprint", None)
        assert isinstance(fingerprint, str) and fingerprint, "it has no `fingerprint`, and is off paper"
        assert all(sign.isascii() and (sign.isalnum() or sign in "._-") for sign in fingerprint), (
            "letters, digits, . _ -"
        )
        assert fingerprint == self.make().fingerprint, "its fingerprint differs from one object to the next"
        assert not any(secret in fingerprint for secret in self.secrets), "its fingerprint shows a secret"

    # --- what was seen during all other cases ---------------------------------------------------------------

    @case(Tier.CORE, after="it_connects", last=True)
    async def test_the_loop_is_never_blocked(self, desk: Desk) -> None:
        """No callback of it holds the loop for more than 50 ms, in none of the cases."""
        assert not self._stalls, self._stalls[0]

    @case(Tier.CORE, after="it_connects", last=True)
    async def test_closing_leaves_nothing(self, desk: Desk) -> None:
        """After close there is no task, thread or descriptor left, whatever went wrong before."""
        assert not self._left, "; ".join(self._left[:3])

    @case(Tier.CORE, after="it_connects", last=True)
    async def test_secrets_never_show(self, desk: Desk) -> None:
        """No secret stands in its repr, a report, an error or the log, in none of the cases."""
        await desk.asks()
        self.overheard(desk)
        assert not self._shown, f"a secret shows in {', '.join(sorted(set(self._shown)))}"

    @case(Tier.CORE, after="it_connects", last=True)
    async def test_all_that_is_declared_is_proven(self, desk: Desk) -> None:
        """Each order type, time in force and flag of its profile has a case that has passed."""
        missing = type(self).book.unproven()
        assert not missing, (
            f"it declares {', '.join(missing)}, and no case has proven that: leave it out of its profile, let the "
            f"venue under test do what the case needs, or add a case of your own, @case(Tier.CORE, of={missing[0]!r})"
        )


def decimals(*numbers: object) -> bool:
    """Whether all are exact and finite."""
    return all(isinstance(number, Decimal) and number.is_finite() for number in numbers)
