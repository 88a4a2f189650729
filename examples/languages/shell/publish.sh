#!/bin/sh
# Publishes standard input, byte for byte, as one message:
#
#     ./publish.sh --queue hooks2 <event.json
#
# It uses the programs of Debian's amqp-tools, or `amqp-bridge publish` where they are not installed.
set -eu

url=${AMQP_URL:-amqp://guest:guest@127.0.0.1:5672/}
queue=${AMQP_QUEUE:-hooks2}
while [ $# -gt 0 ]; do
    case $1 in
        --url) url=${2:?--url needs a value} ;;
        --queue) queue=${2:?--queue needs a value} ;;
        *)
            echo "usage: $0 [--url URL] [--queue QUEUE] <body" >&2
            exit 2
            ;;
    esac
    shift 2
done

if command -v amqp-publish >/dev/null; then
    url=${url%/} # amqp-tools take a slash at the end for a virtual host without a name

    # Whoever comes first makes the queue; for all others this only says that they mean the same one. --durable and
    # nothing else is: durable, not exclusive, not auto-delete, no arguments.
    amqp-declare-queue --url "$url" --queue "$queue" --durable >/dev/null

    # --persistent: it survives a restart of the broker. amqp-publish does not wait until the broker has the
    # message, and has no option for the event's type; amqp-bridge publish does and has.
    amqp-publish --url "$url" --routing-key "$queue" --persistent --content-type application/json
    echo "published to $queue" >&2
else
    amqp-bridge publish --url "$url" --queue "$queue" --create --content-type application/json - >&2
fi
