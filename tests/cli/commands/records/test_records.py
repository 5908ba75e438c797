"""Imports, ``stream``, ``log`` and ``verify-receipt`` share the records of a site."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from bundler.bundle.records.site import append, lock_stream
from bundler.trust import keys
from tests.fakes import bundles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import CommandResult, RunAirbundle

KEY, RECEIPT_KEY = keys.generate_key(), keys.generate_key()
SERIAL = 1_700_000_000


class Site:
    """A host with its records, and bundles of one signer."""

    def __init__(self, path: Path, run: RunAirbundle) -> None:
        self.path = path
        self.run = run
        self.records = path / "home/.local/state/airbundle"
        (path / "key.pub").write_bytes(KEY.public.to_pem())
        keys.write_key_pair(path / "receipt", RECEIPT_KEY, None)

    def write_bundle(self, name: str, *, signed: bool = True, **members: Any) -> None:
        signers = (KEY,) if signed else ()
        bundles.write(self.path / name, keys=signers, **{"serial": SERIAL} | members)

    def import_(self, name: str, *options: str, target: str = "oci:inside") -> CommandResult:
        return self.run("import", name, target, "--key", "key.pub", *options)

    def read_log(self) -> list[dict[str, Any]]:
        lines = (self.records / "log.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def site(tmp_path: Path, run_airbundle: RunAirbundle) -> Site:
    return Site(tmp_path, run_airbundle)


def test_first_import_adopts_stream_and_says_so(site: Site):
    site.write_bundle("bundle")
    result = site.import_("bundle")
    assert result.status == 0, result.stderr
    assert f"stream plant-7: not imported before; this import adopts it at serial {SERIAL}" in (
        result.stderr
    )
    (entry,) = site.read_log()
    assert (entry["event"], entry["adopted"], entry["stream"]) == ("import", True, "plant-7")
    again = site.import_("bundle")
    assert (again.status, "not imported before" in again.stderr) == (0, False)
    assert site.run("log", "show").stdout.count("plant-7") == 2


def test_second_stream_needs_adopt(site: Site):
    site.write_bundle("bundle")
    site.write_bundle("other", stream="other")
    assert site.import_("bundle").status == 0
    refused = site.import_("other", target="oci:other")
    assert refused.status == 4
    assert "stream other: not known at this site" in refused.stderr
    assert "--adopt" in refused.stderr
    assert not (site.path / "other/inside").exists()
    assert site.import_("other", "--adopt", target="oci:elsewhere").status == 0
    shown = json.loads(site.run("stream", "show", "--json").stdout)["streams"]
    assert {name: item["serial"] for name, item in shown.items()} == {
        "plant-7": SERIAL,
        "other": SERIAL,
    }


def test_older_bundle_needs_reason_which_is_recorded(site: Site):
    site.write_bundle("new", serial=SERIAL + 1)
    site.write_bundle("old")
    assert site.import_("new").status == 0
    refused = site.import_("old", target="oci:other")
    assert refused.status == 4
    assert "older than the bundle imported before" in refused.stderr
    assert not (site.path / "other").exists()
    assert site.import_("old", "--allow-rollback").status == 2
    options = ("--allow-rollback", "--reason", "outage of line 3", "--receipt", "receipt.json")
    assert site.import_("old", *options).status == 0
    receipt = json.loads((site.path / "receipt.json").read_text())
    for document in (receipt, site.read_log()[-1]):
        assert document["overrides"] == ["--allow-rollback"]
        assert document["reason"] == "outage of line 3"
    assert [entry.get("refusal") for entry in site.read_log()] == [None, "rollback", None]
    assert site.import_("old").status == 4  # the recorded serial is still the higher one


def test_two_bundles_with_one_serial_are_an_alarm_without_override(site: Site):
    site.write_bundle("first")
    site.write_bundle("second", complete=False)
    assert site.import_("first").status == 0
    options = ("--allow-rollback", "--allow-future", "--adopt", "--reason", "test")
    refused = site.import_("second", *options)
    assert refused.status == 4
    assert f"two different bundles with serial {SERIAL}" in refused.stderr
    assert site.read_log()[-1]["refusal"] == "equivocation"
    assert site.run("stream", "reset", "plant-7").status == 2
    assert site.run("stream", "reset", "plant-7", "--reason", "known mistake").status == 0
    assert site.read_log()[-1]["operator"]["user"]
    assert site.import_("second").status == 4
    assert site.import_("second", "--adopt").status == 0


@pytest.mark.parametrize("option", ["--allow-unsigned", "--allow-expired", "--allow-future"])
@pytest.mark.parametrize("reason", [(), ("--reason", " "), ("--reason", "a\nb")])
def test_override_needs_printable_reason(site: Site, option: str, reason: tuple[str, ...]):
    site.write_bundle("bundle")
    assert site.import_("bundle", option, *reason).status == 2
    assert not site.records.exists()


def test_unsigned_bundle_leaves_stream_unknown(site: Site):
    site.write_bundle("unsigned", signed=False, serial=2**40)
    options = ("--allow-unsigned", "--allow-future", "--reason", "test")
    assert site.import_("unsigned", *options).status == 0
    assert json.loads(site.run("stream", "show", "--json").stdout) == {"streams": {}}
    site.write_bundle("signed")
    assert site.import_("signed").status == 0


@pytest.mark.parametrize("name", ["state.json", "log.jsonl"])
def test_lost_file_is_reported_until_records_are_restored(site: Site, name: str):
    site.write_bundle("bundle")
    site.write_bundle("old", serial=SERIAL - 1)
    assert site.import_("bundle").status == 0
    (site.records / name).unlink()
    for command in (("log", "verify"), ("stream", "show")):
        assert site.run(*command).status == 4
    for options in ((), ("--adopt",)):
        refused = site.import_("bundle", *options, target="oci:other")
        assert refused.status == 4
        assert f"{name}: " in refused.stderr
        assert "stream restore --reason" in refused.stderr
    assert not (site.path / "other").exists()
    assert site.run("stream", "restore", "--reason", "disk replaced").status == 0
    assert site.import_("old").status == 4
    assert site.import_("bundle").status == 0


def test_loss_of_both_files_does_not_look_like_a_new_site(site: Site):
    site.write_bundle("bundle")
    site.write_bundle("old", serial=SERIAL - 1)
    assert site.import_("bundle").status == 0
    for name in ("state.json", "log.jsonl"):
        (site.records / name).unlink()
    refused = site.import_("old", "--adopt")
    assert refused.status == 4
    assert "state.json: missing" in refused.stderr
    assert site.run("log", "verify").status == 4


@pytest.mark.parametrize("kept", ["receipts", "evidence"])
def test_records_of_which_one_directory_remains_are_lost(site: Site, kept: str):
    site.write_bundle("bundle")
    assert site.import_("bundle").status == 0
    unsigned = ("--allow-unsigned", "--allow-future", "--reason", "test")
    site.write_bundle("unsigned", signed=False, serial=2**40)
    assert site.import_("unsigned", *unsigned).status == 0
    for path in site.records.iterdir():
        if path.is_dir() and path.name != kept:
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
    refused = site.import_("bundle", "--adopt")
    assert (refused.status, "state.json: missing" in refused.stderr) == (4, True)
    assert f"{kept}/" in refused.stderr
    restored = site.run("stream", "restore", "--reason", "test")
    assert restored.status == 0
    if kept == "receipts":
        (receipt,) = (site.records / kept).glob(f"plant-7-{SERIAL}-*.json")
        assert "plant-7: no serial could be recovered" in restored.stderr
        assert receipt.name in restored.stderr
        assert str(2**40) not in restored.stderr  # the signer of that bundle is not known
    assert site.import_("bundle").status == 4
    assert site.import_("bundle", "--adopt").status == 0


def make_link(path: Path, aside: Path) -> None:
    path.symlink_to(aside)


def make_dangling_link(path: Path, _: Path) -> None:
    path.symlink_to("unmounted")


def make_file(path: Path, _: Path) -> None:
    path.touch()


def make_pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def make_directory(path: Path, _: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "replace", "status"),
    [
        ("log.jsonl", make_link, 4),
        ("state.json", make_link, 4),
        ("locks", make_link, 3),
        ("locks/plant-7", make_link, 3),
        ("log.jsonl", make_pipe, 4),
        ("state.json", make_directory, 4),
        ("receipts", make_file, 5),
        (".", make_file, 5),
        (".", make_dangling_link, 5),
    ],
)
def test_other_kinds_of_files_are_refused(
    site: Site, name: str, replace: Callable[[Path, Path], None], status: int
):
    site.write_bundle("bundle")
    site.write_bundle("new", serial=SERIAL + 1)
    assert site.import_("bundle").status == 0
    path, aside = site.records / name, site.path / "aside"
    path.rename(aside)
    replace(path, aside)
    refused = site.import_("new", "--adopt", target="oci:other")
    assert refused.status == status, refused.stderr
    assert not (site.path / "other").exists()
    if status == 5:
        assert "--records DIRECTORY" in refused.stderr


def test_log_without_records_is_not_whole(site: Site):
    for action in ("show", "head", "verify"):
        assert site.run("log", action, "--records", "misspelt").status == 9
    (site.path / "file").touch()
    assert site.run("log", "verify", "--records", "file").status == 5


def test_log_verify_compares_receipts(site: Site):
    site.write_bundle("bundle")
    for _ in range(2):
        assert site.import_("bundle").status == 0
    first, second = sorted((site.records / "receipts").glob("*.json"))
    first.unlink()  # an operator may move it elsewhere
    verified = site.run("log", "verify", "--json")
    assert (verified.status, json.loads(verified.stdout)["absentReceipts"]) == (0, 1)
    second.write_bytes(second.read_bytes().replace(b"action", b"Action"))
    refused = site.run("log", "verify")
    assert refused.status == 4
    assert second.name in refused.stderr


def test_receipt_that_the_log_does_not_contain_is_reported(site: Site):
    """The log and the state were rolled back together, but not the receipts."""
    site.write_bundle("bundle")
    site.write_bundle("newer", serial=SERIAL + 1)
    site.import_("bundle")
    names = ("log.jsonl", "state.json")
    before = {name: (site.records / name).read_bytes() for name in names}
    site.import_("newer")
    for name, raw in before.items():
        (site.records / name).write_bytes(raw)
    assert site.run("log", "verify").status == 4
    (site.records / "state.json").unlink()
    site.run("stream", "restore", "--reason", "test")  # the receipts before are not in the new log
    assert site.run("log", "verify").status == 0


def test_ignored_policy_needs_reason_which_is_recorded(site: Site):
    policy = site.path / "home/.config/containers/policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text('{"default": [{"type": "reject"}]}')
    site.write_bundle("bundle")
    assert site.import_("bundle", "--insecure-policy").status == 2
    assert site.import_("bundle", "--insecure-policy", "--reason", "test").status == 0
    (entry,) = site.read_log()
    assert (entry["overrides"], entry["reason"]) == (["--insecure-policy"], "test")


def test_dry_run_checks_records_and_writes_none(site: Site):
    site.write_bundle("bundle")
    site.write_bundle("old", serial=SERIAL - 1)
    assert site.import_("bundle", "--dry-run").status == 0
    assert not site.records.exists()
    assert site.import_("bundle").status == 0
    before = site.read_log()
    assert site.import_("old", "--dry-run").status == 4
    assert site.read_log() == before


def test_failed_import_records_no_serial(site: Site):
    site.write_bundle("bundle")
    bundles.find_largest_blob(site.path / "bundle").unlink()
    refused = site.import_("bundle")
    assert refused.status == 3
    assert "adopts" not in refused.stderr
    assert [entry["event"] for entry in site.read_log()] == ["refused"]
    assert json.loads(site.run("stream", "show", "--json").stdout) == {"streams": {}}
    assert list((site.records / "locks").iterdir())
    site.write_bundle("whole")
    assert site.import_("whole").status == 0  # still the first one


def test_log_head_is_found_until_log_is_replaced(site: Site):
    site.write_bundle("bundle")
    site.import_("bundle")
    head = site.run("log", "head").stdout.strip()
    site.import_("bundle")
    assert site.run("log", "verify", "--head", head).status == 0
    assert site.run("log", "head").stdout.strip() != head
    other = ("--records", "other")
    site.import_("bundle", *other)
    assert site.run("log", "verify", *other).status == 0
    assert site.run("log", "verify", "--head", head, *other).status == 4


def test_unwritable_records_end_import_before_any_write(site: Site):
    site.write_bundle("bundle")
    (site.path / "file").write_text("not a directory")
    refused = site.import_("bundle", "--records", "file/records")
    assert refused.status == 5
    assert "--records DIRECTORY" in refused.stderr
    assert not (site.path / "inside").exists()


def test_two_imports_of_a_stream_at_once_exclude_each_other(site: Site):
    """Both may import the recorded bundle, which changes no state."""
    site.write_bundle("bundle")
    site.write_bundle("new", serial=SERIAL + 1)
    site.write_bundle("other", stream="other")
    assert site.import_("bundle").status == 0
    with lock_stream(site.records, "plant-7", shared=True):
        assert site.import_("bundle", target="oci:second").status == 0
        refused = site.import_("new")
        assert refused.status == 5
        assert "locked by another process" in refused.stderr
        assert site.import_("other", "--adopt", target="oci:apart").status == 0
    with lock_stream(site.records, "plant-7", shared=False):
        assert site.import_("bundle", target="oci:third").status == 5
    assert site.import_("new").status == 0


def test_clock_that_was_set_back_is_reported(site: Site):
    site.write_bundle("bundle", expires="2199-01-01T00:00:00Z")
    assert site.import_("bundle").status == 0
    (entry,) = site.read_log()
    names = ("stream", "serial", "inventory", "authenticated", "receipt")
    members = {name: entry[name] for name in names}
    append(site.records, "import", datetime.now(UTC), members | {"seen": "2198-12-31T00:00:00Z"})
    result = site.import_("bundle")
    assert result.status == 0
    assert "days behind the last time seen" in result.stderr
    assert site.read_log()[-1]["clockBehind"] > 365 * 86400
    append(site.records, "import", datetime.now(UTC), members | {"seen": "2199-01-02T00:00:00Z"})
    refused = site.import_("bundle")
    assert refused.status == 4
    assert "the clock is behind the last time seen" in refused.stderr
