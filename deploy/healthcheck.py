"""The proxy image's health check: /healthz on the admin port, with the token where one is set. Exit 0 or 1."""

import os
import sys
import urllib.request

port = os.environ.get("WEIR_ADMIN", "127.0.0.1:8053").rpartition(":")[2]
asked = urllib.request.Request(f"http://127.0.0.1:{port}/healthz")
if token := os.environ.get("WEIR_ADMIN_TOKEN"):
    asked.add_header("Authorization", f"Bearer {token}")
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=2).close()
except OSError as error:
    sys.exit(f"not healthy: {error}")
