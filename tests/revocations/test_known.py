"""The list in memory: bounded, expiring, and asked without a search."""

import pytest
from proxy_world.fakes import NOW, Clock

from extauthz.cookies.marks import Kind, KnownBy, mark
from extauthz.revocations.known import Known, Revocation

ADA, GRACE = mark("shop", Kind.SUB, "ada"), mark("shop", Kind.SUB, "grace")
AT = int(NOW * 1000)


def test_sessions_that_began_no_later_are_over() -> None:
    """The moment itself is included: who logs out is out."""
    known = Known(Clock())
    known.add(Revocation(ADA, AT, AT + 100_000))
    assert [known.has_ended(KnownBy((ADA,), since)) for since in (0, AT - 1, AT, AT + 1)] == [True, True, True, False]


def test_any_mark_will_do() -> None:
    """A session is over when one of its marks is listed, and no other is."""
    known = Known(Clock())
    known.add(Revocation(ADA, AT, AT + 100_000))
    assert known.has_ended(KnownBy((GRACE, ADA), AT))
    assert not known.has_ended(KnownBy((GRACE,), AT))
    assert not known.has_ended(KnownBy((), AT))


@pytest.mark.parametrize("order", [1, -1])
def test_the_latest_counts(order: int) -> None:
    """In whatever order two for one mark arrive, the later one holds."""
    known = Known(Clock())
    for at in [AT, AT + 50][::order]:
        known.add(Revocation(ADA, at, at + 100_000))
    assert known.has_ended(KnownBy((ADA,), AT + 50))
    assert len(known) == 1


def test_what_can_be_left_of_no_session_is_forgotten() -> None:
    """When the longest life of a session is over, so is its place in the list."""
    clock = Clock()
    known = Known(clock)
    known.add(Revocation(ADA, AT, AT + 100_000))
    clock.now += 101
    known.add(Revocation(GRACE, AT + 101_000, AT + 201_000))
    assert [revocation.mark for revocation in known] == [GRACE]


def test_the_list_is_bounded() -> None:
    """Beyond the bound the oldest go first."""
    known = Known(Clock(), max_entries=10)
    marks = [mark("shop", Kind.SESSION, str(number)) for number in range(15)]
    for one in marks:
        known.add(Revocation(one, AT, AT + 100_000))
    assert [revocation.mark for revocation in known] == marks[5:]


def test_marks_of_apps_and_kinds_keep_apart() -> None:
    """The same word is another mark in another app, and as another kind of name."""
    marks = {mark(app, kind, "x") for app in ("shop", "bank") for kind in Kind}
    assert len(marks) == 2 * len(Kind)
    assert {len(one) for one in marks} == {16}


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"m": ADA, "at": AT},
        {"m": ADA, "at": str(AT), "until": AT},
        {"m": ADA, "at": True, "until": AT},
        {"m": ADA, "at": 1.5, "until": AT},
        {"m": ADA[:-1], "at": AT, "until": AT},
        {"m": 7, "at": AT, "until": AT},
        {"m": f"{ADA}\n", "at": AT, "until": AT},
    ],
    ids=repr,
)
def test_what_is_no_revocation(members: dict[str, object]) -> None:
    """What somebody else has written ends no session, and is no fault of ours."""
    assert Revocation.read(members) is None


def test_what_is_written_is_read() -> None:
    """All three parts come back."""
    written = Revocation(ADA, AT, AT + 100_000)
    assert Revocation.read(written.members()) == written
