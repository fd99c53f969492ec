"""A thousand first requests of one session at once."""

import asyncio
from collections.abc import Callable
from typing import cast

import grpc.aio
import pytest
from e2e_faults.sick_server import SickServer
from proxy_world.door import CHECK, by_map
from worlds.tokens import sealed_for

from demo.world import LocalWorld
from extauthz._pb.envoy.service.auth.v3.external_auth_pb2 import CheckResponse

REQUESTS = 1000


@pytest.mark.anyio
async def test_one_introspection_for_a_thousand(world: LocalWorld, server: SickServer) -> None:
    """All of them are let through with the same JWT, and the authorization server is asked once."""
    cookie = sealed_for(world.settings.folder, "sick", "stampede.1")
    question = by_map(usual=(("token-handler-version", "1"), ("cookie", cookie)))
    question.attributes.request.http.host = "sick.example"
    message = question.SerializeToString()
    server.well = True
    server.gate.clear()
    async with grpc.aio.insecure_channel("{}:{}".format(*world.settings.places.extauthz)) as channel:
        call = cast("Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]]", channel.unary_unary(CHECK))
        calls = [asyncio.ensure_future(_answer(call(message, timeout=30))) for _ in range(REQUESTS)]
        await asyncio.to_thread(server.asked_once.wait)
        server.gate.set()
        answers = await asyncio.gather(*calls)
    server.well = False
    assert {answer.status.code for answer in answers} == {0}
    assert len({answer.ok_response.headers[0].header.value for answer in answers}) == 1
    assert server.asked == {"stampede": 1}


async def _answer(call: grpc.aio.UnaryUnaryCall[bytes, bytes]) -> CheckResponse:
    return CheckResponse.FromString(await call)
