#!/bin/sh
# Install airbundle from the directory of this file, without a network.
#
#   sh install.sh [DIRECTORY]     default: /opt/airbundle as root, else ~/.local/share/airbundle
#
# PYTHON: the Python to use; by default, the first of python3, python3.13, python3.12, python3.11.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

is_supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
python=
for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$name" -c "$is_supported" 2>/dev/null; then
        python=$(command -v "$name")
        break
    fi
done
[ -n "$python" ] || fail "no supported Python (expected 3.11, 3.12 or 3.13, got $(
    "${PYTHON:-python3}" --version 2>&1 || true
))"

machine=$("$python" -c 'import platform; print(platform.machine())')
case $machine in
    x86_64 | aarch64) ;;
    *) fail "no wheels for this machine (expected x86_64 or aarch64, got $machine)" ;;
esac
libc=$("$python" -c 'import platform; print(*platform.libc_ver())')
case $libc in
    glibc*) ;;
    *) fail "no wheels for the C library of this Python (expected glibc, got '$libc')" ;;
esac

(cd "$here" && sha256sum --check --quiet SHA256SUMS) ||
    fail "$here: damaged or incomplete: run scripts/carry again"

if [ "$(id -u)" = 0 ]; then
    directory=${1:-/opt/airbundle} bin=/usr/local/bin
else
    directory=${1:-$HOME/.local/share/airbundle} bin=$HOME/.local/bin
fi
[ ! -e "$directory" ] || [ -e "$directory/pyvenv.cfg" ] || fail "$directory: contains other files: specify another directory"

# The pip on the medium is used, so this Python requires neither pip nor ensurepip.
"$python" -m venv --clear --without-pip "$directory"
"$directory/bin/python" "$(echo "$here"/wheels/pip-*.whl)/pip" --isolated --no-cache-dir \
    --disable-pip-version-check install --quiet --no-index --find-links "$here/wheels" \
    --require-hashes --requirement "$here/airbundle-requirements.txt"
"$directory/bin/airbundle" --version

if [ $# = 0 ]; then
    mkdir -p "$bin"
    ln -sf "$directory/bin/airbundle" "$bin/airbundle"
    case :$PATH: in
        *:"$bin":*) echo "Ready: airbundle" ;;
        *) echo "Ready: $bin/airbundle ($bin is not on the PATH)" ;;
    esac
else
    echo "Ready: $directory/bin/airbundle"
fi
