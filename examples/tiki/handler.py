#!/usr/bin/env python3
"""What a function bound to tiki.webhook.received would do: read the sender's own bytes, and act as who sent them."""

import json
import os
import sys

contact = json.load(sys.stdin)["contact"]
print(f"{os.environ['BRIDGE_USER']} says: {contact['name']} is now in {contact['fields']['city']}")
