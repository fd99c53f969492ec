"""What setting may have been meant by a name there is not: one spelt nearly so, or the same elsewhere in the file."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any


def hint(schema: dict[str, Any], key: str) -> str:
    """A question to put behind "there is no such setting", or nothing."""
    *groups, name = key.split(".")
    places = list(_places(schema, schema, ""))
    near = get_close_matches(name, {_name(place) for place in places}, n=1, cutoff=0.75)
    if not near:
        return ""
    # Rather in the group it was written in, rather for the whole app than for a route.
    likely = [place for place in places if _name(place) == near[0]]
    best = min(likely, key=lambda place: (_group(place) not in groups[-1:], "[]" in place, len(place)))
    return f"; is {best} meant?"


def _places(schema: dict[str, Any], node: dict[str, Any], where: str) -> Iterator[str]:
    """Every setting below `node`."""
    for name, setting in node.get("properties", {}).items():
        place = f"{where}{name}"
        for inner, between in _groups(schema, setting):
            yield from _places(schema, inner, f"{place}{between}.")
        yield place


def _name(place: str) -> str:
    return place.rpartition(".")[2]


def _group(place: str) -> str:
    return place.rpartition(".")[0].rpartition(".")[2]


def _groups(schema: dict[str, Any], setting: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """The groups of settings a setting can be, and what stands between its name and theirs."""
    forms = [(form, "") for form in (setting, *setting.get("anyOf", []))]
    forms.append((setting.get("additionalProperties") or {}, ".<name>"))
    forms.append((setting.get("items") or {}, "[]"))
    for form, between in forms:
        if "$ref" in form:
            yield schema["$defs"][form["$ref"].rpartition("/")[2]], between
