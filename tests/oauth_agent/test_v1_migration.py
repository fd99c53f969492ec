"""Version 1: what docs/migration.md says of the agent is so."""

import re
from pathlib import Path

import pytest
import yaml

from agent.build import build_api, build_issuer, build_shared
from agent.v1 import V1
from demo.settings import merge
from extauthz.config import LogConfig, Program, load
from extauthz.telemetry import Log, logger

MIGRATION = (Path(__file__).parent.parent.parent / "docs" / "migration.md").read_text()


@pytest.mark.parametrize("program", Program)
def test_the_configuration_serves_for_both_programs(program: Program, tmp_path: Path) -> None:
    """The proxy's, with what is added for the agent, is good for both, and the agent then speaks version 1."""
    blocks = re.findall(r"```yaml\n((?:extauthz|apps):\n.*?)```", MIGRATION, re.DOTALL)
    proxy, agent = (yaml.safe_load(block) for block in blocks)
    (tmp_path / "secrets").mkdir()
    for name, contents in {"encryption.key": "0123456789abcdef" * 4, "client-secret": "x", "agent-secret": "y"}.items():
        (tmp_path / "secrets" / name).write_text(contents)
    (tmp_path / "token-handler.yaml").write_text(yaml.safe_dump(merge(proxy, agent)))
    config = load(tmp_path / "token-handler.yaml", program, {})
    app = config.apps["shop"]
    assert app.api_version == "v1"
    if program is Program.AGENT:
        log = Log(logger(LogConfig()))
        assert isinstance(build_api("shop", app, build_issuer(app), build_shared(config, log), log), V1)
