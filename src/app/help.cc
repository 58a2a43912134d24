#include "app/help.h"

namespace haka::app {

const std::string_view kHelp = R"(haka: a Lua policy decides over network traffic

  haka run -r FILE [-w FILE] [options] POLICY.lua    run a policy over a capture
  haka run -i IF1:IF2 [options] POLICY.lua           stand between two interfaces
  haka run --nfqueue N [options] POLICY.lua          decide what the packet filter asks about
  haka check POLICY.lua                              load a policy, list its rules
  haka ctl COMMAND                                   look at a running engine, steer it
  haka doctor [--nfqueue N | -i IF1:IF2]             can live traffic be taken from there?
  haka COMMAND --help                                everything about one of them
  haka --version

Try:  haka run -r in.pcap -w out.pcap policy.lua
)";

const std::string_view kRunHelp =
    R"(haka run: takes packets, asks the policy about them, lets through what it lets through

  haka run -r FILE [-w FILE] [options] POLICY.lua    of a capture
  haka run -i IF1:IF2 [options] POLICY.lua           between two interfaces, as a wire
  haka run -i IF [options] POLICY.lua                at one interface, looking only
  haka run --nfqueue N[:M] [options] POLICY.lua      of iptables -j NFQUEUE, FORWARD chain

Packets
  -r FILE             capture to read: pcap or pcapng, plain or gzip; - is standard input
  -w FILE             where packets that leave go: .pcap or .pcapng by its ending (pcapng
                      carries the verdict and its reason as packet comments); - is pcap on
                      standard output, alerts and prints then go to standard error
  -i IF1:IF2          live: what comes by one interface leaves by the other
  -i IF               live: look only, as with --pass-through
  --nfqueue N[:M]     live: the kernel's packet queues N to M, a worker for each
  -f EXPR             only packets that this filter selects, as tcpdump writes them; live, the
                      others pass unlooked, and so do a selected packet's fragments
  -k auto|all|none    wrong checksums: auto counts and reports them, all drops such packets,
                      none doesn't verify
  --pass-through      look, but change nothing: drops are only marked and counted
  -j N                workers, 1 to 64; the result is the same with any number

What is told
  -q                  no alerts on the console, no progress, no summary
  --eve FILE          alerts and events as JSON lines (EVE); - is standard output, in the
                      place of readable alerts
  --log FILE          log lines go there, not to standard error
  --log-level LEVEL   fatal, error, warning, info or debug; MODULE=LEVEL for one module;
                      may be given several times
  --profile           the summary shows the time spent in each rule
  --metrics ADDR:PORT live: figures for Prometheus at http://ADDR:PORT/metrics
  --colour WHEN       auto, always or never; auto minds NO_COLOR

Settings
  -c FILE             settings file (TOML)
  --set KEY=VALUE     one setting, e.g. --set tcp.midstream=ignore; goes before the file's
  --seed N            for hash keys and math.random: equal seeds, equal results
  --unsafe            the policy may use ffi, io, os.execute and the like

Alerts and prints go to standard output; log lines, progress and the summary to standard error.

Examples
  haka run -r in.pcap policy.lua                   what would this policy say and do?
  haka run -r in.pcap -w out.pcapng policy.lua     keep what leaves; open it in Wireshark
  zcat day.pcap.gz | haka run -r - --eve day.json -q policy.lua
  haka run -r in.pcap -f 'tcp port 80' --log-level filter=debug policy.lua

  haka run -i eth0:eth1 --eve events.json policy.lua
  iptables -A FORWARD -j NFQUEUE --queue-num 0 --queue-bypass && haka run --nfqueue 0 policy.lua

Live: SIGTERM and Ctrl-C end the run with status 0; SIGUSR1 opens --eve and --log files anew.

Exit status
  0  done
  1  something failed on the way (damaged file, hanging rule, full disk, Ctrl-C); what was
     decided until then is written
  2  wrong usage, settings or policy; nothing was read
)";

const std::string_view kCheckHelp =
    R"(haka check: loads a policy without packets and lists its rules by hook

  haka check [-c FILE] [--set KEY=VALUE] [--unsafe] POLICY.lua

Refuses what cannot work: a Lua error, an unknown hook, a wrong argument.

Example
  haka check policy.lua && haka run -r in.pcap policy.lua

Exit status
  0  the policy loads
  1  interrupted
  2  it doesn't load, or wrong usage
)";

const std::string_view kCtlHelp =
    R"(haka ctl: asks a running engine over its control socket

  haka ctl [--socket PATH] [--json] COMMAND

Commands
  status                      what runs, since when, with what
  stats                       packets, drops, connections, memory, queues
  connections [FILTER]...     connections in the tables; a filter is client=, server= or
                              address= with an address or network, port=, state= or id=
  drop ID                     nothing more of that connection passes
  reset ID                    the same, and both ends get a RST
  rules                       rules with their errors, and their time under --metrics
  reload                      loads the policy anew; a wrong one changes nothing
  log-level [MODULE=]LEVEL    fatal, error, warning, info or debug, from now on
  stop                        ends the run, as SIGTERM does

Options
  --socket PATH       the engine's control.socket, by default /run/haka/control.sock
  --json              the answer as the engine gave it, one line

An ID is a connection's flow_id, as EVE records have it.

Examples
  haka ctl connections address=10.0.0.0/8 port=443 state=established
  haka ctl --json stats | jq .message.drops
  haka ctl log-level filter=debug

Exit status
  0  done
  1  the engine refused, went away, or there is none
  2  wrong usage, or no permission
)";

const std::string_view kDoctorHelp =
    R"(haka doctor: can live traffic be taken from there, and what mends it?

  haka doctor [--nfqueue N[:M] | -i IF | -i IF1:IF2 [--af-xdp]]

Looks at privileges, kernel, interfaces with their offloads, queues and the firewall's rules, and
changes nothing. Below each finding stand the commands that mend it. Without a source: what
concerns all of them.

Options
  --nfqueue N[:M]     packets that iptables or nft send to these queues
  -i IF               an interface, to listen at
  -i IF1:IF2          two interfaces, to stand between
  --af-xdp            by AF_XDP, as with --set live.af_xdp=true

Examples
  haka doctor --nfqueue 0:3
  haka doctor -i eth1:eth2

Exit status
  0  nothing prevents a run
  1  something does (fail)
  2  wrong usage
)";

}  // namespace haka::app
