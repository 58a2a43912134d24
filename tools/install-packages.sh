#!/bin/sh
# Installs those of the named Debian packages that are missing; nothing to do takes no time.
#   tools/install-packages.sh PACKAGE...
set -eu

installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | sed -n 's/ installed$//p') || true
missing=
for package; do
    echo "$installed" | grep -qx -- "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "missing packages:$missing" >&2
        echo "install sudo, or as root: apt-get install$missing" >&2
        exit 1
    }
    as_root=sudo
fi
echo "installing from Debian:$missing"

log=$(mktemp)
guard=/usr/sbin/policy-rc.d
guarded=
finish() {
    [ -z "$guarded" ] || $as_root rm -f "$guard"
    rm -f "$log"
}
trap finish EXIT
trap 'exit 1' INT TERM
# Servers that only serve as traffic must not start on this machine.
if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root sh -c "cat >$guard && chmod 755 $guard"
    guarded=yes
fi
quietly() {
    $as_root env DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 </dev/null || {
        cat "$log" >&2
        echo "failed: $*" >&2
        exit 1
    }
}
quietly apt-get -q update
# shellcheck disable=SC2086 # A list of words.
quietly apt-get -q -y --no-install-recommends install $missing
