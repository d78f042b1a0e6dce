#!/bin/sh
# A sign-in with curl, from the start to a receipt that is verified and used. Start a development server, then run this:
#
#   go run ./cmd/watchword serve --dev
#   sh examples/curl/sign-in.sh
#
# The first argument is the URL of the server, http://localhost:8080 by default.
set -eu

url=${1:-http://localhost:8080}
key=dev                               # the API key of development mode
to="ann.$(date +%s)+test@example.com" # a test address of its own: the code is always 424242 (docs/testing.md)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if ! curl -fsS -o /dev/null "$url/healthz"; then
  echo "There is no server at $url. Start one with: go run ./cmd/watchword serve --dev" >&2
  exit 1
fi

# post PATH JSON: sends a request and shows it, and the status and body of its answer. They are in $status and $body afterwards.
post() {
  echo
  echo "POST $1"
  echo "  $2"
  status=$(curl -sS -o "$folder/body" -w '%{http_code}' "$url$1" \
    -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d "$2")
  body=$(cat "$folder/body")
  echo "$status"
  echo "  $body"
}

# field NAME: the first text with this name in $body.
field() { printf '%s' "$body" | grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

# expect STATUS: ends the script if the answer has another status.
expect() {
  if [ "$status" != "$1" ]; then
    echo "expected the status $1" >&2
    exit 1
  fi
}

echo "1. Start a verification. A message with a code goes to the address. Keep id and handle in the session of the browser."
post /v1/verifications '{"purpose": "sign_in", "methods": [{"strategy": "otp", "channel": "email", "to": "'$to'"}]}'
expect 201
verification=$(field id)

echo
echo "2. The person reads the code. The development server shows messages at $url/inbox instead of sending them."
code=
for _ in 1 2 3 4 5 6 7 8 9 10; do
  code=$(curl -sS --get "$url/inbox/messages" --data-urlencode "to=$to" | grep -o '"code":"[^"]*"' | head -n 1 | cut -d '"' -f 4)
  [ -n "$code" ] && break
  sleep 1
done
echo "   The code is $code."

echo
echo "3. Check what the person typed. A wrong code is never answered with 200."
post "/v1/verifications/$verification/check" '{"purpose": "sign_in", "to": "'$to'", "answer": "000000"}'
expect 422
post "/v1/verifications/$verification/check" '{"purpose": "sign_in", "to": "'$to'", "answer": "'"$code"'"}'
expect 200
receipt=$(field receipt)

echo
echo "The person is verified. Only a service that did not get this answer itself verifies the receipt."

echo
echo "4. Verify the signature with the public key of the server. A library for JWT does all of it: docs/receipts.md."
if openssl list -public-key-algorithms 2>/dev/null | grep -qi ed25519; then
  decode() { # base64url without padding
    text=$(printf '%s' "$1" | tr '_-' '/+')
    while [ $((${#text} % 4)) -ne 0 ]; do text="$text="; done
    printf '%s' "$text" | openssl base64 -d -A
  }
  body=$(curl -sS "$url/.well-known/jwks.json")
  { printf '\060\052\060\005\006\003\053\145\160\003\041\000'; decode "$(field x)"; } >"$folder/key.der" # SubjectPublicKeyInfo of RFC 8410
  printf '%s' "${receipt%.*}" >"$folder/signed"
  decode "${receipt##*.}" >"$folder/signature"
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$folder/key.der" -rawin -in "$folder/signed" -sigfile "$folder/signature"
  body=$(decode "$(printf '%s' "$receipt" | cut -d . -f 2)")
  echo "  $body"
else
  echo "   skipped: there is no openssl with Ed25519"
fi

echo
echo "5. Use the receipt: the server verifies it and answers with the claims, once."
post /v1/receipts/redeem '{"receipt": "'"$receipt"'", "purpose": "sign_in"}'
expect 200
post /v1/receipts/redeem '{"receipt": "'"$receipt"'", "purpose": "sign_in"}'
expect 409

echo
echo "Done: $to is verified."
