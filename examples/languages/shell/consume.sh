#!/bin/sh
# Runs a program for every message of a queue, until Ctrl-C or SIGTERM:
#
#     ./consume.sh --queue hooks2            runs work.sh beside this script, which prints the message
#     ./consume.sh --queue hooks2 ./mine     runs your own
#
# The program finds the message on its standard input. It uses the programs of Debian's amqp-tools.
set -eu

url=${AMQP_URL:-amqp://guest:guest@127.0.0.1:5672/}
queue=${AMQP_QUEUE:-hooks2}
while [ $# -gt 0 ]; do
    case $1 in
        --url) url=${2:?--url needs a value} ;;
        --queue) queue=${2:?--queue needs a value} ;;
        -*)
            echo "usage: $0 [--url URL] [--queue QUEUE] [PROGRAM]" >&2
            exit 2
            ;;
        *) break ;;
    esac
    shift 2
done
[ $# -gt 0 ] || set -- "$(dirname "$0")/work.sh"
url=${url%/} # amqp-tools take a slash at the end for a virtual host without a name

# Whoever comes first makes the queue; for all others this only says that they mean the same one. --durable and
# nothing else is: durable, not exclusive, not auto-delete, no arguments. (Never amqp-consume --declare: that is
# another kind of queue, and the publisher would get 406 PRECONDITION_FAILED.)
amqp-declare-queue --url "$url" --queue "$queue" --durable >/dev/null

# amqp-consume acknowledges a message when the program ends with 0. Otherwise it would hand it back and try it again at
# once, for ever; so a failure ends it. What is not acknowledged when we end, even if we crash, goes back to the queue.
# shellcheck disable=SC2016 # the inner shell expands these
amqp-consume --url "$url" --queue "$queue" --prefetch-count 10 \
    -- sh -c '"$@" && exit; echo "error: the work failed with exit code $?" >&2; kill "$PPID"; exit 1' work "$@" &
consumer=$!
echo "waiting for messages in $queue" >&2

stopping=
trap 'stopping=yes; kill "$consumer" 2>/dev/null || :' INT TERM
wait "$consumer" 2>/dev/null || [ -n "$stopping" ]
