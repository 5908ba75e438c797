"""A bundle on two volumes that are imported into a registry one after the other."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop import servers


def test_volumes_come_one_after_the_other_and_a_lost_one_is_requested(
    airbundle: servers.Client, registry: servers.Registry, repository: str, tmp_path: Path
):
    layers = [images.layer({"data": random.Random(seed).randbytes(250_000)}) for seed in range(3)]
    layout = images.write_layout(tmp_path / "layout", {"app": images.image(*layers)})
    (tmp_path / "plant.yaml").write_text(f"name: plant\nimages:\n  - oci:{layout}:app\n")
    airbundle.ok("keygen", tmp_path / "key", "--no-passphrase")
    first, second, again = (tmp_path / name for name in ("v1", "v2", "again"))
    sign = ("--sign-key", tmp_path / "key.key", "--no-read-back")
    airbundle.ok(
        *("export", tmp_path / "plant.yaml", first, "--volume", second, *sign),
        *("--volume-size", "4700KiB"),
    )
    target = f"docker://{registry.host}/{repository}"
    trust = ("--key", tmp_path / "key.pub", "--tls-verify=false")
    site = ("--records", tmp_path / "records", "--adopt")

    result = airbundle("verify", first, "--key", tmp_path / "key.pub")
    assert result.returncode == 11
    assert "volume 1 of 2 of bundle plant" in result.stdout
    assert airbundle("ls", first).returncode == 11
    assert airbundle("import", first, target, *trust, *site).returncode == 11
    owed = ("owed", first, target, *trust, "-o", tmp_path / "owed.json", "--json")
    result = airbundle(*owed)
    assert result.returncode == 11
    assert json.loads(result.stdout)["owed"] == [2]

    resend = ("--resend", tmp_path / "owed.json")
    airbundle.ok("export", tmp_path / "plant.yaml", again, *resend, *sign)
    assert (again / "bundle.json").read_bytes() == (second / "bundle.json").read_bytes()
    airbundle.ok("verify", again, first, "--key", tmp_path / "key.pub")
    report = airbundle.ok("import", again, target, *trust, *site, "--json")
    assert json.loads(report)["images"][0]["action"] == "new"
    assert json.loads(airbundle.ok(*owed))["owed"] == []
