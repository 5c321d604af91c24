#!/usr/bin/env python3
"""A web server that is not of our making: what is posted to it is read by Python's json, held to a schema by jsonschema and its signature checked by hmac.

Prints its port, then a line for each request.
"""

import argparse
import hashlib
import hmac
import http.server
import json
import pathlib
import threading
import time

import jsonschema

lock = threading.Lock()


def say(what):
    # A thread each: a long line of one would stand in the midst of another's.
    with lock:
        print(json.dumps(what), flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--schema", type=pathlib.Path)
    arguments.add_argument("--secret")
    asked = arguments.parse_args()
    schema = json.loads(asked.schema.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            stamp = self.headers.get("x-nodeward-timestamp", "")
            want = hmac.new(asked.secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
            given = self.headers.get("x-nodeward-signature", "")
            value = json.loads(body)
            say({
                "path": self.path,
                "key": self.headers.get("idempotency-key"),
                "signed": hmac.compare_digest(want, given) and abs(time.time() - int(stamp)) < 300,
                "given": given,
                "faults": [error.message for error in validator.iter_errors(value)],
                "body": value,
            })
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    say({"port": server.server_address[1]})
    server.serve_forever()


main()
