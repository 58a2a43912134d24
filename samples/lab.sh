# Two hosts in a box: a client and a server in network namespaces of their own, joined by one cable.
# Sourced by the scripts that record traffic. Nothing of it is visible outside the namespaces.
#
#   lab_require COMMAND...   ends the script with exit code 77 (skipped) and a reason if it can't work here
#   lab_up                   makes the hosts; lab_down, run at exit, removes them and ends the servers
#   in_client / in_server    runs a command on that host
#   lab_record FILE [N]      starts recording the client's end of the cable; lab_recorded ends it
#
# Addresses: client 192.168.10.1, fd00:10::1; server 192.168.20.1, fd00:20::1.

LAB=haka$$
LAB_DIR=
LAB_RECORDER=
LAB_SERVERS=()

lab_skip() {
    echo "skipped: $1" >&2
    exit 77
}

lab_require() {
    local command
    for command in ip ethtool tcpdump "$@"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$command" >/dev/null || lab_skip "no $command here"
    done
    PATH=$PATH:/usr/sbin:/sbin
    [ "$(id -u)" = 0 ] || lab_skip "network namespaces need root"
    ip netns add "$LAB-probe" 2>/dev/null || lab_skip "this machine allows no network namespaces"
    ip netns del "$LAB-probe"
}

in_client() { ip netns exec "$LAB-client" "$@"; }
in_server() { ip netns exec "$LAB-server" "$@"; }

lab_down() {
    [ -z "$LAB_RECORDER" ] || kill "$LAB_RECORDER" 2>/dev/null
    local server
    for server in "${LAB_SERVERS[@]}"; do kill "$server" 2>/dev/null; done
    [ ${#LAB_SERVERS[@]} = 0 ] || wait "${LAB_SERVERS[@]}" 2>/dev/null
    ip netns del "$LAB-client" 2>/dev/null
    ip netns del "$LAB-server" 2>/dev/null
    [ -z "$LAB_DIR" ] || rm -rf "$LAB_DIR"
}

# The cards compute no checksum and join no segments for us: what is recorded is what a wire carries.
lab_host() {
    local host=$1 v4=$2 v6=$3 others4=$4 others6=$5
    ip -n "$LAB-$host" link set lo up
    ip -n "$LAB-$host" address add "$v4/24" dev wire
    ip -n "$LAB-$host" address add "$v6/64" dev wire nodad
    ip netns exec "$LAB-$host" ethtool -K wire rx off tx off sg off tso off gso off gro off >/dev/null
    ip -n "$LAB-$host" link set wire up
    ip -n "$LAB-$host" route add "$others4/24" dev wire
    ip -n "$LAB-$host" -6 route add "$others6/64" dev wire
}

lab_up() {
    LAB_DIR=$(mktemp -d)
    chmod 755 "$LAB_DIR"
    trap lab_down EXIT
    trap 'exit 130' INT TERM
    ip netns add "$LAB-client"
    ip netns add "$LAB-server"
    ip -n "$LAB-client" link add wire type veth peer name wire netns "$LAB-server"
    lab_host client 192.168.10.1 fd00:10::1 192.168.20.0 fd00:20::
    lab_host server 192.168.20.1 fd00:20::1 192.168.10.0 fd00:10::
    # Neighbours are asked for now, so that recordings begin with the traffic itself.
    in_client ping -q -c 1 192.168.20.1 >/dev/null
    in_client ping -q -c 1 fd00:20::1 >/dev/null
}

lab_record() {
    : >"$LAB_DIR/recorder"
    ip netns exec "$LAB-client" tcpdump -i wire -B 65536 --immediate-mode -U -w "$1" "${@:2}" 2>"$LAB_DIR/recorder" &
    LAB_RECORDER=$!
    lab_await "the recorder" grep -q 'listening on' "$LAB_DIR/recorder"
}

lab_recorded() {
    sleep 0.5  # The last packets are on their way from the kernel.
    kill "$LAB_RECORDER"
    wait "$LAB_RECORDER"
    LAB_RECORDER=
    grep -q '^0 packets dropped by kernel' "$LAB_DIR/recorder" || {
        echo "packets were lost while recording: $(tail -1 "$LAB_DIR/recorder")" >&2
        exit 1
    }
}

# lab_await WHAT COMMAND...: until it succeeds, at most 10 s.
lab_await() {
    local what=$1 i
    shift
    for ((i = 0; i < 200; ++i)); do
        "$@" 2>/dev/null && return
        sleep 0.05
    done
    echo "$what did not come up" >&2
    exit 1
}

# lab_nginx ROOT PORTS [SETTING...]: a web server for the files in ROOT.
lab_nginx() {
    local root=$1 ports=$2 port
    shift 2
    {
        echo "daemon off; pid $LAB_DIR/nginx.pid; error_log $LAB_DIR/nginx.log; worker_processes 1;"
        echo "events { worker_connections 4096; }"
        echo "http { access_log off; default_type text/plain; sendfile off; tcp_nodelay on; $*"
        echo "client_body_temp_path $LAB_DIR; proxy_temp_path $LAB_DIR; fastcgi_temp_path $LAB_DIR;"
        echo "uwsgi_temp_path $LAB_DIR; scgi_temp_path $LAB_DIR; server {"
        for port in $ports; do echo "listen $port backlog=4096; listen [::]:$port backlog=4096;"; done
        echo "root $root; } }"
    } >"$LAB_DIR/nginx.conf"
    ip netns exec "$LAB-server" nginx -c "$LAB_DIR/nginx.conf" -e "$LAB_DIR/nginx.log" &
    LAB_SERVERS+=($!)
    lab_await nginx in_server curl -s -o /dev/null "http://127.0.0.1:${ports%% *}/"
}

# lab_sshd: an ssh server on port 22; the key that may log in is $LAB_DIR/key.
lab_sshd() {
    mkdir -p /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f "$LAB_DIR/host_key"
    ssh-keygen -q -t ed25519 -N '' -C client -f "$LAB_DIR/key"
    cp "$LAB_DIR/key.pub" "$LAB_DIR/authorized"
    cat >"$LAB_DIR/sshd.conf" <<END
Port 22
HostKey $LAB_DIR/host_key
AuthorizedKeysFile $LAB_DIR/authorized
PidFile $LAB_DIR/sshd.pid
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PrintMotd no
PrintLastLog no
MaxStartups 1000
END
    ip netns exec "$LAB-server" "$(command -v sshd)" -D -f "$LAB_DIR/sshd.conf" -E "$LAB_DIR/sshd.log" &
    LAB_SERVERS+=($!)
    lab_await sshd in_server ssh-keyscan -T 1 127.0.0.1 >"$LAB_DIR/known" 2>/dev/null
}
