#!/bin/sh
# Drops root, as the official entry point does; RABBITMQ_DEFAULT_USER, _PASS and _VHOST are read by the server itself.
set -eu
export RABBITMQ_LOGS=-
if [ "$(id -u)" = 0 ]; then
    chown -R rabbitmq:rabbitmq /var/lib/rabbitmq
    exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups "$@"
fi
exec "$@"
