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


def test_image_without_files_has_one_endpoint(world: World):
    image = ImageReference.parse("nginx:1")
    alone = Endpoint("docker.io", "library/nginx", insecure=False)
    assert world.settings().list_endpoints(image) == [alone]
    assert world.settings().get_primary_endpoint(image) == alone


def test_mirrors_precede_registry_in_order(world: World):
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


def test_push_uses_neither_mirror_nor_rewritten_location(world: World):
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


def test_longest_prefix_applies(world: World):
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
def test_prefix_matches_whole_components(world: World, image: str):
    world.write(USER_FILE, '[[registry]]\nprefix="a.example/team"\nlocation="other.example"\n')
    assert pulled_from(world, image) == [ImageReference.parse(image).repository]


def test_wildcard_matches_subdomains_only(world: World):
    world.write(USER_FILE, '[[registry]]\nprefix="*.example.com"\nlocation="proxy.corp/ex"\n')
    assert pulled_from(world, "a.example.com/x:1") == ["proxy.corp/ex/x"]
    assert pulled_from(world, "a.b.example.com/x/y:1") == ["proxy.corp/ex/x/y"]
    assert pulled_from(world, "example.com/x:1") == ["example.com/x"]
    assert pulled_from(world, "aexample.com/x:1") == ["aexample.com/x"]
    assert pulled_from(world, "other.org/a.example.com/x:1") == ["other.org/a.example.com/x"]


def test_wildcard_without_location_does_not_rewrite(world: World):
    world.write(USER_FILE, '[[registry]]\nprefix="*.example.com"\ninsecure=true\n')
    assert world.settings().list_endpoints(ImageReference.parse("a.example.com:5000/x:1")) == [
        Endpoint("a.example.com:5000", "x", insecure=True)
    ]


def test_mirror_may_serve_digests_or_tags_only(world: World):
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


def test_mirror_by_digest_only_excludes_tags(world: World):
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


def test_blocked_registry_is_refused_with_origin(world: World):
    path = world.write(USER_FILE, '[[registry]]\nlocation="bad.example/x"\nblocked=true\n')
    settings = world.settings()
    image = ImageReference.parse("bad.example/x/y:1")
    for ask in (
        lambda: settings.list_endpoints(image),
        lambda: settings.get_primary_endpoint(image),
        lambda: settings.get_access("bad.example", "x/y"),
    ):
        with pytest.raises(ConfigError) as raised:
            ask()
        assert raised.value.path == str(path)
    assert (
        settings.get_primary_endpoint(ImageReference.parse("bad.example/z:1")).host == "bad.example"
    )


def test_insecure_applies_unless_overridden(world: World):
    world.write(USER_FILE, '[[registry]]\nlocation="a.example:5000"\ninsecure=true\n')
    settings = world.settings()
    assert not settings.get_access("a.example:5000").tls.verify
    assert settings.get_access("a.example:5000", "x", RegistryOverride(tls_verify=True)).tls.verify
    assert settings.get_access("b.example").tls.verify
    assert not settings.get_access("b.example", "", RegistryOverride(tls_verify=False)).tls.verify
    assert not settings.get_access("b.example", insecure=True).tls.verify


def test_user_file_replaces_main_file_but_not_drop_ins(world: World):
    world.write("etc/containers/registries.conf", '[[registry]]\nlocation="a"\nblocked=true\n')
    world.write(
        "etc/containers/registries.conf.d/b.conf", '[[registry]]\nlocation="b.c"\nblocked=true\n'
    )
    world.write(USER_FILE, "")
    settings = world.settings()
    settings.get_access("a")
    with pytest.raises(ConfigError) as raised:
        settings.get_access("b.c")
    assert raised.value.path is not None


def test_drop_ins_are_ordered_by_name_and_replace_tables(world: World):
    world.write(USER_FILE, '[[registry]]\nprefix="a.b"\nlocation="main.b"\n')
    world.write(f"{USER_DROP_INS}/20.conf", '[[registry]]\nprefix="a.b"\nlocation="twenty.b"\n')
    world.write(
        "etc/containers/registries.conf.d/30.conf",
        '[[registry]]\nprefix="a.b"\nlocation="thirty.b"\n',
    )
    assert pulled_from(world, "a.b/x:1") == ["thirty.b/x"]


def test_drop_in_of_user_replaces_one_of_same_name(world: World):
    table = '[[registry]]\nprefix="a.b"\nlocation="{}"\n'
    world.write("usr_share/containers/registries.conf.d/1.conf", table.format("share.b"))
    world.write("etc/containers/registries.conf.d/1.conf", table.format("etc.b"))
    assert pulled_from(world, "a.b/x:1") == ["etc.b/x"]
    world.write(f"{USER_DROP_INS}/1.conf", table.format("user.b"))
    assert pulled_from(world, "a.b/x:1") == ["user.b/x"]


def test_only_files_ending_in_conf_are_drop_ins(world: World):
    world.write(f"{USER_DROP_INS}/x.conf.bak", "not toml")
    world.write(f"{USER_DROP_INS}/dir.conf/x", "not toml")
    assert pulled_from(world, "a.b/x:1") == ["a.b/x"]


def test_unreadable_drop_in_directory_is_refused(world: World):
    loop = world.root / USER_DROP_INS
    loop.parent.mkdir(parents=True)
    loop.symlink_to(loop)
    with pytest.raises(ConfigError) as raised:
        world.settings().get_access("a.b")
    assert raised.value.path == str(loop)


