"""Whose order an id is of: it can be read off any venue's list of orders."""

from __future__ import annotations

import re

from fairlead._kernel.state import State
from fairlead._models.words import Word

_ID = re.compile("[0-9a-f]{32}")


class Origin(Word):
    """Where an order's id comes from: somebody else, our journal, or us without the journal knowing of it."""

    FOREIGN = "foreign"
    OURS = "ours"
    LOST = "lost"


def origin(state: State, client_order_id: str) -> Origin:
    """Whether an id is of our namespace, and whether the journal has given it out.

    An id holds namespace, epoch, number and attempt. Numbers rise with each new intent; a later attempt at one has
    its number, in whichever epoch it is made.
    """
    if not _ID.fullmatch(client_order_id):
        return Origin.FOREIGN
    namespace, epoch, number, attempt = (
        int(client_order_id[start:end], 16) for start, end in ((0, 4), (4, 8), (8, 30), (30, 32))
    )
    if namespace != state.namespace:
        return Origin.FOREIGN
    if client_order_id in state.orders:
        return Origin.OURS
    # What a start gave out ends where the next one began: beyond that it is of a tail that the journal lost.
    last = next((count for start, count in state.epochs.items() if start > epoch), state.intents)
    first = state.epochs.get(epoch)
    if first is None and (epoch > state.epoch or epoch > min(state.epochs, default=0)):
        return Origin.LOST
    if attempt > 1 and explained(state, client_order_id) and _follows_one(state, namespace, number, attempt):
        return Origin.LOST
    begins = first if first is not None and attempt == 1 else 0
    return Origin.OURS if begins < number <= last else Origin.LOST


def explained(state: State, client_order_id: str) -> bool:
    """Whether a power cut may have taken from the journal that an order of ours was sent.

    It was before the start after the one that made its id; of an order that was held until then, before a later one.
    """
    epoch = int(client_order_id[4:8], 16)
    if client_order_id in state.orders:
        return any(start > epoch for start in state.lost_tails)
    after = next((start for start in state.epochs if start > epoch), None)
    return after in state.lost_tails


def _follows_one(state: State, namespace: int, number: int, attempt: int) -> bool:
    """Whether the attempt before is remembered: then this one, which ended later if at all, was not let go."""
    before = f"{number:022x}{attempt - 1:02x}"
    names = (f"{namespace:04x}{epoch:04x}{before}" for epoch in state.epochs)
    return any((order := state.orders.get(name)) is not None and not order.given_up for name in names)
