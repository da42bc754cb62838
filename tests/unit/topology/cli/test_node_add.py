"""`catena nodes add`: a node comes into the list once it answers, and a mistake leaves the list as it is."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.helpers.odd_server import closed_port
from tests.helpers.sandbox_servers import Sandbox
from topology.cli.main import main
from topology.membership import CatalogueList

pytestmark = pytest.mark.usefixtures("own_folder")


def add(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["nodes", "add", *arguments])
    return result.exit_code, result.output


def test_add_puts_a_node_into_the_list(tmp_path: Path) -> None:
    path = tmp_path / "nodes.json"

    for number in (1, 2):
        url = f"http://n{number}:3030/catalogue"
        assert add(f"node_{number}", url, "--weight", "2", "--no-check", "--list", str(path))[0] == 0

    members = CatalogueList(str(path)).members()
    assert [(member.id, member.weight) for member in members] == [("node_1", 2.0), ("node_2", 2.0)]


@pytest.mark.parametrize(
    ("node", "url", "said"),
    [
        ("node_1", "http://other:3030/catalogue", "already"),
        ("node_2", "http://n1:3030/catalogue", "two nodes at"),
        ("node_2", "n2:3030", "no usable catalogue_url"),
    ],
)
def test_add_of_a_wrong_node_leaves_the_list_as_it_is(tmp_path: Path, node: str, url: str, said: str) -> None:
    path = tmp_path / "nodes.json"
    add("node_1", "http://n1:3030/catalogue", "--no-check", "--list", str(path))
    before = path.read_bytes()

    status, output = add(node, url, "--no-check", "--list", str(path))

    assert (status, said in output) == (1, True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("is_new", [True, False])
def test_add_on_a_full_disk_leaves_the_list_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    path = tmp_path / "nodes.json"
    if not is_new:
        add("node_1", "http://n1:3030/catalogue", "--no-check", "--list", str(path))
    before = None if is_new else path.read_bytes()
    write = Path.write_bytes

    def write_a_part(file: Path, content: bytes) -> int:
        if b"node_2" not in content:
            return write(file, content)
        write(file, content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_a_part)
    status, output = add("node_2", "http://n2:3030/catalogue", "--no-check", "--list", str(path))

    assert (status, "No space left on device" in output) == (1, True)
    assert (path.read_bytes() if path.exists() else None) == before


def test_add_of_a_node_that_does_not_answer_says_how_to_add_it_all_the_same(tmp_path: Path) -> None:
    status, output = add("n", f"http://127.0.0.1:{closed_port()}/catalogue", "--list", str(tmp_path / "nodes.json"))

    assert (status, "--no-check" in output) == (1, True)
    assert not (tmp_path / "nodes.json").exists()


def test_add_of_a_node_with_a_password_keeps_the_list_from_others_or_warns(tmp_path: Path) -> None:
    path, shown = tmp_path / "nodes.json", tmp_path / "shown.json"
    shown.touch(mode=0o644)
    shown.write_text("{}")

    for file in (path, shown):
        status, output = add("n", "http://ada:secret@n:3030", "--no-check", "--list", str(file))
        assert (status, "chmod 600" in output) == (0, file is shown)
    assert path.stat().st_mode & 0o777 == 0o600


def test_add_of_a_node_named_by_its_address_drops_the_password_of_the_name(tmp_path: Path) -> None:
    path, url = tmp_path / "nodes.json", "http://ada:a-password@n:3030/catalogue"

    status, output = add(url, url.replace("ada:", "eve:"), "--list", str(path))
    assert (status, "a-password" in output) == (1, False)

    status, output = add(url, url, "--no-check", "--list", str(path))
    assert (status, "a-password" in output) == (0, False)
    assert [member.id for member in CatalogueList(str(path)).members()] == ["http://n:3030/catalogue"]


def test_add_of_a_node_that_is_well_puts_it_into_the_list_of_the_settings(
    node: Sandbox, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOGUE_LIST", "mine.json")

    status, output = add("node_1", node.url)

    assert (status, "node_1 is in mine.json" in output) == (0, True), output
    entry = {"id": "node_1", "catalogue_url": node.url}
    assert json.loads((own_folder / "mine.json").read_bytes()) == {"node_1": entry}


@pytest.mark.parametrize("path", ["/catalogue", "/catalogue/health"])
def test_add_of_a_node_that_is_not_well_is_refused(node: Sandbox, own_folder: Path, path: str) -> None:
    node.faults(error_rate=1, status=503, paths=[path])

    status, output = add("node_1", node.url, "--list", "nodes.json")

    assert (status, "--no-check" in output) == (1, True), output
    assert not (own_folder / "nodes.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, "\xff"])
def test_add_to_a_file_that_is_no_list_leaves_it_as_it_is(own_folder: Path, content: str) -> None:
    (own_folder / "nodes.json").write_text(content, "latin-1")

    status, output = add("n", "http://n:3030", "--no-check", "--list", "nodes.json")

    assert (status, "nodes.json is not a list of nodes" in output) == (1, True), output
    assert (own_folder / "nodes.json").read_text("latin-1") == content


@pytest.mark.parametrize("weight", ["0", "101", "nan", "much"])
def test_add_of_a_weight_that_is_none_is_refused(own_folder: Path, weight: str) -> None:
    status, output = add("n", "http://n:3030", "--no-check", "--list", "nodes.json", "--weight", weight)

    assert (status != 0, "weight" in output) == (True, True), output
    assert not (own_folder / "nodes.json").exists()


def test_add_writes_the_file_in_its_place(own_folder: Path) -> None:
    (own_folder / "mounted.json").write_text("{}")
    (own_folder / "nodes.json").symlink_to("mounted.json")
    before = (own_folder / "mounted.json").stat().st_ino

    assert add("n", "http://n:3030", "--no-check", "--list", "nodes.json")[0] == 0

    assert (own_folder / "mounted.json").stat().st_ino == before
    assert "http://n:3030" in (own_folder / "mounted.json").read_text()
