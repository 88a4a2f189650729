#!/bin/sh
# A hook of type script, as Splynx's documentation has them: the event is one line of JSON on standard input.
read -r line
name=$(printf '%s' "$line" | python3 -c 'import json, sys; print(json.load(sys.stdin)["attributes"]["name"])')
echo "Welcome, $name ($BRIDGE_EVENT_TYPE)"
