"""Settings from the environment, and the JSON schema that tells editors what there is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proxy_world.installation import install, loaded, minimal
from pydantic import BaseModel

from extauthz.config import Config, ConfigError, Program, load, schema


@pytest.mark.parametrize(
    ("variable", "value", "seen"),
    [
        ("TOKEN_HANDLER__APPS__SHOP__CLIENT_ID", "other", lambda c: c.apps["shop"].client_id == "other"),
        ("TOKEN_HANDLER__LOG__LEVEL", "debug", lambda c: c.log.level == "debug"),
        ("TOKEN_HANDLER__EXTAUTHZ__CACHE__MAX_ENTRIES", "7", lambda c: c.extauthz.cache.max_entries == 7),
        ("TOKEN_HANDLER__EXTAUTHZ__REFLECTION", "true", lambda c: c.extauthz.reflection is True),
        ("TOKEN_HANDLER__EXTAUTHZ__LISTEN", "[unix:/run/x]", lambda c: c.extauthz.listen == ["unix:/run/x"]),
        ("TOKEN_HANDLER__APPS__SHOP__UPSTREAM__AUDIENCE", "api", lambda c: c.apps["shop"].upstream.audience == "api"),
        ("TOKEN_HANDLER__APPS__SHOP__HOSTS", '["a.example"]', lambda c: c.apps["shop"].hosts == ["a.example"]),
        ("TOKEN_HANDLER__APPS__SHOP__CLIENT_ID", "123", lambda c: c.apps["shop"].client_id == "123"),
    ],
)
def test_a_setting_of_the_environment_wins(tmp_path: Path, variable: str, value: str, seen: Any) -> None:
    """A variable named after the key replaces the file's value, or the default."""
    assert seen(loaded(tmp_path, environ={variable: value, "TOKEN_HANDLER_CONFIG": "x", "PATH": "/"}))


def test_an_app_with_a_hyphen(tmp_path: Path) -> None:
    """An underscore stands for the hyphen that a variable's name cannot hold."""
    document = minimal()
    document["apps"] = {"my-shop": document["apps"]["shop"]}
    environ = {"TOKEN_HANDLER__APPS__MY_SHOP__CLIENT_ID": "other"}
    assert load(install(tmp_path, document), Program.EXTAUTHZ, environ).apps["my-shop"].client_id == "other"


def test_a_secret_from_the_environment(tmp_path: Path) -> None:
    """CLIENT_SECRET replaces client_secret_file, whose file is then not opened, and is shown nowhere."""
    changes: dict[str, object] = {"apps.shop.client_secret_file": None}
    for key in ({}, {"apps.shop.client_secret_file": "nosuch"}):
        config = loaded(tmp_path, changes | key, environ={"TOKEN_HANDLER__APPS__SHOP__CLIENT_SECRET": "hunter2\n"})
        secret = config.apps["shop"].client_secret_file
        assert secret is not None
        assert secret.reveal() == "hunter2\n"
        assert "hunter2" not in repr(config)


def test_the_proxys_own_secret_from_the_environment(tmp_path: Path) -> None:
    """The proxy's own client may have its secret from there too."""
    environ = {
        "TOKEN_HANDLER__APPS__SHOP__UPSTREAM__CLIENT_ID": "proxy",
        "TOKEN_HANDLER__APPS__SHOP__UPSTREAM__CLIENT_SECRET": "hunter2",
    }
    secret = loaded(tmp_path, environ=environ).apps["shop"].upstream.client_secret_file
    assert secret is not None
    assert secret.reveal() == "hunter2"


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("TOKEN_HANDLER__APPS__SHOP__CLIENT_IDD", "x", "apps.shop.client_idd: there is no such setting"),
        ("TOKEN_HANDLER__LOG__LEVEL", "loud", "log.level: "),
        ("TOKEN_HANDLER__APPS__SHOP__ISSUER__X", "x", "TOKEN_HANDLER__APPS__SHOP__ISSUER__X: there is no such group"),
        ("TOKEN_HANDLER__EXTAUTHZ__CACHE__MAX_ENTRIES", "many", "extauthz.cache.max_entries: "),
        ("TOKEN_HANDLER__LOGG__LEVEL", "info", "logg: there is no such setting"),
    ],
)
def test_a_variable_that_sets_nothing(tmp_path: Path, variable: str, value: str, line: str) -> None:
    """A mistyped variable is a mistake like one in the file, not silence."""
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, environ={variable: value})
    (problem,) = refused.value.problems
    assert problem.startswith(line)


def test_mistakes_of_file_and_environment_together(tmp_path: Path) -> None:
    """A written secret, a variable without a group and a bad value are told in one go."""
    with pytest.raises(ConfigError) as refused:
        loaded(
            tmp_path,
            {"apps.shop.client_secret": "x", "log.level": "loud"},
            environ={"TOKEN_HANDLER__APPS__SHOP__ISSUER__X": "x"},
        )
    assert len(refused.value.problems) == 3


def test_the_schema_names_every_setting() -> None:
    """Each setting of each section is in the schema, and nothing beside them is allowed."""
    document = schema()
    for section in sections(Config):
        described = document if section is Config else document["$defs"][section.__name__]
        assert set(described["properties"]) == set(section.model_fields)
        assert described["additionalProperties"] is False


def test_the_schema_is_one() -> None:
    """Every type in it is one of JSON Schema's, and every reference leads somewhere."""
    document = schema()
    types = {"object", "array", "string", "number", "integer", "boolean", "null"}
    for part in parts(document):
        if isinstance(part.get("type"), str):
            assert part["type"] in types
        if isinstance(part.get("$ref"), str):
            assert part["$ref"].removeprefix("#/$defs/") in document["$defs"]
        if isinstance(part.get("required"), list):
            assert set(part["required"]) <= set(part["properties"])


def test_the_schema_wants_files_for_keys_and_secrets() -> None:
    """What an editor sees of a key or a secret is a file name."""
    definitions = schema()["$defs"]
    for section, name in (
        ("AppConfig", "client_secret_file"),
        ("UpstreamConfig", "client_secret_file"),
        ("CookieConfig", "public_key_file"),
    ):
        assert definitions[section]["properties"][name]["type"] == "string"
    for name in ("private_key_files", "session_key_files"):
        described = definitions["CookieConfig"]["properties"][name]
        assert (described["type"], described["items"]) == ("array", {"type": "string"})


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """`model` and all models below it."""
    yield model
    for field in model.model_fields.values():
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for candidate in candidates:
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                yield from sections(candidate)


def parts(document: object) -> Iterator[dict[str, Any]]:
    """Every object in a JSON document."""
    if isinstance(document, dict):
        yield document
    for child in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from parts(child)
