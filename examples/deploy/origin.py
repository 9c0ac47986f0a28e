#!/usr/bin/env python3
"""A slow API, for load tests: each answer takes as long as a query of a database does.

    python3 origin.py --port 9000 --delay 0.3

GET /auctions, /auctions/ADDRESS, /auctions/ADDRESS/price-history answer JSON after the delay.
GET /calls answers at once how often each path was asked. Only the standard library is needed.
"""

import argparse
import collections
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADDRESS = r"0x[0-9a-fA-F]{40}"
AUCTIONS = ["0x" + f"{n:040x}" for n in range(1, 21)]


def auction(address):
    return {"address": address.lower(), "status": "active", "round": 1, "available": "100000000000000000000"}


def history(address):
    return {"address": address.lower(), "points": [{"minute": m, "price": str(10**18 - m)} for m in range(60)]}


ROUTES = [
    (re.compile(r"/auctions"), lambda: [auction(address) for address in AUCTIONS]),
    (re.compile(rf"/auctions/({ADDRESS})"), auction),
    (re.compile(rf"/auctions/({ADDRESS})/price-history"), history),
]


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body would otherwise be two packets, of which the second waits for the first's receipt.
    wbufsize = -1
    disable_nagle_algorithm = True
    calls = collections.Counter()
    lock = threading.Lock()
    delay = 0.3

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/calls":
            with self.lock:
                return self.answer(200, dict(self.calls))
        with self.lock:
            self.calls[path] += 1
        for pattern, make in ROUTES:
            found = pattern.fullmatch(path)
            if found:
                time.sleep(self.delay)
                return self.answer(200, make(*found.groups()))
        return self.answer(404, {"detail": "Not Found"})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0 is a free one, which is printed")
    parser.add_argument("--delay", type=float, default=0.3, help="seconds for each answer")
    arguments = parser.parse_args()
    Api.delay = arguments.delay
    server = Server((arguments.host, arguments.port), Api)
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
