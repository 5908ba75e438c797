from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bundler.config.registries_conf import AUTH_FILES, RegistriesConf, parse
from bundler.config.registry_access import Endpoint, RegistryOverride
from bundler.errors import ConfigError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from tests.config.world import World

DIGEST = "sha256:" + "a" * 64
USER_FILE = "home/.config/containers/registries.conf"
USER_DROP_INS = "home/.config/containers/registries.conf.d"


def conf(text: str) -> RegistriesConf:
    return parse(text.encode(), Path("/x/registries.conf"))


def pulled_from(world: World, image: str) -> list[str]:
    endpoints = world.settings().list_endpoints(ImageReference.parse(image))
    return [f"{endpoint.host}/{endpoint.path}" for endpoint in endpoints]


def test_without_files_an_image_is_where_its_name_says(world: World):
    image = ImageReference.parse("nginx:1")
    alone = Endpoint("docker.io", "library/nginx", insecure=False)
    assert world.settings().list_endpoints(image) == [alone]
    assert world.settings().get_primary_endpoint(image) == alone


def test_mirrors_come_in_order_and_then_the_registry(world: World):
    world.write(
        USER_FILE,
        """
        [[registry]]
        prefix = "docker.io"
        location = "hub.corp:5000/cache"
        [[registry.mirror]]
        location = "m1.corp/docker"
        insecure = true
        [[registry.mirror]]
        location = "m2.corp:5000"
        """,
    )
    endpoints = world.settings().list_endpoints(ImageReference.parse("nginx:1"))
    assert endpoints == [
        Endpoint("m1.corp", "docker/library/nginx", insecure=True),
        Endpoint("m2.corp:5000", "library/nginx", insecure=False),
        Endpoint("hub.corp:5000", "cache/library/nginx", insecure=False),
    ]


def test_a_push_neither_goes_to_a_mirror_nor_is_rewritten(world: World):
    world.write(
        USER_FILE,
        """
        [[registry]]
        prefix = "docker.io"
        location = "hub.corp:5000/cache"
        insecure = true
        [[registry.mirror]]
        location = "m1.corp/docker"
        """,
    )
    found = world.settings().get_primary_endpoint(ImageReference.parse("nginx:1"))
    assert found == Endpoint("docker.io", "library/nginx", insecure=True)


def test_the_longest_prefix_wins(world: World):
    world.write(
        USER_FILE,
        """
        [[registry]]
        prefix = "a.example/team"
        location = "two.example"
        [[registry]]
        location = "a.example"
        [[registry]]
        prefix = "a.example/team/app:v2"
        location = "three.example/app"
        """,
    )
    assert pulled_from(world, "a.example/other/app:v1") == ["a.example/other/app"]
    assert pulled_from(world, "a.example/team/app:v1") == ["two.example/app"]
    assert pulled_from(world, "a.example/team/app:v2") == ["three.example/app"]


@pytest.mark.parametrize("image", ["a.example/teams/x:1", "a.example.org/team/x:1", "b/team/x:1"])
def test_a_prefix_ends_where_a_part_of_the_name_ends(world: World, image: str):
    world.write(USER_FILE, '[[registry]]\nprefix="a.example/team"\nlocation="other.example"\n')
    assert pulled_from(world, image) == [ImageReference.parse(image).repository]


def test_a_wildcard_stands_for_subdomains_only(world: World):
    world.write(USER_FILE, '[[registry]]\nprefix="*.example.com"\nlocation="proxy.corp/ex"\n')
    assert pulled_from(world, "a.example.com/x:1") == ["proxy.corp/ex/x"]
    assert pulled_from(world, "a.b.example.com/x/y:1") == ["proxy.corp/ex/x/y"]
    assert pulled_from(world, "example.com/x:1") == ["example.com/x"]
    assert pulled_from(world, "aexample.com/x:1") == ["aexample.com/x"]
    assert pulled_from(world, "other.org/a.example.com/x:1") == ["other.org/a.example.com/x"]


