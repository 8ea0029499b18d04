"""What breakers name in their settings, held against what there is: a word that names nothing limits nothing."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator

from fairlead._models.instrument import Instrument
from fairlead.errors import ConfigurationError
from fairlead.ports import CircuitBreaker, Reference


def refuse_unknown(
    breakers: Iterable[CircuitBreaker], *, strategies: Collection[str] = (), currencies: Collection[str] = ()
) -> None:
    """Raise ConfigurationError for a strategy or a currency that there is none of; what is empty is not known yet."""
    known = {"strategy": strategies, "currency": currencies}
    found = [
        _strange(breaker, said, known[said.kind])
        for breaker, said in _references(breakers)
        if known.get(said.kind) and said.name not in known[said.kind]
    ]
    if found:
        raise ConfigurationError("; ".join(found))


def refuse_unlisted(breakers: Iterable[CircuitBreaker], instruments: Iterable[Instrument]) -> None:
    """Raise ConfigurationError for an instrument that is named and is not among these: it would limit nothing."""
    found = [text for kind, text in _unlisted(breakers, instruments) if kind == "instrument"]
    if found:
        raise ConfigurationError("; ".join(found))


def unlisted(breakers: Iterable[CircuitBreaker], instruments: Iterable[Instrument]) -> Iterator[str]:
    """What names an instrument, a base or a venue that none of these is or has, in words."""
    return (text for _, text in _unlisted(breakers, instruments))


def _unlisted(
    breakers: Iterable[CircuitBreaker], instruments: Iterable[Instrument]
) -> Iterator[tuple[str, str]]:
    known: dict[str, set[str]] = {"instrument": set(), "base": set(), "venue": set()}
    for one in instruments:
        known["instrument"] |= {name for name in (one.id, one.symbol, one.native) if name}
        known["base"].add(one.base)
        known["venue"].add(one.venue)
    told: set[tuple[str, str, str]] = set()
    for breaker, said in _references(breakers):
        about = (breaker, said.kind, said.name)
        if said.kind in known and said.name not in known[said.kind] and about not in told:
            told.add(about)
            yield said.kind, _strange(breaker, said, known[said.kind])


def _references(breakers: Iterable[CircuitBreaker]) -> Iterator[tuple[str, Reference]]:
    for breaker in breakers:
        refers = getattr(breaker, "refers", None)
        if refers is not None:
            yield from ((breaker.name, said) for said in refers())


def _strange(breaker: str, said: Reference, known: Collection[str]) -> str:
    where = f"breaker {breaker}: {said.setting}"
    if said.kind == "currency":
        return f"{where} is in {said.name}, and no account is: write it in {' or '.join(sorted(known))}, or in percent"
    close = difflib.get_close_matches(said.name, known, 1)
    few = ", ".join(sorted(known)[:8]) or "none"
    remedy = f"did you mean {close[0]!r}?" if close else f"there are {few}; write one of them"
    return f"{where} names {said.name!r}, and there is no {said.kind} of this name: {remedy}"
