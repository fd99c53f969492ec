"""Reading the configuration: YAML, then the environment over it, then one validation that tells every problem."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from extauthz.config.document import read_document, read_value
from extauthz.config.errors import ConfigError
from extauthz.config.files import Loading, Program, Secret
from extauthz.config.hints import hint
from extauthz.config.model import Config

# TOKEN_HANDLER__APPS__SHOP__CLIENT_ID=... sets apps.shop.client_id.
PREFIX = "TOKEN_HANDLER__"
# Settings whose file ends in _file, and whose value may come from the environment instead.
SECRETS = frozenset(
    {"client_secret", "client_key", "encryption_key", "password", "previous_encryption_key", "shared_secret"}
)


def load(path: Path, program: Program, environ: Mapping[str, str]) -> Config:
    """The configuration of `program`, its files read. Raises ConfigError with every problem at once."""
    document = read_document(path)
    try:
        problems, told = _prepared(document, environ)
        config = Config.model_validate(document, context=Loading(program, path.parent))
    except ValidationError as error:
        raise ConfigError([*problems, *_lines(error, told)]) from None
    except RecursionError:
        raise ConfigError([f"{path}: refers to itself, or is nested too deeply"]) from None
    if problems:
        raise ConfigError(problems)
    return config


def schema() -> dict[str, Any]:
    """The JSON schema of the file."""
    return Config.model_json_schema()


def _prepared(document: dict[str, Any], environ: Mapping[str, str]) -> tuple[list[str], set[str]]:
    """Make `document` ready for validation: what is wrong so far, and the keys of which no more is to be said."""
    secrets = [*_written_secrets(document, ())]
    problems = [f"{key}: a secret does not belong in this file; use {last}_file" for key, last in secrets]
    problems += _overlay(document, environ)
    gaps = [*_gaps(document, ())]
    problems += [f"{key}: has no value; give it one, or leave it out" for key in gaps]
    return problems, {*gaps, *(f"{key}_file" for key, _ in secrets)}


def _overlay(document: dict[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """Put the environment's settings into `document`; yield what is wrong with them."""
    for variable in sorted(environ):
        if variable.startswith(PREFIX[:-1]) and "__" in variable and not variable.startswith(PREFIX):
            yield f"{variable}: two underscores are needed behind {PREFIX[:-2]}"
        if variable.startswith(PREFIX):
            *groups, key = variable.removeprefix(PREFIX).lower().split("__")
            try:
                _set(document, groups, key, environ[variable])
            except TypeError:
                yield f"{variable}: there is no such group of settings"
            except (yaml.YAMLError, ValueError, RecursionError):
                yield f"{variable}: not YAML"


def _set(document: dict[str, Any], groups: list[str], key: str, text: str) -> None:
    target: Any = document
    for group in groups:
        # App names may hold hyphens, which environment variables cannot.
        existing = next((name for name in target if str(name).replace("-", "_") == group), group)
        target = target.setdefault(existing, {})
        if not isinstance(target, dict):
            raise TypeError
    if key in SECRETS:
        target[f"{key}_file"] = Secret(text)
    else:
        target[key] = read_value(text) if text[:1] in ("[", "{") else text


def _written_secrets(settings: object, where: tuple[object, ...]) -> Iterator[tuple[str, str]]:
    """Take secrets out of the settings; the whole key of each, and its last part."""
    if isinstance(settings, dict):
        for key, value in list(settings.items()):
            if key in SECRETS:
                del settings[key]
                yield _key((*where, key)), key
            else:
                yield from _written_secrets(value, (*where, key))


def _gaps(settings: object, where: tuple[object, ...]) -> Iterator[str]:
    """Keys with nothing behind them; taken for absent, they would switch off what they were meant to switch on."""
    if isinstance(settings, dict | list):
        for key, value in settings.items() if isinstance(settings, dict) else enumerate(settings):
            if value is None and isinstance(settings, dict):
                yield _key((*where, key))
            yield from _gaps(value, (*where, key))


def _lines(error: ValidationError, told: Collection[str]) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        key, kind = _key(problem["loc"]), problem["type"]
        message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
        if key not in told:
            meant = hint(schema(), key) if kind == "extra_forbidden" else ""
            yield f"{key}: {_WORDS.get(kind, message)}{meant}"


def _key(path: tuple[object, ...]) -> str:
    """("apps", "shop", "hosts", 0) as apps.shop.hosts[0]."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path if part != "[key]")
    return text.removeprefix(".")


_WORDS = {
    "missing": "is needed",
    "extra_forbidden": "there is no such setting",
    "list_type": "a list is needed, such as [a, b]",
    "string_type": "a text is needed",
    "too_short": "at least one is needed",
    "dict_type": "a group of settings is needed",
    "model_type": "a group of settings is needed",
    "string_too_short": "a text is needed",
    "bool_parsing": "true or false is needed",
    "bool_type": "true or false is needed",
    "int_parsing": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "int_type": "a whole number is needed",
    "float_parsing": "a number is needed",
    "float_type": "a number is needed",
}
