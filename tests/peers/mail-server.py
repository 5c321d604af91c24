#!/usr/bin/env python3
"""A mail server that is not of our making (aiosmtpd), and a reader of mails that is neither (Python's email).

Prints its two ports as JSON, then a line for each mail that it took. Refuses the recipient refused@..., and puts off later@... twice.
"""

import argparse
import asyncio
import email
import email.policy
import json
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


def say(what):
    print(json.dumps(what), flush=True)


class Handler:
    put_off = 2  # of all connections

    def __init__(self, way):
        self.way = way

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 nobody is called so"
        if address.startswith("later@") and Handler.put_off:
            Handler.put_off -= 1
            return "451 4.7.1 later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say({
            "way": self.way,
            "hello": session.host_name,
            "login": bool(session.authenticated),
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "header": [[name, str(value)] for name, value in mail.items()],
            "defects": [str(d) for d in mail.defects] + [str(d) for v in mail.values() for d in v.defects],
            "recipients": [str(a.addr_spec) for a in mail["To"].addresses],
            "type": mail.get_content_type(),
            "parts": mail.is_multipart(),
            "text": mail.get_content().replace("\r\n", "\n"),
        })
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data == LoginPassword(b"node", b"pass word")
    return AuthResult(success=good, handled=False)


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--cert")
    arguments.add_argument("--key")
    arguments.add_argument("--starttls", type=int, default=0)
    arguments.add_argument("--tls", type=int, default=0)
    asked = arguments.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(asked.cert, asked.key)
    loop = asyncio.get_running_loop()
    common = {"authenticator": authenticate, "auth_required": True, "enable_SMTPUTF8": True}

    def turning():
        return SMTP(Handler("starttls"), tls_context=context, require_starttls=True, **common)

    def protected():
        # It does not know that it is protected already.
        return SMTP(Handler("tls"), auth_require_tls=False, **common)

    first = await loop.create_server(turning, "127.0.0.1", asked.starttls)
    second = await loop.create_server(protected, "127.0.0.1", asked.tls, ssl=context)
    port = lambda server: server.sockets[0].getsockname()[1]
    say({"starttls": port(first), "tls": port(second)})
    await asyncio.Event().wait()


asyncio.run(main())
