# shellcheck shell=bash
# Functions of the other scripts: find a Python, maintain the environment .venv, and install Debian
# packages if this user may do so. Completed steps are skipped.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv

# Each of the many processes of a script would compile all modules again.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s\n' "$*"; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# make_environment SET...: install the locked sets of scripts/requirements and airbundle in .venv.
make_environment() {
    local set files=()
    for set in "$@"; do files+=("$root/scripts/requirements/$set.txt"); done
    "$venv/bin/python" -c '' 2>/dev/null || make_venv
    if ! is_installed "$*" && ! is_installed dev; then  # dev includes the other sets
        say "Installing the locked dependencies into ${venv##*/} ($*) …"
        pip_install --require-hashes "${files[@]/#/--requirement=}"
        pip_install --no-deps --no-index --no-build-isolation --editable "$root"
        sha256sum "${files[@]}" "$root/pyproject.toml" >"$venv/.installed-$*"
    fi
}

is_installed() { sha256sum --status --check "$venv/.installed-$1" 2>/dev/null; }

make_venv() {
    local python
    python=$(find_python) ||
        fail "no Python 3.11 or newer found: apt-get install python3 (Debian 12 and later)"
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        # Debian has this part of the standard library in a separate package.
        debian_install python3-venv
        "$python" -c 'import ensurepip' 2>/dev/null || fail "$python has no ensurepip: install it"
    fi
    say "Creating ${venv##*/} with $("$python" --version) …"
    "$python" -m venv --clear "$venv"
}

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11 python3.14; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

pip_install() {
    "$venv/bin/python" -m pip --disable-pip-version-check install --quiet "$@"
}

# need PROGRAM=PACKAGE...: install the packages whose programs are missing.
need() {
    local packages
    mapfile -t packages < <(missing "$@")
    if ((${#packages[@]})); then debian_install "${packages[@]}"; fi
}

# missing PROGRAM=PACKAGE...: print the packages whose programs are missing, one per line.
missing() {
    local pair
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || printf '%s\n' "${pair#*=}"
    done
}

debian_install() {
    local as_root=()
    local hint="missing: $*. As root: apt-get update && apt-get install $*"
    command -v apt-get >/dev/null || fail "$hint"
    if [[ $(id -u) != 0 ]]; then
        sudo -n true 2>/dev/null || fail "$hint"
        as_root=(sudo -n)
    fi
    say "Installing $* from Debian …"
    local log
    log=$(mktemp)
    if ! {
        "${as_root[@]}" apt-get update &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get install --yes --no-install-recommends "$@"
    } >"$log" 2>&1 </dev/null; then
        tail -n 5 "$log" >&2
        rm "$log"
        fail "$hint"
    fi
    rm "$log"
}
