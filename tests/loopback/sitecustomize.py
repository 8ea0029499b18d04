"""Keep a process on this machine: a socket to anywhere but loopback raises, and the test that did it fails.

The root `conftest.py` runs this file in the test run and puts its folder on PYTHONPATH, so that every Python process
a test starts runs it too, unless it is started isolated (`-I`, `-E`) or with an environment of its own. Nothing but
`os` and `sys` is imported before the first socket: tests measure what an import costs.
"""

import os
import sys

_SENDS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})


class OutsideLoopbackError(RuntimeError):
    """A test tried to reach another machine. Not an OSError, which code under test may well retry."""


def _refuse_outside(host: object) -> None:
    import ipaddress
    import socket

    name = host.decode() if isinstance(host, bytes) else host
    if name in {None, "", "localhost", socket.gethostname()}:
        return
    try:
        address = ipaddress.ip_address(str(name))
    except ValueError:
        pass  # a name: asking what it stands for already leaves this machine
    else:
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_loopback or address.is_unspecified:
            return
    if report := os.environ.get("FAIRLEAD_OUTSIDE"):
        with open(report, "a", encoding="utf-8") as file:
            file.write(f"{name}\n")
    raise OutsideLoopbackError(f"tests use loopback only, not {name!r}; start a server on 127.0.0.1 instead")


def _watch(event: str, args: tuple) -> None:
    if event in _SENDS:
        sock, address = args
        import socket

        if sock.family in {socket.AF_INET, socket.AF_INET6} and isinstance(address, tuple):
            _refuse_outside(address[0])
    elif event in _LOOKUPS:
        _refuse_outside(args[0])


class _GuardUvloop:
    """uvloop connects in C, unseen by audit hooks: its loop is guarded as soon as somebody imports it."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name != "uvloop":
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module: object) -> None:
                run(module)
                _guard(module.Loop)

            spec.loader.exec_module = exec_module
        return spec


def _guard(loop: type) -> None:
    connect, datagram, resolve = loop.create_connection, loop.create_datagram_endpoint, loop.getaddrinfo

    async def create_connection(self, protocol_factory, host=None, port=None, **options):
        _refuse_outside(host)
        return await connect(self, protocol_factory, host, port, **options)

    async def create_datagram_endpoint(self, protocol_factory, local_addr=None, remote_addr=None, **options):
        _refuse_outside(remote_addr and remote_addr[0])
        return await datagram(self, protocol_factory, local_addr, remote_addr, **options)

    async def getaddrinfo(self, host, port, **options):
        _refuse_outside(host)
        return await resolve(self, host, port, **options)

    loop.create_connection = create_connection
    loop.create_datagram_endpoint = create_datagram_endpoint
    loop.getaddrinfo = getaddrinfo


sys.addaudithook(_watch)
sys.meta_path.insert(0, _GuardUvloop())