def test_a_wildcard_without_location_keeps_names(world: World):
    world.write(USER_FILE, '[[registry]]\nprefix="*.example.com"\ninsecure=true\n')
    assert world.settings().list_endpoints(ImageReference.parse("a.example.com:5000/x:1")) == [
        Endpoint("a.example.com:5000", "x", insecure=True)
    ]


def test_mirrors_may_serve_only_digests_or_only_tags(world: World):
    world.write(
        USER_FILE,
        """
        [[registry]]
        location = "a.example"
        [[registry.mirror]]
        location = "digests.example"
        pull-from-mirror = "digest-only"
        [[registry.mirror]]
        location = "tags.example"
        pull-from-mirror = "tag-only"
        [[registry.mirror]]
        location = "all.example"
        pull-from-mirror = "all"
        """,
    )
    assert pulled_from(world, "a.example/x:1") == ["tags.example/x", "all.example/x", "a.example/x"]
    by_digest = ["digests.example/x", "all.example/x", "a.example/x"]
    assert pulled_from(world, f"a.example/x@{DIGEST}") == by_digest
    assert pulled_from(world, f"a.example/x:1@{DIGEST}") == by_digest


def test_mirror_by_digest_only_keeps_tags_away_from_all_mirrors(world: World):
    world.write(
        USER_FILE,
        """
        [[registry]]
        location = "a.example"
        mirror-by-digest-only = true
        [[registry.mirror]]
        location = "m.example"
        """,
    )
    assert pulled_from(world, "a.example/x:1") == ["a.example/x"]
    assert pulled_from(world, f"a.example/x@{DIGEST}") == ["m.example/x", "a.example/x"]


def test_a_blocked_registry_is_refused_everywhere_and_says_where_it_is_blocked(world: World):
    path = world.write(USER_FILE, '[[registry]]\nlocation="bad.example/x"\nblocked=true\n')
    settings = world.settings()
    image = ImageReference.parse("bad.example/x/y:1")
    for ask in (
        lambda: settings.list_endpoints(image),
        lambda: settings.get_primary_endpoint(image),
        lambda: settings.get_access("bad.example", "x/y"),
    ):
        with pytest.raises(ConfigError, match=rf"bad\.example/x is blocked in {path}"):
            ask()
    assert (
        settings.get_primary_endpoint(ImageReference.parse("bad.example/z:1")).host == "bad.example"
    )


def test_insecure_decides_where_neither_command_line_nor_bundle_manifest_says(world: World):
    world.write(USER_FILE, '[[registry]]\nlocation="a.example:5000"\ninsecure=true\n')
    settings = world.settings()
    assert not settings.get_access("a.example:5000").tls.verify
    assert settings.get_access("a.example:5000", "x", RegistryOverride(tls_verify=True)).tls.verify
    assert settings.get_access("b.example").tls.verify
    assert not settings.get_access("b.example", "", RegistryOverride(tls_verify=False)).tls.verify
    assert not settings.get_access("b.example", insecure=True).tls.verify


def test_a_user_file_hides_the_administrators_main_file_but_not_his_drop_ins(world: World):
    world.write("etc/containers/registries.conf", '[[registry]]\nlocation="a"\nblocked=true\n')
    world.write(
        "etc/containers/registries.conf.d/b.conf", '[[registry]]\nlocation="b.c"\nblocked=true\n'
    )
    world.write(USER_FILE, "")
    settings = world.settings()
    settings.get_access("a")
    with pytest.raises(ConfigError, match="blocked"):
        settings.get_access("b.c")


def test_drop_ins_go_by_name_and_replace_tables_with_the_same_prefix(world: World):
    world.write(USER_FILE, '[[registry]]\nprefix="a.b"\nlocation="main.b"\n')
    world.write(f"{USER_DROP_INS}/20.conf", '[[registry]]\nprefix="a.b"\nlocation="twenty.b"\n')
    world.write(
        "etc/containers/registries.conf.d/30.conf",
        '[[registry]]\nprefix="a.b"\nlocation="thirty.b"\n',
    )
    assert pulled_from(world, "a.b/x:1") == ["thirty.b/x"]


