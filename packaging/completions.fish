# Completions of haka for fish.
set -l commands run check ctl doctor
set -l ctl_commands status stats connections drop reset rules reload log-level stop
set -l levels fatal error warning info debug
complete -c haka -f
complete -c haka -n "not __fish_seen_subcommand_from $commands" -a run -d 'Run a policy'
complete -c haka -n "not __fish_seen_subcommand_from $commands" -a check -d 'Load a policy'
complete -c haka -n "not __fish_seen_subcommand_from $commands" -a ctl -d 'Steer a running engine'
complete -c haka -n "not __fish_seen_subcommand_from $commands" -a doctor -d 'Check for live traffic'
complete -c haka -s h -l help -d 'Explain'
complete -c haka -n 'not __fish_seen_subcommand_from ctl doctor' -s V -l version -d Version

set -l policy '__fish_seen_subcommand_from run check'
complete -c haka -n $policy -k -a '(__fish_complete_suffix .lua)'
complete -c haka -n $policy -s c -r -F -d 'Settings file'
complete -c haka -n $policy -l set -x -d 'One setting'
complete -c haka -n $policy -l unsafe -d 'The policy may use ffi, io and the like'
complete -c haka -n $policy -l colour -l color -x -a 'auto always never' -d Colours

set -l run '__fish_seen_subcommand_from run'
complete -c haka -n $run -s r -r -F -d 'Capture to read'
complete -c haka -n $run -s w -r -F -d 'Where packets that leave go'
complete -c haka -n $run -s f -x -d Filter
complete -c haka -n $run -s k -x -a 'auto all none' -d 'Wrong checksums'
complete -c haka -n $run -l pass-through -d 'Change nothing'
complete -c haka -n $run -s j -x -d Workers
complete -c haka -n $run -s q -l quiet -d 'No alerts, progress, summary'
complete -c haka -n $run -l eve -r -F -d 'Events as JSON lines'
complete -c haka -n $run -l log -r -F -d 'Log lines go there'
complete -c haka -n $run -l log-level -x -a "$levels" -d Level
complete -c haka -n $run -l profile -d 'Time of each rule'
complete -c haka -n $run -l metrics -x -d 'Page for Prometheus'
complete -c haka -n $run -l seed -x -d 'For hash keys and random numbers'

set -l live '__fish_seen_subcommand_from run doctor'
complete -c haka -n $live -s i -x -a '(__fish_print_interfaces)' -d 'Interface, or two'
complete -c haka -n $live -l nfqueue -x -d Queues
complete -c haka -n '__fish_seen_subcommand_from doctor' -l af-xdp -d 'Two interfaces by AF_XDP'

set -l ctl '__fish_seen_subcommand_from ctl'
complete -c haka -n "$ctl; and not __fish_seen_subcommand_from $ctl_commands" -a "$ctl_commands"
complete -c haka -n $ctl -l socket -r -F -d 'Control socket'
complete -c haka -n $ctl -l json -d 'The answer as it came'
complete -c haka -n "$ctl; and __fish_seen_subcommand_from log-level" -a "$levels"
complete -c haka -n "$ctl; and __fish_seen_subcommand_from connections" -a 'client= server= address= port= state= id='
