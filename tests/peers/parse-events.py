#!/usr/bin/env python3
"""Receives syslog by UDP, TCP and TLS, and parses each message with parsers that share nothing with nodeward.

event-parsers parse-events.py CERT KEY: prints a line of JSON with its ports, and then one for each message.
"""
import json
import socket
import socketserver
import ssl
import sys
import threading

import pycef
from syslog_rfc5424_parser import SyslogMessage

lock = threading.Lock()


def tell(**what):
    with lock:
        print(json.dumps(what), flush=True)


def parse(way, raw):
    try:
        text = raw.decode("utf-8")  # strict: RFC 5424 section 6.4
        message = SyslogMessage.parse(text)
        told = message.as_dict()
        cef = pycef.parse(told["msg"]) if "CEF:" in (told["msg"] or "") else None
        controls = [hex(ord(c)) for c in text if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0]
        tell(way=way, size=len(raw), message=told, cef=cef, controls=controls)
    except Exception as wrong:  # whatever a parser does not like
        tell(way=way, wrong=repr(wrong), raw=raw.decode("utf-8", "replace"))


def frames(way, stream):
    """RFC 6587 section 3.4.1, RFC 5425 section 4.3: MSG-LEN SP SYSLOG-MSG, and nothing between."""
    while True:
        size = b""
        while (byte := stream.read(1)) != b" ":
            if not byte:
                return
            if not byte.isdigit() or (not size and byte == b"0") or len(size) > 6:
                return tell(way=way, wrong=f"no length: {size + byte!r}")
            size += byte
        raw = stream.read(int(size))
        if len(raw) < int(size):
            return  # the other end was killed within a message
        parse(way, raw)


class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, way, context=None):
        outer = self
        self.context = context

        class Handler(socketserver.StreamRequestHandler):
            def setup(self):
                if outer.context:
                    self.request = outer.context.wrap_socket(self.request, server_side=True)
                super().setup()

            def handle(self):
                frames(way, self.rfile)

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    tcp, cef, tls = Tcp("tcp"), Tcp("cef", context), Tcp("tls", context)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    udp.bind(("127.0.0.1", 0))
    tell(
        udp=udp.getsockname()[1],
        tcp=tcp.server_address[1],
        cef=cef.server_address[1],
        tls=tls.server_address[1],
    )
    while True:
        parse("udp", udp.recv(65535))


main()