def test_of_drop_ins_with_one_name_the_users_holds(world: World):
    table = '[[registry]]\nprefix="a.b"\nlocation="{}"\n'
    world.write("usr_share/containers/registries.conf.d/1.conf", table.format("share.b"))
    world.write("etc/containers/registries.conf.d/1.conf", table.format("etc.b"))
    assert pulled_from(world, "a.b/x:1") == ["etc.b/x"]
    world.write(f"{USER_DROP_INS}/1.conf", table.format("user.b"))
    assert pulled_from(world, "a.b/x:1") == ["user.b/x"]


def test_only_files_called_conf_are_drop_ins(world: World):
    world.write(f"{USER_DROP_INS}/x.conf.bak", "not toml")
    world.write(f"{USER_DROP_INS}/dir.conf/x", "not toml")
    assert pulled_from(world, "a.b/x:1") == ["a.b/x"]


def test_a_directory_of_drop_ins_that_cannot_be_read_is_an_error(world: World):
    loop = world.root / USER_DROP_INS
    loop.parent.mkdir(parents=True)
    loop.symlink_to(loop)
    with pytest.raises(ConfigError, match=rf"{loop}: cannot be read"):
        world.settings().get_access("a.b")


def test_the_override_comes_last_and_must_exist(world: World):
    world.write(f"{USER_DROP_INS}/9.conf", '[[registry]]\nprefix="a.b"\nlocation="nine.b"\n')
    override = world.write("o.conf", '[[registry]]\nprefix="a.b"\nlocation="override.b"\n')
    world.environment["CONTAINERS_REGISTRIES_CONF_OVERRIDE"] = str(override)
    assert pulled_from(world, "a.b/x:1") == ["override.b/x"]
    override.unlink()
    with pytest.raises(ConfigError) as raised:
        pulled_from(world, "a.b/x:1")
    assert raised.value.path == str(override)


def test_a_file_that_was_named_must_exist(world: World):
    with pytest.raises(ConfigError) as raised:
        world.settings(registries_conf=world.root / "none").list_endpoints(
            ImageReference.parse("x")
        )
    assert raised.value.path == str(world.root / "none")


def test_the_null_device_says_that_there_is_no_file(world: World):
    world.write("etc/containers/registries.conf", '[[registry]]\nlocation="a.b"\nblocked=true\n')
    world.environment["CONTAINERS_REGISTRIES_CONF"] = "/dev/null"
    assert pulled_from(world, "a.b/x:1") == ["a.b/x"]


def test_files_are_read_when_they_are_needed_and_once(world: World):
    path = world.write(USER_FILE, "not toml")
    settings = world.settings()
    path.write_text('[[registry]]\nlocation="a.b"\n')
    settings.list_endpoints(ImageReference.parse("a.b/x"))
    path.write_text("not toml")
    settings.list_endpoints(ImageReference.parse("a.b/x"))


def test_version_1_says_what_is_insecure_and_blocked():
    found = conf(
        """
        [registries.search]
        registries = ["docker.io"]
        [registries.insecure]
        registries = ["a.example:5000", "both.example"]
        [registries.block]
        registries = ["both.example/"]
        """
    )
    insecure = found.find("a.example:5000/x")
    assert insecure is not None
    assert (insecure.insecure, insecure.blocked) == (True, False)
    both = found.find("both.example/x")
    assert both is not None
    assert (both.insecure, both.blocked) == (True, True)


def test_versions_do_not_mix():
    with pytest.raises(ConfigError, match="mixes version 1"):
        conf('[registries.block]\nregistries=["a"]\n[[registry]]\nlocation="b"\n')


def test_a_drop_in_in_version_1_is_refused(world: World):
    world.write(f"{USER_DROP_INS}/1.conf", '[registries.block]\nregistries=["a"]\n')
    with pytest.raises(ConfigError, match=r"1\.conf: a drop-in must have version 2"):
        world.settings().get_access("a")


