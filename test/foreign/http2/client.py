"""client.py CA URL: requests of several kinds with httpx over HTTP/2. Prints the version, status and size of each."""
import ssl
import sys

import httpx

with httpx.Client(http2=True, verify=ssl.create_default_context(cafile=sys.argv[1]), timeout=120) as client:
    for response in (
        client.get(sys.argv[2]),
        client.post(sys.argv[2], content=b"x" * 300_000),
        client.post(sys.argv[2], content=iter([b"x" * 100_000] * 3)),
        client.head(sys.argv[2]),
    ):
        print(response.http_version, response.status_code, len(response.content))
