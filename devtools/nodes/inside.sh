#!/bin/sh
# Runs the program of this script's name in another root file system: `root` beside this folder links to it.
#
# The process keeps its id, sees this machine's processes, devices and temporary files, and is gone from the other root
# without a trace: what is mounted there, no other process sees.
set -eu

RABBITMQ_INSIDE=$(CDPATH='' cd -- "$(dirname -- "$0")/../root" && pwd -P)
RABBITMQ_PROGRAM=${0##*/}
case $RABBITMQ_PROGRAM in
    epmd) RABBITMQ_PROGRAM=/usr/bin/epmd ;;
    *) RABBITMQ_PROGRAM=/usr/lib/rabbitmq/bin/$RABBITMQ_PROGRAM ;;
esac
export RABBITMQ_INSIDE RABBITMQ_PROGRAM

# shellcheck disable=SC2016 # the inner shell expands them
exec unshare --mount --propagation private sh -eu -c '
    for folder in /proc /dev /sys /tmp "${TMPDIR:-/tmp}"; do
        mkdir -p "$RABBITMQ_INSIDE$folder"
        mount --rbind "$folder" "$RABBITMQ_INSIDE$folder"
    done
    : >>"$RABBITMQ_INSIDE/etc/hosts"
    mount --bind /etc/hosts "$RABBITMQ_INSIDE/etc/hosts"
    exec unshare --root="$RABBITMQ_INSIDE" --wd="$PWD" "$RABBITMQ_PROGRAM" "$@"
' inside "$@"
