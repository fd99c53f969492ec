"""What is wrong with a configuration."""


class ConfigError(Exception):
    """A configuration that cannot be used. `problems`: one line each, beginning with the key."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