def test_override_is_read_last_and_must_exist(world: World):
    world.write(f"{USER_DROP_INS}/9.conf", '[[registry]]\nprefix="a.b"\nlocation="nine.b"\n')
    override = world.write("o.conf", '[[registry]]\nprefix="a.b"\nlocation="override.b"\n')
    world.environment["CONTAINERS_REGISTRIES_CONF_OVERRIDE"] = str(override)
    assert pulled_from(world, "a.b/x:1") == ["override.b/x"]
    override.unlink()
    with pytest.raises(ConfigError) as raised:
        pulled_from(world, "a.b/x:1")
    assert raised.value.path == str(override)


def test_missing_specified_file_is_refused(world: World):
    with pytest.raises(ConfigError) as raised:
        world.settings(registries_conf=world.root / "none").list_endpoints(
            ImageReference.parse("x")
        )
    assert raised.value.path == str(world.root / "none")


def test_null_device_counts_as_no_settings(world: World):
    world.write("etc/containers/registries.conf", '[[registry]]\nlocation="a.b"\nblocked=true\n')
    world.environment["CONTAINERS_REGISTRIES_CONF"] = "/dev/null"
    assert pulled_from(world, "a.b/x:1") == ["a.b/x"]


def test_files_are_read_once_when_needed(world: World):
    path = world.write(USER_FILE, "not toml")
    settings = world.settings()
    path.write_text('[[registry]]\nlocation="a.b"\n')
    settings.list_endpoints(ImageReference.parse("a.b/x"))
    path.write_text("not toml")
    settings.list_endpoints(ImageReference.parse("a.b/x"))


def test_version_1_specifies_insecure_and_blocked():
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


def test_mixed_versions_are_refused():
    with pytest.raises(ConfigError) as raised:
        conf('[registries.block]\nregistries=["a"]\n[[registry]]\nlocation="b"\n')
    assert raised.value.path is not None


def test_drop_in_of_version_1_is_refused(world: World):
    world.write(f"{USER_DROP_INS}/1.conf", '[registries.block]\nregistries=["a"]\n')
    with pytest.raises(ConfigError) as raised:
        world.settings().get_access("a")
    assert raised.value.path is not None
    assert raised.value.path.endswith("1.conf")


def test_credential_helpers_default_to_authfiles():
    assert conf("").credential_helpers == ()
    assert RegistriesConf().credential_helpers == (AUTH_FILES,)
    assert conf('credential-helpers = ["pass"]').credential_helpers == ("pass",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[registry]\n", "invalid TOML: .*line 1"),
        ("\n\n[[registry]]\nx = \n", "invalid TOML: .*line 4"),
        ("a = " + "[" * 100_000, "nested too deeply|not TOML"),
        ('registry = "x"', "registry is not an array of tables"),
        ("[[registry]]\nblocked = true\n", "neither prefix nor location"),
        ('[[registry]]\nprefix = "a.b"\n', "has no location"),
        ('[[registry]]\nlocation = "https://a.b"\n', "without http://"),
        ('[[registry]]\nlocation = "a.b"\nblocked = "true"\n', "neither true nor false"),
        ('[[registry]]\nlocation = "a.b"\npull-from-mirror = "all"\n', "allowed only in"),
        ('[[registry]]\nprefix = "*.a/x"\nlocation = "b"\n', "invalid wildcard"),
        ('[[registry]]\nprefix = "*.*.a"\nlocation = "b"\n', "invalid wildcard"),
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
            "mutually exclusive",
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
def test_mistake_is_reported_with_file_and_reason(text: str, message: str):
    with pytest.raises(ConfigError, match=rf"^/x/registries\.conf: .*({message})"):
        conf(text)


def test_location_that_yields_invalid_reference_is_refused_on_use(world: World):
    path = world.write(USER_FILE, '[[registry]]\nprefix="a.b"\nlocation="UP PER"\n')
    with pytest.raises(ConfigError) as raised:
        pulled_from(world, "a.b/x:1")
    assert raised.value.path == str(path)


@pytest.mark.parametrize(
    ("location", "message"), [("corp", "no registry"), ("c.d/x:2", "unexpected tag")]
)
def test_location_with_tag_or_digest_is_refused(world: World, location: str, message: str):
    world.write(USER_FILE, f'[[registry]]\nprefix="a.b/x:1"\nlocation="{location}"\n')
    with pytest.raises(ConfigError, match=message):
        pulled_from(world, "a.b/x:1")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_parsed_or_refused(raw: bytes):
    with contextlib.suppress(ConfigError):
        parse(raw, Path("x"))


COMPONENT = st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True)
PATH = st.lists(COMPONENT, min_size=1, max_size=4).map("/".join)


@given(PATH, PATH, PATH)
def test_rewrite_replaces_prefix_and_keeps_rest(base: str, rest: str, target: str):
    found = conf(f'[[registry]]\nprefix="a.b/{base}"\nlocation="c.d:5000/{target}"\n')
    image = ImageReference.parse(f"a.b/{base}/{rest}:v1")
    registry = found.find(str(image))
    assert registry is not None
    there = registry.rewrite(registry.location, image)
    assert (there.domain, there.path) == ("c.d:5000", f"{target}/{rest}")
