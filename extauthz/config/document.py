"""YAML as we read it: no key twice, and no word is a truth value but true and false."""

import re
from pathlib import Path
from typing import Any

import yaml

from extauthz.config.errors import ConfigError

_BOOL = "tag:yaml.org,2002:bool"


def read_document(path: Path) -> dict[str, Any]:
    """The settings in a file. Raises ConfigError."""
    try:
        document = _loaded(path.read_text())
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        # What YAML quotes at length is the file's text, and may be a secret.
        what = re.sub(r"'[^'<\\]{4,}.*", "...", error.problem or "") if isinstance(error, yaml.MarkedYAMLError) else ""
        raise ConfigError([f"{path}: not YAML{where}" + (f": {what}" if what else "")]) from error
    if not isinstance(document, dict):
        raise ConfigError([f"{path}: holds no settings; a group of them is needed, as in apps:"])
    return document


def read_value(text: str) -> Any:
    """A list or group in a variable. Raises YAMLError, ValueError or RecursionError."""
    return _loaded(text)


def _loaded(text: str) -> Any:
    return yaml.load(text, _Loader)  # noqa: S506  # a SafeLoader


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one group: which of two settings counts must not be a matter of order.

    `auth: off` is the word, as in YAML 1.2; to YAML 1.1 it would be false, and `no` an app that cannot be named.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping without repeated keys."""
        seen: set[object] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))
