"""Facts in words: what the event feed, plain lines and the report say of them."""

from __future__ import annotations

from decimal import Decimal

import attrs

from fairlead import facts as f


@attrs.frozen
class Event:
    """Something worth a line: when, what kind, the words, and how bad it is ("", "warning" or "alarm")."""

    now: int
    kind: str
    text: str
    level: str = ""
    strategy: str = ""


def figure(value: Decimal | float) -> str:
    """A quantity or a price without trailing zeros."""
    text = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,.8f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def printable(text: str) -> str:
    """A text that cannot steer a terminal: what is no printable character becomes a dot."""
    return "".join(char if char.isprintable() else "·" for char in text)


def event_of(fact: f.AnyFact) -> Event | None:
    """The event of a fact, None for bookkeeping."""
    words = _words(fact)
    if words is None:
        return None
    kind, text, *level = words
    strategy = getattr(fact, "strategy", "")
    if isinstance(fact, f.Filled):
        strategy = fact.fill.strategy
    elif isinstance(fact, f.OrderDenied | f.OrderSubmitted | f.OrderHeld):
        strategy = fact.intent.strategy
    return Event(fact.now, kind, printable(text), level[0] if level else "", strategy)


def _words(fact: f.AnyFact) -> tuple[str, ...] | None:
    match fact:
        case f.EngineStarted():
            return "start", f"epoch {fact.epoch}: {', '.join(spec.name for spec in fact.strategies)}"
        case f.EngineStopped():
            return "stop", fact.reason or "in good order"
        case f.Filled():
            fill = fact.fill
            why = f" ({fact.reason})" if fact.reason else ""
            return "fill", (
                f"{fill.strategy} {fill.side} {figure(fill.quantity)} {short(fill.instrument)} "
                f"at {figure(fill.price)}{why}"
            )
        case f.OrderDenied():
            wanted = fact.intent
            what = f"{wanted.strategy} {wanted.side} {figure(wanted.quantity)} {short(wanted.instrument)}"
            return "denied", f"{what}: {'; '.join(fact.reasons)}", "warning"
        case f.OrderRejected():
            return (
                "rejected",
                f"{fact.client_order_id}: {fact.reason or fact.code or 'no reason given'}",
                "warning",
            )
        case f.OrderUnknown():
            return "unknown", f"{fact.client_order_id}: {fact.reason or 'its answer was lost'}", "alarm"
        case f.JournalCut():
            lost = ", and the machine was started anew: more may be missing" if fact.other_boot else ""
            return "journal", f"{fact.size:,} bytes of a torn record were cut at its end{lost}", "warning"
        case f.AccountDoubted():
            return "account", f"{fact.account} is halted until it is adopted: {fact.reason}", "alarm"
        case f.AccountAdopted():
            return "account", f"{fact.account} adopted by {fact.who}: {fact.why}"
        case f.AccountMoved():
            return "account", f"{fact.account} went on in {fact.to}, by {fact.who}: {fact.why}"
        case f.BreakerTripped():
            return "breaker", f"{fact.breaker} tripped: {fact.reason} ({fact.scope} is {fact.state})", "alarm"
        case f.BreakerHalfOpened():
            text = f"{fact.breaker} is half-open on {fact.scope}: one order that adds at a time"
            return "breaker", text, "warning"
        case f.BreakerReset():
            who = "" if fact.who == fact.breaker else f" by {fact.who}"
            return "breaker", f"{fact.breaker} reset{who}: {fact.why}"
        case f.StateChanged():
            return "state", f"{fact.scope} is {fact.state}: {fact.reason}", "warning"
        case f.StrategyHalted():
            return "strategy", f"{fact.strategy} halted: {fact.reason}", "alarm"
        case f.StrategyFaulted():
            return "strategy", f"{fact.strategy} raised ({fact.count}): {fact.reason}", "warning"
        case f.StrategyPaused():
            word = "paused" if fact.paused else "goes on"
            return "strategy", f"{fact.scope or fact.strategy} {word}: {fact.why or fact.who}"
        case f.StreamChanged():
            return "account", f"{fact.account} is {'connected' if fact.up else 'away'} {fact.reason}".strip()
        case f.Commanded():
            return "command", f"{fact.verb} by {fact.who}: {fact.why}"
        case f.SweepStarted(verb="reduce"):
            return (
                "sweep",
                f"what {fact.scope} holds is reduced, the riskiest first (by {fact.who}: {fact.why})",
                "warning",
            )
        case f.SweepStarted():
            also = " and what it holds is closed" if fact.closes else ""
            return (
                "sweep",
                f"every order of {fact.scope} is withdrawn{also} ({fact.verb} by {fact.who}: {fact.why})",
                "warning",
            )
        case f.SweepEnded():
            return "sweep", f"number {fact.sweep} is over: {fact.reason}"
        case f.CashChanged():
            return "cash", f"{fact.account} {fact.amount:+f} {fact.currency}: {fact.reason}"
        case f.DiscrepancyFound():
            return "books", f"{fact.discrepancy} [{fact.discrepancy.id}]", "warning"
        case f.DiscrepancyResolved():
            why = f": {fact.why or fact.adjustment}" if fact.why or fact.adjustment else ""
            return "books", f"{fact.action} of {fact.discrepancy} by {fact.who}{why}", "warning"
        case f.DiscrepancyGone():
            return "books", f"{fact.discrepancy} is gone"
        case f.OrderAdopted():
            wanted = fact.intent
            what = f"{wanted.side} {figure(wanted.quantity)} {short(wanted.instrument)}"
            return "adopted", f"{fact.client_order_id}: {what}, for {wanted.strategy}", "warning"
        case f.FillReversed():
            return "fill", f"taken back: {fact.fill.fill_id}", "alarm"
        case f.ClockStepped():
            return "clock", f"stepped by {fact.step_ns / 1e9:+.3f} s", "warning"
        case f.EngineLagged():
            return "clock", f"the engine was {fact.lag_ns / 1e9:.3f} s late", "warning"
        case f.Noted():
            return "note", f"{fact.source}: {fact.text}"
        case _:
            return None


def short(instrument: str) -> str:
    """The symbol of an instrument's long form."""
    return instrument.rpartition("@")[0] or instrument
