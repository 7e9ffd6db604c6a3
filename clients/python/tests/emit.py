"""Prints what the corpus of the clients makes, a line for each message."""

import base64
import json

from test_report import emit

for topic, case, value, headers in emit():
    print(json.dumps({"topic": topic, "name": case["name"], "value": value.decode(), "headers": {k: base64.b64encode(v).decode() for k, v in headers}}))
