#!/bin/bash
# Runs one sample and compares what it prints and what leaves with what its folder expects.
#   run-sample.sh HAKA CAPTURE_TEXT FOLDER            exit 1 and a diff when something differs
#   run-sample.sh --accept HAKA CAPTURE_TEXT FOLDER   writes what happened as what is expected
#
# A sample's folder holds
#   policy.lua            the policy
#   options               words for `haka run` but -w and the policy; paths start at the folder
#   expected.txt          standard output: alerts and prints
#   expected-packets.txt  optional: what leaves, one line for each packet without its payload
#   expected-status       optional: the exit status, 0 without it
set -u
accept=
[ "${1:-}" != --accept ] || { accept=yes; shift; }
haka=$(realpath "${1:?usage: run-sample.sh [--accept] HAKA CAPTURE_TEXT FOLDER}")
capture_text=$(realpath "${2:?}")
cd "${3:?}" || exit 1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
read -ra options <options
"$haka" run "${options[@]}" --seed 1 --colour never -w "$scratch/left.pcap" policy.lua \
    >"$scratch/expected.txt" 2>"$scratch/errors"
status=$?
"$capture_text" "$scratch/left.pcap" 2>>"$scratch/errors" |
    sed -E 's/, length ([0-9]+) "([^"\\]|\\.)*"/, length \1/' >"$scratch/expected-packets.txt"
expected_status=0
[ ! -f expected-status ] || read -r expected_status <expected-status

if [ -n "$accept" ]; then
    cp "$scratch/expected.txt" .
    [ ! -f expected-packets.txt ] || cp "$scratch/expected-packets.txt" .
    [ "$status" = 0 ] || echo "$status" >expected-status
    exit 0
fi
failed=0
if [ "$status" != "$expected_status" ]; then
    echo "exit status $status, not $expected_status"
    failed=1
fi
diff -u expected.txt "$scratch/expected.txt" || failed=1
[ ! -f expected-packets.txt ] || diff -u expected-packets.txt "$scratch/expected-packets.txt" || failed=1
[ $failed = 0 ] || cat "$scratch/errors"
exit $failed
