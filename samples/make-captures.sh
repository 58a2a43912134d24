#!/bin/bash
# Records the sample captures: real programs, a client and a server in network namespaces.
# The results are committed; run this again only to change what they show.
#   sudo samples/make-captures.sh [FOLDER]     exit 77: skipped, with the reason
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/captures}
. "$here/lab.sh"

lab_require nginx curl sshd ssh ssh-keygen ssh-keyscan nmap ping editcap
lab_up
mkdir -p "$out" "$LAB_DIR/www"
cat >"$LAB_DIR/www/index.html" <<END
<!DOCTYPE html>
<html><head><title>Welcome</title></head>
<body><h1>It works</h1><p>A page of the sample server.</p></body></html>
END
for ((i = 1; i <= 600; ++i)); do echo "line $i of the sample file, long enough to need several segments"; done \
    >"$LAB_DIR/www/lines.txt"
lab_nginx "$LAB_DIR/www" 80
lab_sshd

web() { in_client curl -s -o /dev/null --max-time 10 "$@"; }
login() {
    in_client ssh -F none -q -i "$LAB_DIR/key" -o IdentitiesOnly=yes -o BatchMode=yes \
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@192.168.20.1 "$@"
}

# Everything that the firewall example decides about: web and ssh to the server, a refused port, a
# server outside its networks, and two kinds of scan.
lab_record "$LAB_DIR/firewall.pcap" ip
in_client ping -q -c 2 -i 0.2 192.168.20.1 >/dev/null
web http://192.168.20.1/
web http://192.168.20.1/lines.txt
web -I http://192.168.20.1/missing
login 'echo hello from the server' >/dev/null || echo "note: the ssh login failed" >&2
web https://192.168.20.1/
mac=$(in_server cat /sys/class/net/wire/address)
ip -n "$LAB-client" neighbour add 192.168.20.200 lladdr "$mac" dev wire  # So that the SYNs leave.
web --connect-timeout 2 http://192.168.20.200/
in_client nmap -n -Pn -sS --max-retries 1 -T4 \
    -p 21,22,23,25,53,80,110,111,135,139,143,389,443,445,993,995,3306,3389,5432,8080 \
    192.168.20.1 >/dev/null
in_client nmap -n -Pn -sX --max-retries 0 -T4 -p 22,80,443,8080 192.168.20.1 >/dev/null
web http://192.168.20.1/
lab_recorded
cp "$LAB_DIR/firewall.pcap" "$out/firewall.pcap"

# One page over one connection, as pcapng.
lab_record "$LAB_DIR/http-get.pcap" tcp
web http://192.168.20.1/
lab_recorded
editcap -F pcapng "$LAB_DIR/http-get.pcap" "$out/http-get.pcapng"

# The same over IPv6, with the addresses asked for first, and a longer file on the same connection.
lab_record "$LAB_DIR/ipv6-http.pcap" ip6
in_client ping -q -c 1 fd00:20::1 >/dev/null
web 'http://[fd00:20::1]/' 'http://[fd00:20::1]/lines.txt' -o /dev/null
lab_recorded
cp "$LAB_DIR/ipv6-http.pcap" "$out/ipv6-http.pcap"

# What the lessons on HTTP read: pages, a search with an injection in it, a form, a request for many
# ranges, all but the last on connections that carry several requests.
lab_record "$LAB_DIR/http.pcap" tcp
web http://192.168.20.1/ -o /dev/null 'http://192.168.20.1/?id=7&name=O%27Hara'
web http://192.168.20.1/ -o /dev/null "http://192.168.20.1/?id=7%27%20UnIoN/**/SeLeCt%20password%20FROM%20users--"
web -d 'user=me&pass=%27+or+1%3D1--' http://192.168.20.1/
web -H 'Range: bytes=0-,5-0,5-1,5-2,5-3,5-4,5-5,5-6,5-7' http://192.168.20.1/lines.txt
web -r 0-99 http://192.168.20.1/lines.txt
lab_recorded
cp "$LAB_DIR/http.pcap" "$out/http.pcap"

# Datagrams larger than the link carries: echo requests of both families, and a UDP datagram to a
# port where nobody listens.
lab_record "$LAB_DIR/fragments.pcap"
in_client ping -q -c 2 -i 0.2 -s 4000 192.168.20.1 >/dev/null
in_client ping -q -c 2 -i 0.2 -s 4000 fd00:20::1 >/dev/null
in_client bash -c 'printf "%03000d" 7 >/dev/udp/192.168.20.1/9' 2>/dev/null
lab_recorded
cp "$LAB_DIR/fragments.pcap" "$out/fragments.pcap"

ls -l "$out"
