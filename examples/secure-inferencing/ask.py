"""Ask a scoring endpoint once and say, as one line of JSON, what happened.

    python ask.py URL [KEY]

Standard library only: it runs in any location with any Python. A connection that is
not answered within one and a half seconds counts as blocked.
"""

import json
import sys
import time
import urllib.error
import urllib.request

ROW = [0.0381, 0.0507, 0.0617, 0.0219, -0.0442, -0.0348, -0.0434, -0.0026, 0.0199, -0.0176]
PATIENCE_S = 1.5


def ask(url, key=None):
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = "Bearer " + key
    request = urllib.request.Request(url, json.dumps({"data": [ROW]}).encode(), headers)
    begun = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return {"outcome": "answers", "status": answer.status, "body": answer.read().decode(), "ms": elapsed(begun)}
    except urllib.error.HTTPError as error:
        return {"outcome": "answers", "status": error.code, "body": error.read().decode(), "ms": elapsed(begun)}
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        reason = getattr(error, "reason", error)
        return {"outcome": "blocked", "reason": str(reason), "ms": elapsed(begun)}


def elapsed(begun):
    return round((time.perf_counter() - begun) * 1000, 1)


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)))
