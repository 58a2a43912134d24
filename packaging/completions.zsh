#compdef haka
# Completions of haka for zsh.
local -a common run_options
common=(
    '-c[settings file]:file:_files -g "*.toml"'
    '*--set[one setting]:section.key=value:'
    '--unsafe[the policy may use ffi, io and the like]'
    '(--colour --color)'{--colour,--color}'[colours]:when:(auto always never)'
    '(- *)'{-h,--help}'[explain]'
    '(- *)'{-V,--version}'[version]'
)
run_options=(
    '-r[capture to read]:file:_files'
    '-i[interface to listen at, or two to stand between]:interface:_net_interfaces'
    '--nfqueue[queues to read]:queue:'
    '-w[where packets that leave go]:file:_files'
    '-f[filter]:expression:'
    '-k[wrong checksums]:mode:(auto all none)'
    '--pass-through[change nothing]'
    '-j[workers]:number:'
    '(-q --quiet)'{-q,--quiet}'[no alerts, progress, summary]'
    '--eve[events as JSON lines]:file:_files'
    '--log[log lines go there]:file:_files'
    '*--log-level[level]:level:(fatal error warning info debug)'
    '--profile[time of each rule]'
    '--metrics[page for Prometheus]:address\:port:'
    '--seed[for hash keys and random numbers]:number:'
)
_haka_ctl_words() {
    case $words[2] in
        log-level) _values level fatal error warning info debug ;;
        connections) _values -w filter 'client:address:' 'server:address:' 'address:address:' 'port:port:' 'state:state:' 'id:id:' ;;
    esac
}
case $words[2] in
    run) shift words; (( CURRENT-- )); _arguments -s $common $run_options '*:policy:_files -g "*.lua"' ;;
    check) shift words; (( CURRENT-- )); _arguments -s $common '*:policy:_files -g "*.lua"' ;;
    doctor)
        shift words; (( CURRENT-- ))
        _arguments '(--nfqueue)-i[interfaces]:interface:_net_interfaces' '(-i)--nfqueue[queues]:queue:' \
            '--af-xdp[two interfaces by AF_XDP]' '(- *)'{-h,--help}'[explain]' ;;
    ctl)
        shift words; (( CURRENT-- ))
        _arguments '--socket[control socket]:path:_files' '--json[the answer as it came]' \
            '(- *)'{-h,--help}'[explain]' \
            '1:command:(status stats connections drop reset rules reload log-level stop)' \
            '*::word:_haka_ctl_words' ;;
    *) _arguments '(- *)'{-h,--help}'[explain]' '(- *)'{-V,--version}'[version]' \
        '1:command:((run\:"run a policy" check\:"load a policy" ctl\:"steer a running engine" doctor\:"check for live traffic"))' ;;
esac
