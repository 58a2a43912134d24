#!/bin/bash
# Makes the traffic that the benchmark reads: real servers and clients in two network namespaces,
# multiplied and varied by the tools beside this script. About 2.2 GB; the same names are left alone
# when they exist already.
#   sudo bench/make-traffic.sh TOOLS [FOLDER]      exit 77: skipped, with the reason
# TOOLS is the folder of the built tools, FOLDER is build/bench-data if not given.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tools=${1:?usage: make-traffic.sh TOOLS [FOLDER]}
out=${2:-$here/../build/bench-data}
. "$here/../samples/lab.sh"

mkdir -p "$out"
out=$(cd "$out" && pwd)
tools=$(cd "$tools" && pwd)
if [ -f "$out/manifest" ]; then
    echo "the traffic is there: $out"
    exit 0
fi
for tool in multiply reorder generate; do
    [ -x "$tools/$tool" ] || { echo "$tools/$tool: not built" >&2; exit 1; }
done
lab_require nginx curl ab sshd ssh-keygen ssh-keyscan
space=$(df --output=avail -k "$out" | tail -1)
[ "$space" -gt 3500000 ] || lab_skip "$out has less than 3.5 GB left"
lab_up
manifest=$LAB_DIR/manifest
step() {  # step NAME COMMAND...: its output, numbers with names, goes to the manifest.
    local name=$1 numbers
    shift
    numbers=$("$@") || { echo "$name failed" >&2; exit 1; }
    echo "$name $numbers" | tee -a "$manifest"
}

mkdir "$LAB_DIR/www"
head -c 300 /dev/zero | tr '\0' 'x' >"$LAB_DIR/www/small.html"
step body "$tools/generate" text "$LAB_DIR/www/body.txt" --size 2500000 --seed 7
lab_nginx "$LAB_DIR/www" "80 8080" "keepalive_requests 100;"
lab_sshd
many() { in_client ab -q -r -n "$1" -c "$2" "${@:3}" >"$LAB_DIR/ab" || cat "$LAB_DIR/ab" >&2; }

# Short connections, many at a time: nine of ten to the web server, the others to ssh, where they
# only exchange names, to a second web server and to a port where nobody listens.
lab_record "$LAB_DIR/churn.pcap" tcp
many 4500 64 http://192.168.20.1/small.html &
web=$!
many 150 4 http://192.168.20.1:8080/small.html &
other=$!
in_client bash -c '
    for ((i = 0; i < 100; ++i)); do exec 3<>/dev/tcp/192.168.20.1/443; done 2>/dev/null
    for ((i = 0; i < 250; ++i)); do
        exec 3<>/dev/tcp/192.168.20.1/22 && read -r -u 3 name && echo "SSH-2.0-bench" >&3
        exec 3>&-
    done'
wait "$web" "$other"
lab_recorded
step churn "$tools/multiply" "$LAB_DIR/churn.pcap" "$out/churn.pcap" --connections 200000 --lanes 4 \
    --delayed-acks 40

# Short requests, a hundred on each connection.
lab_record "$LAB_DIR/small.pcap" tcp
many 10000 32 -k http://192.168.20.1/small.html
lab_recorded
step small "$tools/multiply" "$LAB_DIR/small.pcap" "$out/small.pcap" --copies 30 --lanes 2

# Long transfers, 24 at a time.
lab_record "$LAB_DIR/bulk.pcap" tcp
in_client curl -s -Z --parallel-immediate --parallel-max 24 -H 'Connection: close' \
    "http://192.168.20.1/body.txt?[1-24]" -o /dev/null
lab_recorded
step bulk "$tools/multiply" "$LAB_DIR/bulk.pcap" "$out/bulk.pcap" --copies 10 --lanes 2 \
    --clients 120
step bulk-reordered "$tools/reorder" "$out/bulk.pcap" "$out/bulk-reordered.pcap" --seed 3

step idle "$tools/generate" handshakes "$out/idle.pcap" --count 1000000
step idle-few "$tools/generate" handshakes "$out/idle-few.pcap" --count 1000
mv "$manifest" "$out/manifest"
