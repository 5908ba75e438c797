#!/bin/sh
# Installs airbundle from the directory this file lies in; needs no network.
#
#   sh install.sh [DIRECTORY]     default: /opt/airbundle as root, else ~/.local/share/airbundle
#
# PYTHON names another Python than the first of python3, python3.13, python3.12, python3.11.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
python=
for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$name" -c "$fits" 2>/dev/null; then
        python=$(command -v "$name")
        break
    fi
done
[ -n "$python" ] || fail "needs Python 3.11, 3.12 or 3.13; found: $(
    "${PYTHON:-python3}" --version 2>&1 || true
)"

machine=$("$python" -c 'import platform; print(platform.machine())')
case $machine in
    x86_64 | aarch64) ;;
    *) fail "this stick carries wheels for x86_64 and aarch64, and this is $machine" ;;
esac
libc=$("$python" -c 'import platform; print(*platform.libc_ver())')
case $libc in
    glibc*) ;;
    *) fail "this stick carries wheels for Linux with glibc, and this Python has '$libc'" ;;
esac

(cd "$here" && sha256sum --check --quiet SHA256SUMS) ||
    fail "what lies here is damaged or incomplete: carry it again"

if [ "$(id -u)" = 0 ]; then
    directory=${1:-/opt/airbundle} bin=/usr/local/bin
else
    directory=${1:-$HOME/.local/share/airbundle} bin=$HOME/.local/bin
fi
[ ! -e "$directory" ] || [ -e "$directory/pyvenv.cfg" ] || fail "$directory holds something else"

# The carried pip installs, so Python needs no pip and no ensurepip of its own.
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
