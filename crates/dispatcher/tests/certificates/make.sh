#!/bin/sh
# Makes the certificates of these tests anew; needs openssl. Nothing here is a secret: nobody trusts this authority.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/index"
cat > "$work/conf" <<CONF
[req]
distinguished_name = name
prompt = no
[name]
CN = unused
[ca]
default_ca = here
[here]
dir = $work
database = $work/index
new_certs_dir = $work
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
extendedKeyUsage = serverAuth
[elsewhere]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:portal.example.com, DNS:*.example.net
extendedKeyUsage = serverAuth
[client]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
extendedKeyUsage = clientAuth
[itself]
basicConstraints = critical, CA:TRUE
subjectAltName = DNS:localhost, IP:127.0.0.1
CONF
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
# NAME EXTENSIONS FROM UNTIL, issued by the authority
issue() {
    openssl req -new -config "$work/conf" -key server.key -subj "/CN=contactsync test server" -out "$work/csr"
    openssl ca -batch -notext -config "$work/conf" -extensions "$2" -startdate "$3" -enddate "$4" \
        -cert authority.pem -keyfile "$work/authority.key" -in "$work/csr" -out "$1.pem"
}
# NAME EXTENSIONS KEY SUBJECT, issued by itself
self() {
    openssl req -new -config "$work/conf" -key "$3" -subj "/CN=$4" -out "$work/csr"
    openssl ca -batch -notext -config "$work/conf" -extensions "$2" -startdate 20200101000000Z -enddate 21200101000000Z \
        -selfsign -keyfile "$3" -in "$work/csr" -out "$1.pem"
}
key "$work/authority.key"
key server.key
self authority authority "$work/authority.key" "contactsync test authority"
issue good server 20200101000000Z 21200101000000Z
issue expired server 20200101000000Z 20210101000000Z
issue not-yet server 21000101000000Z 21200101000000Z
issue other-name elsewhere 20200101000000Z 21200101000000Z
issue other-purpose client 20200101000000Z 21200101000000Z
self itself itself server.key "contactsync test server"
