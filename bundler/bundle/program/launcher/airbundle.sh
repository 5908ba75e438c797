#!/bin/sh
# Start the carried program: with the interpreter for this machine beside this file, or else with a
# Python of this machine. On a machine without a shell, run linux-<machine>/airbundle.
program=$(readlink -f "$0" 2>/dev/null || echo "$0")
here=$(cd "$(dirname "$program")" && pwd) || exit 126
own=$here/linux-$(uname -m)
if [ -z "${PYTHON-}" ] && "$own/python3" -c '' 2>/dev/null; then
    exec "$own/airbundle" "$@"
fi
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$python" -P "$here/airbundle.pyz" "$@"
    fi
done
echo "airbundle: neither $own/airbundle nor a Python from 3.11 on can be started here" \
    "(if this medium is mounted noexec, copy $here to a disk)" >&2
exit 126
