"""What one of several workers is given by its parent, in place of listeners and a life of its own."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from extauthz.config.listening import PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """`number`: no other living process has it; `listen`: its own gRPC listeners, on which its predecessor may still
    be; `http`: sockets that all workers accept from; `parent`: a pipe that ends with the parent; `told`: one to it.
    """

    number: int
    listen: Sequence[str]
    http: Sequence[socket.socket]
    parent: int
    told: int

    def tell(self, state: str) -> None:
        """Say how it is."""
        with suppress(OSError):  # the parent has gone, and we are about to
            os.write(self.told, f"{state}\n".encode())

    def outlive_nobody(self, stop: Callable[[], None]) -> None:
        """Call `stop` when the parent has gone: nobody would look after us, and its successor needs the listeners."""
        loop = asyncio.get_running_loop()

        def gone() -> None:
            loop.remove_reader(self.parent)  # what has ended can be read without end
            stop()

        loop.add_reader(self.parent, gone)

    async def take(self, start: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        """Have `start` listen, beside a predecessor if there is one, so that at no time nobody listens.

        On a TCP port there may be two. A unix socket is made under another name, then put in the place of the old one.
        """
        sockets = [address for address in self.listen if address.startswith(PREFIX)]
        for address in sockets:
            with suppress(FileNotFoundError):  # it is there if one of our number was killed just here
                os.unlink(_path(self._beside(address)))
        await start([self._beside(address) for address in self.listen])
        for address in sockets:
            os.rename(_path(self._beside(address)), _path(address))

    def _beside(self, address: str) -> str:
        return f"{address}.{self.number}" if address.startswith(PREFIX) else address


def _path(address: str) -> str:
    return address.removeprefix(PREFIX)
