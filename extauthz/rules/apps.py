"""Which app a request belongs to."""

from collections.abc import Sequence

from extauthz.policy import Policy
from extauthz.reason import Reason
from extauthz.request import Request


def select(request: Request, policies: Sequence[Policy]) -> Policy | Reason:
    """The app named by the route, else by the host, else the only one there is.

    A route that names one app on the host of another contradicts itself, and is refused.
    """
    host = host_name(request.host)
    owners = [policy for policy in policies if host in policy.hosts]
    named = request.context.get("app")
    if named is not None:
        candidates = [policy for policy in owners or policies if policy.app == named]
    else:
        candidates = owners or list(policies)
    if len(candidates) != 1 or (candidates[0].hosts and not owners):
        return Reason.UNKNOWN_APP
    return candidates[0]


def host_name(host: str) -> str:
    """The host without its port, in lower case. An IPv6 address keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
