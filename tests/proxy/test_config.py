"""The configuration: what is accepted, and that every mistake is told at once, by key, in one line."""

from pathlib import Path

import pytest
from proxy_world.installation import MINIMAL, install, loaded, minimal, put

from extauthz.config import AppConfig, ConfigError, Program, Secret, cookie_names, load
from extauthz.cookies.hpke import Opener, Sealer
from extauthz.cookies.purpose import Purpose

BOTH = pytest.mark.parametrize("program", Program)


@BOTH
def test_ten_lines_are_enough(tmp_path: Path, program: Program) -> None:
    """The smallest configuration is ten lines long, and both programs start with it."""
    config = loaded(tmp_path, program=program)
    assert len(MINIMAL.splitlines()) == 10
    assert config.extauthz.listen == ["127.0.0.1:9191"]
    assert not config.extauthz.reflection
    assert config.apps["shop"].origins == {"https://www.shop.example"}
    assert config.apps["shop"].upstream.cache_seconds == 60


def test_what_the_agent_seals_the_proxy_opens(tmp_path: Path) -> None:
    """The two programs' halves of one configuration fit each other."""
    path = install(tmp_path)
    agent, proxy = (load(path, program, {}).apps["shop"] for program in (Program.AGENT, Program.EXTAUTHZ))
    purpose = Purpose("shop", cookie_names("shop", agent).access_token)
    assert agent.cookie.public_key_file is not None
    sealed = Sealer(agent.cookie.public_key_file, purpose).seal(b"text")
    assert Opener([key for key in proxy.cookie.private_key_files if key], purpose).open(sealed) == b"text"


def test_every_mistake_at_once(tmp_path: Path) -> None:
    """Five mistakes are five lines, each beginning with its key."""
    mistakes: dict[str, object] = {
        "extauthz.listen": ["9191"],
        "log.level": "loud",
        "apps.shop.issuer": None,
        "apps.shop.spa_ulr": "https://www.shop.example/",
        "apps.shop.cookie.private_key_files": ["nosuch.pem"],
    }
    problems = _problems(tmp_path, mistakes)
    assert [problem.partition(": ")[0] for problem in sorted(problems)] == [
        "apps.shop.cookie.private_key_files[0]",
        "apps.shop.issuer",
        "apps.shop.spa_ulr",
        "extauthz.listen[0]",
        "log.level",
    ]
    assert all("\n" not in problem for problem in problems)


