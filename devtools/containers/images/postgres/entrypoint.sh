#!/bin/sh
set -eu
if [ "$(id -u)" = 0 ]; then
    chown -R postgres:postgres "$PGDATA" && chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres}
    given=${POSTGRES_PASSWORD_FILE:-}
    if [ -z "$given" ]; then
        given=/tmp/password
        (umask 077 && printf '%s\n' "${POSTGRES_PASSWORD:?is not set}" >$given)
    fi
    initdb --username="$user" --pwfile="$given" --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 >/dev/null
    rm -f /tmp/password
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    printf "listen_addresses = '*'\njit = off\n" >>"$PGDATA/postgresql.conf"
    if [ "${POSTGRES_DB:-$user}" != postgres ]; then
        # Nobody can connect over the network before the database is there.
        pg_ctl -s -w start -o "-c listen_addresses=''"
        createdb --username="$user" --maintenance-db=postgres "${POSTGRES_DB:-$user}"
        pg_ctl -s -w -m fast stop
    fi
fi
exec "$@"
