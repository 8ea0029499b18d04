"""The state as bytes and back, exactly: what a snapshot holds, so that a start need not fold the whole journal."""

from __future__ import annotations

import functools
import typing
from collections import deque
from decimal import Decimal
from typing import Any

import attrs
import msgspec

from fairlead._kernel.state import AccountState, State, Working
from fairlead._models.orders import Order

_encode = msgspec.msgpack.Encoder(decimal_format="string").encode

_LINKED = ("accounts", "orders", "open", "children")
"""Fields that share objects: an order stands once among `orders`, everywhere else its id stands for it."""


class _Group(msgspec.Struct, array_like=True):
    account: str
    instrument: str
    name: str
    members: list[str]


class _Reserved(msgspec.Struct, array_like=True):
    account: str
    instrument: str
    buy: Decimal
    sell: Decimal


class _Links(msgspec.Struct, array_like=True):
    """What hangs together: the first `known` orders are the state's own, those after it only hang on others."""

    accounts: list[AccountState]
    orders: list[Order]
    known: int
    open: list[str]
    children: list[tuple[str, list[str]]]
    working: list[_Reserved]
    groups: list[_Group]


def pack(state: State) -> bytes:
    """The bytes of a state; `unpack` makes of them one with the same fingerprint, whatever is done to it after."""
    plain = {name: _plain(getattr(state, name)) for name in _fields()}
    return _encode((_links(state), _Plain()(**plain)))


def unpack(data: bytes) -> State:
    """The state that was packed. Raises msgspec.MsgspecError for bytes that are none of this version's."""
    links, plain = msgspec.msgpack.decode(data, type=tuple[_Links, _Plain()])  # type: ignore[misc]
    state = State()
    for name in _fields():
        found, fresh = getattr(plain, name), getattr(state, name)
        setattr(state, name, deque(found, fresh.maxlen) if isinstance(fresh, deque) else found)
    _link(state, links)
    return state


def _links(state: State) -> _Links:
    orders = dict(state.orders)
    for children in state.children.values():
        orders.update((child.client_order_id, child) for child in children)
    working, groups = [], []
    for account in state.accounts.values():
        for instrument, reserved in account.working.items():
            working.append(_Reserved(account.name, instrument, reserved.buy, reserved.sell))
            for name, members in reserved.groups.items():
                orders.update(members)
                groups.append(_Group(account.name, instrument, name, list(members)))
    return _Links(
        accounts=[attrs.evolve(account, working={}) for account in state.accounts.values()],
        orders=list(orders.values()),
        known=len(state.orders),
        open=list(state.open),
        children=[(name, [o.client_order_id for o in found]) for name, found in state.children.items()],
        working=working,
        groups=groups,
    )


def _link(state: State, links: _Links) -> None:
    every = {order.client_order_id: order for order in links.orders}
    state.orders = {order.client_order_id: order for order in links.orders[: links.known]}
    state.open = {name: every[name] for name in links.open}
    state.children = {name: [every[child] for child in children] for name, children in links.children}
    state.accounts = {account.name: account for account in links.accounts}
    for reserved in links.working:
        state.accounts[reserved.account].working[reserved.instrument] = Working(reserved.buy, reserved.sell)
    for group in links.groups:
        found = state.accounts[group.account].working[group.instrument]
        found.groups[group.name] = {name: every[name] for name in group.members}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, deque) else value


@functools.cache
def _fields() -> tuple[str, ...]:
    """The fields that share nothing, whichever they are."""
    return tuple(name for name in attrs.fields_dict(State) if name not in _LINKED)


@functools.cache
def _Plain() -> type[Any]:  # noqa: N802 - it is a type
    """A struct of those fields, of the types that the state declares."""
    hints = typing.get_type_hints(State)
    return msgspec.defstruct(
        "_Plain", [(name, _listed(hints[name])) for name in _fields()], array_like=True, module=__name__
    )


def _listed(hint: Any) -> Any:
    return list[typing.get_args(hint)[0]] if typing.get_origin(hint) is deque else hint  # type: ignore[misc]