MISTAKES: list[tuple[str, object, str]] = [
    ("apps", {}, "apps: "),
    ("apps.shop.client_id", None, "apps.shop.client_id: is needed"),
    ("apps.shop.client_id", "", "apps.shop.client_id: "),
    ("apps.shop.cookie", None, "apps.shop.cookie: is needed"),
    ("apps.shop.cookie.private_key_files", None, "apps.shop.cookie.private_key_files: is needed"),
    ("apps.shop.cookie.private_key_files", [], "apps.shop.cookie.private_key_files: is needed"),
    ("apps.shop.client_secret_file", None, "apps.shop.client_secret_file: is needed"),
    ("apps.shop.client_secret_file", "", "apps.shop.client_secret_file: a file name is needed"),
    ("apps.shop.client_secret_file", "nosuch", "apps.shop.client_secret_file: no such file"),
    ("apps.shop.client_secret_file", ".", "apps.shop.client_secret_file: cannot read"),
    ("apps.shop.client_secret", "x", "apps.shop.client_secret: a secret does not belong in this file"),
    ("apps.shop.upstream.client_secret", "x", "apps.shop.upstream.client_secret: a secret does not belong"),
    ("apps.shop.upstream.client_id", "proxy", "apps.shop.upstream.client_secret_file: is needed"),
    ("apps.shop.upstream.way", "magic", "apps.shop.upstream.way: "),
    ("apps.shop.upstream.cache_seconds", -1, "apps.shop.upstream.cache_seconds: "),
    ("apps.shop.upstream.cache_seconds", 3601, "apps.shop.upstream.cache_seconds: "),
    ("apps.shop.ca_file", "nosuch.pem", "apps.shop.ca_file: no such file"),
    ("apps.shop.issuer", "http://login.example", "apps.shop.issuer: must be https"),
    ("apps.shop.issuer", "http://localhost.evil.example", "apps.shop.issuer: must be https"),
    ("apps.shop.issuer", "http://127.evil.example", "apps.shop.issuer: must be https"),
    ("apps.shop.issuer", "login.example", "apps.shop.issuer: an https URL"),
    ("apps.shop.issuer", "https://login.example/?x=1", "apps.shop.issuer: an https URL"),
    ("apps.shop.issuer", "https://me@login.example", "apps.shop.issuer: an https URL"),
    ("apps.shop.spa_url", "http://www.shop.example/", "apps.shop.spa_url: must be https"),
    ("apps.shop.spa_url", "ftp://www.shop.example/", "apps.shop.spa_url: an https URL"),
    ("apps.shop.redirect_uri", "https://evil.example/", "apps.shop.redirect_uri: must have the origin of spa_url"),
    ("apps.shop.trusted_origins", ["*"], "apps.shop.trusted_origins[0]: "),
    ("apps.shop.trusted_origins", ["null"], "apps.shop.trusted_origins[0]: "),
    ("apps.shop.trusted_origins", ["https://*.shop.example"], "apps.shop.trusted_origins[0]: a URL is ASCII"),
    ("apps.shop.trusted_origins", ["http://x.example"], "apps.shop.trusted_origins: must be https"),
    ("apps.shop.parent_domain", "op.example", "apps.shop.parent_domain: must be the host"),
    ("apps.shop.trusted_origins", ["https://x.example/"], "apps.shop.trusted_origins[0]: an origin is"),
    ("apps.shop.trusted_origins", ["https://X.example"], "apps.shop.trusted_origins[0]: an origin is"),
    ("apps.shop.trusted_origins", ["https://x.example:443"], "apps.shop.trusted_origins[0]: an origin is"),
    ("apps.shop.hosts", ["API.shop.example"], "apps.shop.hosts[0]: a host name in lower case"),
    ("apps.shop.hosts", ["api.shop.example:443"], "apps.shop.hosts[0]: a host name in lower case"),
    ("apps.shop.scope", "openid  profile", "apps.shop.scope: scope tokens"),
    ("apps.shop.agent_path", "oauth-agent", "apps.shop.agent_path: a path like"),
    ("apps.shop.agent_path", "/", "apps.shop.agent_path: a path like"),
    ("extauthz.listen", [], "extauthz.listen: "),
    ("extauthz.listen", ["unix:relative"], "extauthz.listen[0]: a listener is"),
    ("extauthz.cache.max_entries", 0, "extauthz.cache.max_entries: "),
    ("extauthz.drain_seconds", "soon", "extauthz.drain_seconds: "),
    ("extauthz.listen", ["127.0.0.1:65536"], "extauthz.listen[0]: a port is at most 65535"),
    ("apps.shop.agent_path", "/healthz", "apps.shop.agent_path: /healthz is where probes ask"),
    ("apps.shop.authorization_parameters", ["state"], "apps.shop.authorization_parameters: the agent sets this itself"),
    ("apps.shop.refresh_parameters", ["grant_type"], "apps.shop.refresh_parameters: the agent sets this itself"),
    ("extauhtz", {"listen": []}, "extauhtz: there is no such setting"),
]


@pytest.mark.parametrize(("key", "value", "line"), MISTAKES, ids=lambda value: str(value)[:40])
def test_mistakes(tmp_path: Path, key: str, value: object, line: str) -> None:
    """A mistake is one line that begins with the key and says what is wrong."""
    (problem,) = _problems(tmp_path, {key: value})
    assert problem.startswith(line)


OURS = [
    *("client_id", "client_secret", "code", "code_challenge", "code_challenge_method", "code_verifier", "grant_type"),
    *("nonce", "redirect_uri", "refresh_token", "request", "request_uri", "response_mode", "response_type", "state"),
]


@pytest.mark.parametrize("parameter", OURS)
@pytest.mark.parametrize("setting", ["authorization_parameters", "refresh_parameters"])
def test_no_app_chooses_what_makes_a_request_the_agents(tmp_path: Path, setting: str, parameter: str) -> None:
    """An app that could set one of these could have codes sent elsewhere, or PKCE taken back."""
    (problem,) = _problems(tmp_path, {f"apps.shop.{setting}": [parameter]})
    assert problem == f"apps.shop.{setting}: the agent sets this itself: {parameter}"


@pytest.mark.parametrize("name", ["Shop", "-shop", "shop-", "my_shop", "", "a" * 33, "shop; x", "shöp"])
def test_app_names(tmp_path: Path, name: str) -> None:
    """An app's name stands in cookie names, so it is short and plain."""
    document = minimal()
    document["apps"] = {name: document["apps"]["shop"]}
    with pytest.raises(ConfigError, match="an app's name is"):
        load(install(tmp_path, document), Program.EXTAUTHZ, {})


