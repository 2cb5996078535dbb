"""The documentation is short, and its links lead somewhere."""

import re
from pathlib import Path

import pytest
from tests.test_house import ROOMS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGE = ROOT / "proxy" / "mcp_weir"
PLACES = (ROOT, PACKAGE, PACKAGE / "relay", ROOT / "tests", ROOT / "deploy")
CODE, ROOM = re.compile(r"`([^`\n]+)`"), re.compile(r"`(\w+)/?`")
FILE = re.compile(r"[\w./-]*\w\.(py|sql|sh|md|yaml|toml)|(?:[\w-]+/)+")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    dead = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert dead == []


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z][\w-]*)", (ROOT / "README.md").read_text()))
    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = [word for word in CODE.findall(page.read_text()) if FILE.fullmatch(word)]
    assert [word for word in named if not any((place / word).exists() for place in PLACES)] == []


def test_the_map_shows_every_room_and_every_door() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = [line.split("|")[1:4] for line in text.splitlines() if line.startswith("| `")]
    doors = {room: set(re.findall("|".join(ROOMS), may)) for named, _, may in rows for room in ROOM.findall(named)}
    there = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if not path.name.startswith("_")}
    assert there - doors.keys() == set()
    folders = {room for room in ROOMS if (PACKAGE / room).is_dir()}
    assert {room: doors[room] for room in folders} == {room: ROOMS[room] - {"errors"} for room in folders}


def test_the_map_names_what_is_composed() -> None:
    told = set(ROOM.findall((ROOT / "docs" / "architecture.md").read_text()))
    assert {path.stem for path in (PACKAGE / "app").glob("*.py")} - {"__init__"} <= told
