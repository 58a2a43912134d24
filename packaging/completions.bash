# Completions of haka for bash.
_haka() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command='' i options=''
    local common='-c --set --unsafe --colour -h --help -V --version'
    # bash takes : and = as words of their own.
    [ "$word" = = ] && word=''
    [ "$before" = = ] && before=${COMP_WORDS[COMP_CWORD-2]}
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            run|check|ctl|doctor) command=${COMP_WORDS[i]}; break ;;
        esac
    done
    case $before in
        -k) COMPREPLY=($(compgen -W 'auto all none' -- "$word")); return ;;
        --colour|--color) COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
        --log-level|log-level)
            COMPREPLY=($(compgen -W 'fatal error warning info debug' -- "$word")); return ;;
        -i) COMPREPLY=($(compgen -W "$(ls /sys/class/net 2>/dev/null)" -- "$word")); return ;;
        -r|-w|-c|--eve|--log|--socket) COMPREPLY=($(compgen -f -- "$word")); return ;;
        -f|-j|--set|--seed|--nfqueue|--metrics) return ;;
    esac
    case $command in
        '') COMPREPLY=($(compgen -W 'run check ctl doctor -h --help -V --version' -- "$word")); return ;;
        run) options="$common -r -w -f -k --pass-through -j -q --quiet --eve --log --log-level --profile --seed -i --nfqueue --metrics" ;;
        check) options=$common ;;
        doctor) options='-i --nfqueue --af-xdp -h --help' ;;
        ctl) options='--socket --json -h --help' ;;
    esac
    if [[ $word = -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$word"))
    elif [ "$command" = ctl ]; then
        case " ${COMP_WORDS[*]:i+1:COMP_CWORD-i-1} " in
            *' connections '*) COMPREPLY=($(compgen -W 'client= server= address= port= state= id=' -- "$word"))
                compopt -o nospace 2>/dev/null ;;
            *) COMPREPLY=($(compgen -W 'status stats connections drop reset rules reload log-level stop' -- "$word")) ;;
        esac
    elif [ "$command" = run ] || [ "$command" = check ]; then
        COMPREPLY=($(compgen -d -S / -- "$word") $(compgen -f -X '!*.lua' -- "$word"))
    fi
}
complete -o filenames -F _haka haka
