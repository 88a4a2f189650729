#!/bin/sh
# Makes passwords, keys and certificates in ./secrets, once: what is there already stays.
#
# The folder is for its owner alone; the files in it can be read by all, since each container reads those it gets as a user of its own.
set -eu
umask 022
cd -- "$(dirname -- "$0")"
mkdir -p secrets
chmod 700 secrets
cd secrets

written() { [ -s "$1" ] || printf '%s\n' "$2" >"$1"; }

# Letters and digits alone: they stand in URLs.
password() { openssl rand -hex 24; }

written broker.password "$(password)"
written postgres.password "$(password)"
written ENCRYPTION_KEY "$(openssl rand -base64 32)"
written BRIDGE_HTTP__ADMIN_TOKEN "$(openssl rand -hex 32)"
written BRIDGE_BROKER__URL "amqps://bridge:$(cat broker.password)@rabbitmq:5671/"
written BRIDGE_STORAGE__URL "postgresql://bridge:$(cat postgres.password)@postgres:5432/bridge"
written rabbitmq.conf "default_user = bridge
default_pass = $(cat broker.password)"

# An authority of this set-up alone, and one certificate for each server.
[ -s ca.pem ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj '/CN=amqp-bridge example authority' -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.pem 2>/dev/null
for server in rabbitmq postgres; do
    [ -s $server.pem ] && continue
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$server" \
        -keyout $server.key -out $server.csr 2>/dev/null
    cat >$server.ext <<EOF
subjectAltName=DNS:$server
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
EOF
    openssl x509 -req -days 825 -in $server.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
        -extfile $server.ext -out $server.pem 2>/dev/null
    rm $server.csr $server.ext
done
chmod 644 ./*
chmod 600 ca.key
