#!/bin/bash
# The program as a shell sees it: exit status, which stream, nothing written over.
#   command_line.sh HAKA
set -u
haka=${1:?usage: command_line.sh HAKA}
here=$(cd "$(dirname "$0")" && pwd)
capture=$(realpath "$here/../samples/captures/http-get.pcapng")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
failed=0

# expect STATUS WORDS_ON_STDOUT WORDS_ON_STDERR ARGUMENT...: words must stand there; "" is nothing.
expect() {
    local status=$1 out=$2 err=$3 got
    shift 3
    "$haka" "$@" >out 2>err </dev/null
    got=$?
    [ $got = "$status" ] && matches out "$out" && matches err "$err" && return
    echo "FAILED: haka $*: status $got, expected $status; output '$out', errors '$err' expected"
    sed 's/^/  out: /' out
    sed 's/^/  err: /' err
    failed=1
}
matches() {
    if [ -z "$2" ]; then [ ! -s "$1" ]; else grep -qF -- "$2" "$1"; fi
}

echo 'print("loaded")' >policy.lua
echo 'haka.rule{ hooks = { "tcp-uq" }, eval = function () end }' >wrong-hook.lua
echo 'local x = = 1' >syntax.lua
head -c 700 "$capture" >damaged.pcapng
printf '\033LJ\002' >bytecode.lua
echo 'workers = "two"' >wrong.toml

expect 0 "haka check POLICY.lua" ""
expect 0 "haka " "" --version
expect 0 "Exit status" "" run --help
expect 2 "" "did you mean run?" rnu
expect 2 "" "-r FILE" run policy.lua
expect 2 "" "did you mean --profile?" run -r "$capture" --profil policy.lua
expect 2 "" "no such interface" run -i no-such-one policy.lua
expect 2 "" "wrong.toml:1:11: workers must be" run -r "$capture" -c wrong.toml policy.lua
expect 2 "" "missing.lua" run -r "$capture" missing.lua
expect 2 "" "missing.pcap" run -r missing.pcap policy.lua
expect 2 "" "policy.lua" run -r policy.lua policy.lua
expect 2 "" "syntax.lua:1" run -r "$capture" syntax.lua
expect 2 "" "bytecode.lua: " run -r "$capture" bytecode.lua
expect 2 "" "tcp-up" run -r "$capture" wrong-hook.lua
expect 2 "" "out.txt" run -r "$capture" -w out.txt policy.lua
expect 2 "" "nonsense" run -r "$capture" -f "nonsense nonsense" policy.lua
expect 0 "loaded" "" run -q -r "$capture" policy.lua
expect 1 "loaded" "damaged.pcapng" run -r damaged.pcapng -w damaged.pcap policy.lua
expect 0 "loaded" "packets" run -r "$capture" -w out.pcap policy.lua
expect 0 "no rules" "" check policy.lua
expect 2 "" "tcp-up" check wrong-hook.lua

expect 0 "haka ctl [--socket" "" ctl --help
expect 1 "" "no engine listens at ./none.sock" ctl --socket ./none.sock status
expect 2 "" "did you mean status?" ctl satus
expect 0 "haka doctor" "" doctor --help
expect 1 "no-such0: there is no such interface" "" doctor -i no-such0
expect 2 "" "eth0:eth1" doctor -i :

echo "of an earlier run" >old.log
expect 2 "" "tcp-up" run -r "$capture" --log old.log wrong-hook.lua
matches old.log "earlier" || { echo "FAILED: a run that never began emptied the log"; failed=1; }
expect 0 "loaded" "" run -q -r "$capture" --log old.log policy.lua
matches old.log "" || { echo "FAILED: the log of an earlier run stays"; failed=1; }

cp "$capture" in.pcapng
ln in.pcapng link.pcapng
expect 2 "" "would write over" run -r in.pcapng -w link.pcapng policy.lua
cmp -s in.pcapng "$capture" || { echo "FAILED: the input was written over"; failed=1; }

"$haka" run -q -r - -w in.pcapng policy.lua <in.pcapng >out 2>err
[ $? = 2 ] && cmp -s in.pcapng "$capture" ||
    { echo "FAILED: the input was written over through standard input"; failed=1; }
"$haka" run -r "$capture" -w closed.pcap policy.lua <&- >&- 2>&-
cmp -s closed.pcap out.pcap || { echo "FAILED: a message went into the capture"; failed=1; }

"$haka" run -q -r "$capture" -w - policy.lua 2>err | cmp -s - out.pcap ||
    { echo "FAILED: -w - doesn't write what -w FILE writes"; failed=1; }
matches err "loaded" || { echo "FAILED: prints mix with packets"; failed=1; }

"$haka" run -r "$capture" policy.lua >/dev/full 2>err
[ $? = 1 ] && grep -q "No space left" err || { echo "FAILED: a full disk is not told"; failed=1; }

# Interrupts. The policy opens a fifo: when that returns, the program is at work for certain.
mkfifo in.fifo at_work.fifo
cat >signal.lua <<'END'
local seen = false
haka.rule{ hooks = { "raw-up" }, eval = function ()
    if not seen then seen = true io.open("at_work.fifo", "w"):close() end
end }
END
one_pair=$here/../samples/captures/ipv6-http.pcap
cat >hang.lua <<'END'
io.open("at_work.fifo", "w"):close()
while true do end
END
for command in check "run -r $capture"; do
    timeout -s KILL 60 "$haka" $command --unsafe hang.lua 2>err &
    read -r _ <at_work.fifo
    kill -TERM $!
    wait $!
    [ $? = 1 ] && matches err "interrupted while it was loading" ||
        { echo "FAILED: $command: an interrupt doesn't end a policy that loads"; cat err; failed=1; }
done
for workers in 1 2; do
    exec 9<>in.fifo
    timeout -s KILL 60 "$haka" run -q --unsafe -j $workers -r in.fifo signal.lua 2>err &
    cat "$one_pair" >&9  # Less than a pipe holds.
    read -r _ <at_work.fifo
    kill -TERM $!
    wait $!
    [ $? = 1 ] && matches err "interrupted" ||
        { echo "FAILED: -j $workers: an interrupt doesn't end a run that waits"; cat err; failed=1; }
    exec 9>&-
done

# Killed while it writes: what stands in the file are whole packets.
endless() {
    head -c 24 "$one_pair"
    while tail -c +25 "$one_pair"; do :; done 2>/dev/null
}
for name in killed.pcap killed.pcapng; do
    "$haka" run -q -r <(endless) -w $name policy.lua >out 2>err &
    writes=$!
    for _ in $(seq 1000); do
        [ "$(stat -c %s $name 2>/dev/null || echo 0)" -gt 1000000 ] && break
        sleep 0.01
    done
    kill -KILL $writes
    { wait $writes; } 2>/dev/null
    expect 0 "loaded" "packets" run -r $name policy.lua
done

exit $failed
