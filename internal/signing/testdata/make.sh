#!/bin/sh
# Makes the signatures in this directory that the fuzz targets start from: one request, signed by officers with
# openssl and certtool, and their certificates. The keys are made for the moment and thrown away.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
printf '%s' "$(cat "$here/request.json")" >request.json
make() { name=$1; shift; openssl req -x509 -nodes -keyout "$name.key" -out "$name.pem" -subj "/O=Test/CN=$name" -days 36500 "$@" 2>/dev/null; }
sign() { name=$1; shift; openssl cms -sign -binary -nodetach -md sha256 -in request.json -signer "$name.pem" -inkey "$name.key" "$@" -outform DER -out "$name.der"; }
make rsa -newkey rsa:2048
make pss -newkey rsa:2048
make rsa8192 -newkey rsa:8192
make p256 -newkey ec -pkeyopt ec_paramgen_curve:P-256
make p521 -newkey ec -pkeyopt ec_paramgen_curve:P-521
sign rsa
sign pss -keyopt rsa_padding_mode:pss
sign rsa8192
sign p256
sign p521 -cades -keyid -certfile p256.pem
certtool --generate-privkey --key-type ed25519 --outfile ed25519.key 2>/dev/null
printf 'cn = ed25519\nsigning_key\nexpiration_days = 36500\n' >ed25519.tmpl
certtool --generate-self-signed --load-privkey ed25519.key --template ed25519.tmpl --outfile ed25519.pem 2>/dev/null
certtool --p7-sign --p7-time --outder --load-certificate ed25519.pem --load-privkey ed25519.key --infile request.json --outfile ed25519.der
for name in rsa pss rsa8192 p256 p521 ed25519; do
	openssl x509 -in "$name.pem" -outform DER -out "$here/signatures/$name.crt"
	cp "$name.der" "$here/signatures/$name.der"
done