def test_credential_helpers_are_the_files_unless_something_is_said():
    assert conf("").credential_helpers == ()
    assert RegistriesConf().credential_helpers == (AUTH_FILES,)
    assert conf('credential-helpers = ["pass"]').credential_helpers == ("pass",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[registry]\n", "not TOML: .*line 1"),
        ("\n\n[[registry]]\nx = \n", "not TOML: .*line 4"),
        ("a = " + "[" * 100_000, "nested too deeply|not TOML"),
        ('registry = "x"', "registry is not an array of tables"),
        ("[[registry]]\nblocked = true\n", "neither prefix nor location"),
        ('[[registry]]\nprefix = "a.b"\n', "has no location"),
        ('[[registry]]\nlocation = "https://a.b"\n', "without http://"),
        ('[[registry]]\nlocation = "a.b"\nblocked = "true"\n', "neither true nor false"),
        ('[[registry]]\nlocation = "a.b"\npull-from-mirror = "all"\n', "allowed in a mirror only"),
        ('[[registry]]\nprefix = "*.a/x"\nlocation = "b"\n', "only a domain"),
        ('[[registry]]\nprefix = "*.*.a"\nlocation = "b"\n', "only a domain"),
        ('[[registry]]\nlocation = "a.b"\n[[registry.mirror]]\n', "mirror\\[0\\]: has no location"),
        (
            '[[registry]]\nlocation="a"\n[[registry.mirror]]\nlocation="b"\npull-from-mirror="x"',
            "pull-from-mirror is not one of",
        ),
        (
            (
                '[[registry]]\nlocation="a"\nmirror-by-digest-only=true\n'
                '[[registry.mirror]]\nlocation="b"\npull-from-mirror="all"'
            ),
            "exclude each other",
        ),
        (
            (
                '[[registry]]\nlocation="a"\nprefix="p"\nblocked=true\n'
                '[[registry]]\nlocation="a"\nprefix="q"\n'
            ),
            "different blocked",
        ),
        ("[registries]\nblock = 1", "block is not a table"),
        ("[[registry]]\nlocation = 1", "location is not a string"),
        ("registries = 1", "registries is not a table"),
        ("credential-helpers = [1]", "not an array of strings"),
    ],
)
def test_a_mistake_names_the_file_and_what_is_wrong(text: str, message: str):
    with pytest.raises(ConfigError, match=rf"^/x/registries\.conf: .*({message})"):
        conf(text)


def test_a_location_that_makes_no_name_is_named_when_it_is_used(world: World):
    path = world.write(USER_FILE, '[[registry]]\nprefix="a.b"\nlocation="UP PER"\n')
    with pytest.raises(ConfigError, match=rf"{path}: the location 'UP PER'"):
        pulled_from(world, "a.b/x:1")


@pytest.mark.parametrize(
    ("location", "message"), [("corp", "has no registry"), ("c.d/x:2", "contains a tag")]
)
def test_a_location_is_a_place_for_all_versions(world: World, location: str, message: str):
    world.write(USER_FILE, f'[[registry]]\nprefix="a.b/x:1"\nlocation="{location}"\n')
    with pytest.raises(ConfigError, match=message):
        pulled_from(world, "a.b/x:1")


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_an_error_of_ours(raw: bytes):
    with contextlib.suppress(ConfigError):
        parse(raw, Path("x"))


COMPONENT = st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True)
PATH = st.lists(COMPONENT, min_size=1, max_size=4).map("/".join)


@given(PATH, PATH, PATH)
def test_a_rewrite_replaces_the_prefix_and_keeps_the_rest(base: str, rest: str, target: str):
    found = conf(f'[[registry]]\nprefix="a.b/{base}"\nlocation="c.d:5000/{target}"\n')
    image = ImageReference.parse(f"a.b/{base}/{rest}:v1")
    registry = found.find(str(image))
    assert registry is not None
    there = registry.rewrite(registry.location, image)
    assert (there.domain, there.path) == ("c.d:5000", f"{target}/{rest}")
