"""One authorization server: how it is asked, what it says of itself, and the keys it signs with."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

from extauthz.oauth.errors import AuthorizationServerError, Trouble
from extauthz.oauth.http import HttpClient
from extauthz.oauth.jwks import KeySet
from extauthz.oauth.metadata import Discovery, described

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0


class Issuer:
    """`url`: the issuer identifier; `clock`: seconds, any origin; `mutual_tls` as for `Discovery`.

    `endpoints`: of a server that publishes no metadata, as for `described`.
    """

    def __init__(
        self,
        url: str,
        http: HttpClient,
        clock: Callable[[], float],
        *,
        mutual_tls: bool = False,
        endpoints: Mapping[str, str] | None = None,
    ) -> None:
        self.url, self.http = url, http
        known = None if endpoints is None else described(url, endpoints)
        self.discovery = Discovery(url, http, clock, mutual_tls=mutual_tls, known=known)
        self.keys = KeySet(self.discovery, http, clock)

    async def learn(self, report: Callable[[AuthorizationServerError], None]) -> None:
        """Fetch metadata and keys; while that fails, again and again, with longer and longer pauses."""
        for pause in _pauses():
            if await self._knows(report):
                break
            await asyncio.sleep(pause)

    async def _knows(self, report: Callable[[AuthorizationServerError], None]) -> bool:
        try:
            metadata = await self.discovery.metadata()
            if metadata.jwks_uri is not None:  # a server that signs nothing has no keys
                await self.keys.fetch()
        except AuthorizationServerError as error:
            report(error)
            return False
        except Exception as error:  # readiness must not wait in silence, whatever we have overlooked
            report(AuthorizationServerError(Trouble.BAD_ANSWER, f"not understood: {type(error).__name__}"))
            return False
        return True


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
