"""The three people who can sign in, none of whom needs a password."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """One account; the username is also the subject."""

    username: str
    given_name: str
    family_name: str
    about: str

    @property
    def name(self) -> str:
        """The full name."""
        return f"{self.given_name} {self.family_name}"

    @property
    def email(self) -> str:
        """An address that can never exist (RFC 2606)."""
        return f"{self.username}@example.com"

    def claims(self) -> dict[str, object]:
        """The standard claims about this person (OpenID Connect Core 5.1)."""
        return {
            "name": self.name,
            "given_name": self.given_name,
            "family_name": self.family_name,
            "email": self.email,
            "preferred_username": self.username,
        }


PEOPLE = (
    Person("ada", "Ada", "Lovelace", "wrote the first program"),
    Person("alan", "Alan", "Turing", "asked whether machines can think"),
    Person("grace", "Grace", "Hopper", "found the first bug"),
)


def find_person(username: str | None) -> Person | None:
    """Return the person of that username."""
    return next((person for person in PEOPLE if person.username == username), None)
