#!/bin/sh
# The work: whatever is to be done with a message. This prints it, with a line end.
set -eu

cat
echo
