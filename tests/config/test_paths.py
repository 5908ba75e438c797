from __future__ import annotations

from pathlib import Path

from bundler.config.paths import AuthLocation, ConfigPathOverrides, locate

HOME = Path("/home/u")


def test_authfiles_are_in_order_of_containers_auth_json():
    assert locate({}, HOME, 1000).auth == (
        AuthLocation(Path("/run/containers/1000/auth.json")),
        AuthLocation(Path("/home/u/.config/containers/auth.json")),
        AuthLocation(Path("/home/u/.docker/config.json")),
        AuthLocation(Path("/home/u/.dockercfg"), legacy=True),
    )


def test_variables_move_directories():
    environment = {"XDG_RUNTIME_DIR": "/rt", "XDG_CONFIG_HOME": "/cfg", "DOCKER_CONFIG": "/dk"}
    found = locate(environment, HOME, 1000)
    assert [str(location.path) for location in found.auth] == [
        "/rt/containers/auth.json",
        "/cfg/containers/auth.json",
        "/dk/config.json",
        "/home/u/.dockercfg",
    ]
    assert found.registries_conf[0] == Path("/cfg/containers/registries.conf")
    assert found.certs_d[0] == Path("/cfg/containers/certs.d")


def test_empty_variable_counts_as_unset():
    environment = dict.fromkeys(
        ["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE"], ""
    )
    assert locate(environment, HOME, 1000) == locate({}, HOME, 1000)


def test_registry_auth_file_replaces_all_others_and_may_be_missing():
    found = locate({"REGISTRY_AUTH_FILE": "/x.json"}, HOME, 1000)
    assert found.auth == (AuthLocation(Path("/x.json")),)


def test_authfile_option_precedes_variable_and_must_exist():
    found = locate(
        {"REGISTRY_AUTH_FILE": "/x.json"}, HOME, 1000, ConfigPathOverrides(authfile=Path("/y.json"))
    )
    assert found.auth == (AuthLocation(Path("/y.json"), required=True),)


def test_registries_conf_candidates_are_user_etc_usr_share():
    assert locate({}, HOME, 1000).registries_conf == (
        Path("/home/u/.config/containers/registries.conf"),
        Path("/etc/containers/registries.conf"),
        Path("/usr/share/containers/registries.conf"),
    )


def test_rootless_drop_ins_are_ordered_by_specificity():
    assert [str(path) for path in locate({}, HOME, 7).registries_conf_d] == [
        "/usr/share/containers/registries.conf.d",
        "/usr/share/containers/registries.rootless.conf.d",
        "/usr/share/containers/registries.rootless.conf.d/7",
        "/etc/containers/registries.conf.d",
        "/etc/containers/registries.rootless.conf.d",
        "/etc/containers/registries.rootless.conf.d/7",
        "/home/u/.config/containers/registries.conf.d",
    ]


def test_root_has_rootful_drop_ins():
    names = [path.name for path in locate({}, HOME, 0).registries_conf_d]
    assert names.count("registries.rootful.conf.d") == 2
    assert not any("rootless" in name for name in names)


def test_registries_conf_variable_disables_drop_ins_but_option_does_not():
    environment = {"CONTAINERS_REGISTRIES_CONF": "/env.conf"}
    by_variable = locate(environment, HOME, 1000)
    assert by_variable.registries_conf == (Path("/env.conf"),)
    assert by_variable.registries_conf_required
    assert by_variable.registries_conf_d == ()
    by_option = locate(
        environment, HOME, 1000, ConfigPathOverrides(registries_conf=Path("/opt.conf"))
    )
    assert by_option.registries_conf == (Path("/opt.conf"),)
    assert by_option.registries_conf_required
    assert by_option.registries_conf_d


def test_signatures_of_root_are_in_a_directory_of_the_system():
    assert locate({}, HOME, 1000).lookaside == Path("/home/u/.local/share/containers/sigstore")
    assert locate({}, HOME, 0).lookaside == Path("/var/lib/containers/sigstore")
    found = locate({}, HOME, 0, ConfigPathOverrides(var_lib=Path("/var")))
    assert found.lookaside == Path("/var/containers/sigstore")
