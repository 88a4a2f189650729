#!/usr/bin/env python3
"""Be one of the senders in this folder: one request, signed as that system signs it, to an inlet of the bridge.

    PHLIX_SECRET=... python3 examples/send.py phlix --to http://127.0.0.1:8080

What is sent is made by the function `request` in <system>/sender.py, which knows nothing of the bridge.
"""

import argparse
import os
import runpy
import sys
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
SYSTEMS = sorted(file.parent.name for file in HERE.glob("*/sender.py"))


def main() -> None:
    """Send, print the answer; exit code 0 for 2xx."""
    parser = argparse.ArgumentParser(description="Send a webhook as one of the systems does.")
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("--to", default="http://127.0.0.1:8080", help="base URL of the bridge")
    options = parser.parse_args()
    variable = f"{options.system.upper()}_SECRET"
    if not os.environ.get(variable):
        parser.error(f"not set: {variable}")
    path, headers, body = runpy.run_path(str(HERE / options.system / "sender.py"))["request"](
        os.environ[variable]
    )
    connection = HTTPConnection(urlsplit(options.to).netloc, timeout=10)
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    print(response.status, response.read().decode(errors="replace").strip())
    sys.exit(0 if 200 <= response.status < 300 else 1)


if __name__ == "__main__":
    main()