@pytest.mark.parametrize("path", ["/oauth-agent", "/oauth-agent/bank"])
def test_two_agents_on_one_path(tmp_path: Path, path: str) -> None:
    """Two apps whose agents have the same path, or one below the other's, cannot be told apart."""
    document = minimal()
    document["apps"]["bank"] = document["apps"]["shop"] | {"agent_path": path}
    with pytest.raises(ConfigError, match="share the agent_path"):
        load(install(tmp_path, document), Program.EXTAUTHZ, {})


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:1", "http://idp.localhost"])
def test_plain_http_on_loopback(tmp_path: Path, url: str) -> None:
    """On this machine plain http leaks nothing."""
    assert loaded(tmp_path, {"apps.shop.issuer": url}).apps["shop"].issuer == url


def test_plain_http_in_a_test_network(tmp_path: Path) -> None:
    """Beyond this machine it has to be asked for by name."""
    changes: dict[str, object] = {"apps.shop.issuer": "http://idp.test", "apps.shop.allow_http": True}
    assert loaded(tmp_path, changes).apps["shop"].issuer == "http://idp.test"


@pytest.mark.parametrize(
    ("contents", "line"),
    [
        (b"apps: [", "not YAML, line"),
        (b"apps:\n\t- x", "not YAML, line 2"),
        (b"\xff\xfe\xff", "not YAML"),
        (b"", "holds no settings"),
        (b"just words", "holds no settings"),
        (b"!!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_a_file_that_is_no_configuration(tmp_path: Path, contents: bytes, line: str) -> None:
    """A file that cannot be read as settings is one line that names it."""
    path = tmp_path / "token-handler.yaml"
    path.write_bytes(contents)
    with pytest.raises(ConfigError) as refused:
        load(path, Program.EXTAUTHZ, {})
    (problem,) = refused.value.problems
    assert problem.startswith(f"{path}: {line}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that is missing is one line that names it."""
    with pytest.raises(ConfigError, match=r"nosuch\.yaml: No such file"):
        load(tmp_path / "nosuch.yaml", Program.EXTAUTHZ, {})


def test_a_written_secret_is_not_repeated(tmp_path: Path) -> None:
    """A secret that was written into the file does not appear in the complaint about it."""
    for key in ("apps.shop.client_secret", "apps.shop.cookie.client_secret", "client_secret"):
        assert "hunter2" not in str(_problems(tmp_path, {key: "hunter2"}))


def test_the_file_names_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the program is started, key files are found beside the configuration; absolute names work too."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert loaded(tmp_path).apps["shop"].client_secret_file == Secret("s3cr3t-of-the-shop")
    absolute = str(tmp_path / "client.secret")
    assert loaded(tmp_path, {"apps.shop.client_secret_file": absolute}).apps["shop"].client_secret_file is not None


def test_the_newline_of_a_secret_file_is_not_part_of_it(tmp_path: Path) -> None:
    """Editors end files with a newline; blanks inside the secret are its own."""
    path = install(tmp_path)
    for contents, secret in ((b"x y\r\n", "x y"), (b" x ", " x "), ("é\n".encode(), "é")):
        (tmp_path / "client.secret").write_bytes(contents)
        assert _secret(load(path, Program.EXTAUTHZ, {}).apps["shop"]) == secret
    for contents in (b"", b"\n", b"\xff"):
        (tmp_path / "client.secret").write_bytes(contents)
        with pytest.raises(ConfigError, match=r"apps\.shop\.client_secret_file: "):
            load(path, Program.EXTAUTHZ, {})


@pytest.mark.parametrize(
    ("program", "unread"),
    [
        (Program.EXTAUTHZ, ["cookie.public_key_file", "cookie.session_key_files"]),
        (Program.AGENT, ["cookie.private_key_files", "upstream.client_secret_file"]),
    ],
)
def test_each_program_opens_only_its_own_files(tmp_path: Path, program: Program, unread: list[str]) -> None:
    """The agent starts without the private key there, and the proxy without the agent's keys there."""
    changes: dict[str, object] = {}
    for key in unread:
        changes[f"apps.shop.{key}"] = ["nosuch"] if key.endswith("files") else "nosuch"
    loaded(tmp_path, changes, program=program)


def test_a_proxy_with_its_own_client_does_not_open_the_apps_secret(tmp_path: Path) -> None:
    """When the proxy introspects as itself, the app's secret is the agent's alone."""
    changes: dict[str, object] = {
        "apps.shop.client_secret_file": "nosuch",
        "apps.shop.upstream.client_id": "proxy",
        "apps.shop.upstream.client_secret_file": "client.secret",
    }
    loaded(tmp_path, changes)
    with pytest.raises(ConfigError, match=r"apps\.shop\.client_secret_file: no such file"):
        loaded(tmp_path, changes, program=Program.AGENT)


HINTS = [
    ("apps.shop.spaurl", "is apps.<name>.spa_url meant?"),
    ("apps.shop.audience", "is apps.<name>.upstream.audience meant?"),
    ("apps.shop.upstream.audiense", "is apps.<name>.upstream.audience meant?"),
    ("operations", "is extauthz.operations meant?"),
    ("apps.shop.cookie.prefx", "is apps.<name>.cookie.prefix meant?"),
    ("apps.shop.rediect_uri", "is apps.<name>.redirect_uri meant?"),
]


@pytest.mark.parametrize(("key", "hint"), HINTS)
def test_a_misspelt_setting_is_told_with_the_one_that_may_be_meant(tmp_path: Path, key: str, hint: str) -> None:
    """A setting of nearly that name, or of that name in another group, is named in the complaint."""
    assert f"{key}: there is no such setting; {hint}" in _problems(tmp_path, {key: "x"})


def test_a_setting_like_no_other_gets_no_hint(tmp_path: Path) -> None:
    """A guess that would only mislead is not made."""
    assert _problems(tmp_path, {"apps.shop.colour": "x"}) == ["apps.shop.colour: there is no such setting"]


@pytest.mark.parametrize("word", ["off", '"off"', "'off'"])
def test_off_is_a_word(tmp_path: Path, word: str) -> None:
    """`auth: off` means what it says, quoted or not, in the file and in the environment."""
    path = install(tmp_path)
    path.write_text(f"{MINIMAL}    routes: [{{path: /a, auth: {word}}}]\n")
    assert load(path, Program.EXTAUTHZ, {}).apps["shop"].routes[0].auth == "off"
    path.write_text(MINIMAL)
    environ = {"TOKEN_HANDLER__APPS__SHOP__ROUTES": f"[{{path: /a, auth: {word}}}]"}
    assert load(path, Program.EXTAUTHZ, environ).apps["shop"].routes[0].auth == "off"


@pytest.mark.parametrize(
    ("word", "value"), [("true", True), ("yes", True), ("on", True), ("false", False), ("no", False)]
)
def test_truth_may_be_written_in_any_of_the_usual_words(tmp_path: Path, word: str, value: bool) -> None:
    """Where a truth value is needed, the older words for it still serve."""
    path = install(tmp_path)
    path.write_text(f"{MINIMAL}    dry_run: {word}\n")
    assert load(path, Program.EXTAUTHZ, {}).apps["shop"].dry_run is value


def test_the_address_of_the_metadata_is_no_issuer(tmp_path: Path) -> None:
    """A pasted discovery URL is told before the first login fails."""
    url = "https://login.example/.well-known/openid-configuration"
    assert _problems(tmp_path, {"apps.shop.issuer": url}) == [
        "apps.shop.issuer: the issuer identifier is needed: what stands before /.well-known/"
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The whole name that was tried, where it looks like a name; a pasted key is not repeated."""
    [problem] = _problems(tmp_path, {"apps.shop.client_secret_file": "secrets/client-secret"})
    assert problem == f"apps.shop.client_secret_file: no such file: {tmp_path}/secrets/client-secret"
    [silent] = _problems(tmp_path, {"apps.shop.client_secret_file": "3f" * 32})
    assert "3f3f" not in silent


def test_a_variable_with_one_underscore_too_few_is_told(tmp_path: Path) -> None:
    """It would be passed over in silence, and what it was meant to protect left open."""
    with pytest.raises(ConfigError, match="TOKEN_HANDLER_APPS__SHOP__DRY_RUN: two underscores are needed"):
        loaded(tmp_path, environ={"TOKEN_HANDLER_APPS__SHOP__DRY_RUN": "false"})


@pytest.mark.parametrize("secret", ["c2VjcmV0" * 6, "c2Vj/" + "cmV0" * 8, "cmV0" * 8 + "/c2Vj", "c2Vj+cmV0/c2Vj="])
def test_a_secret_in_the_place_of_its_file_is_not_shown(tmp_path: Path, secret: str) -> None:
    """What is no file name may be the secret itself, slashes and all, and stays out of the complaint."""
    (problem,) = _problems(tmp_path, {"apps.shop.client_secret_file": secret})
    assert "c2Vj" not in problem
    assert "cmV0" not in problem


def test_methods_are_written_in_capitals(tmp_path: Path) -> None:
    """Browsers compare them letter by letter."""
    [problem] = _problems(tmp_path, {"apps.shop.cors": {"allow_methods": ["GET", "put"]}})
    assert problem == "apps.shop.cors.allow_methods[1]: methods are written in capitals: GET"


def _problems(folder: Path, changes: dict[str, object]) -> list[str]:
    document = minimal()
    for key, value in changes.items():
        put(document, key, value)
    with pytest.raises(ConfigError) as refused:
        load(install(folder, document), Program.EXTAUTHZ, {})
    return refused.value.problems


def _secret(app: AppConfig) -> str:
    assert app.client_secret_file is not None
    return app.client_secret_file.reveal()
