"""What every group of settings has in common."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationInfo

from extauthz.config.files import Program, loading

V = TypeVar("V")


class Section(BaseModel):
    """A group of settings; an unknown key is a mistake, not a comment."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        validate_default=True,
    )


def needed(value: V, info: ValidationInfo, program: Program, why: str = "") -> V:
    """`value`, or a ValueError when `program` is the one being configured and it is missing."""
    return given(value, why) if loading(info).program is program else value


def given(value: V, why: str = "") -> V:
    """`value`, or a ValueError when it is missing."""
    if not value:
        raise ValueError(f"is needed {why}".rstrip())
    return value
