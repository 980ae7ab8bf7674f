"""A real SMTP server on a loopback port, for tests. It needs aiosmtpd.

It prints one line {"port": N} once it listens, appends each mail that it accepts to --store as one JSON line, and ends
when its standard input is closed. It listens at 127.0.0.1.

Recipients script what it does: `tempfail…` is refused for now (451), `permfail…` for good (550), `baddata…` after the
content (554), `greylist…` for now at its first try only. The sender `refused…` is refused for good (553).

A stored line has from, to, subject, body, sender (From as decoded), message_id, date, headers (a list of [name, value] as
they came), raw (the bytes as Latin-1), tls (protocol version or null) and user (who signed in, or null).
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


def utf8(text):
    """Text that the parser carries as single bytes, as the UTF-8 that it is."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Handler:
    def __init__(self, store):
        self.store = store
        self.greylisted = set()

    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "553 5.7.1 this sender is not welcome"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 sender ok"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("tempfail"):
            return "451 4.3.0 the mailbox is busy"
        if address.startswith("permfail"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("greylist") and address not in self.greylisted:
            self.greylisted.add(address)
            return "450 4.2.0 come back later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient ok"

    async def handle_DATA(self, server, session, envelope):
        if any(address.startswith("baddata") for address in envelope.rcpt_tos):
            return "554 5.6.0 this content is not welcome"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = message.get_body(("plain",))
        tls = server.transport.get_extra_info("ssl_object")
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": message["subject"],
            "sender": str(message["from"]),
            "body": body.get_content() if body else "",
            "message_id": message["message-id"],
            "date": message["date"],
            "headers": [[name, utf8(value)] for name, value in message.raw_items()],
            "raw": envelope.content.decode("latin-1"),
            "tls": tls.version() if tls else None,
            "user": session.auth_data,
        }
        with open(self.store, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return "250 2.0.0 queued as test"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", required=True, help="file that accepted mail is appended to")
    parser.add_argument("--tls", choices=["none", "starttls", "implicit"], default="none")
    parser.add_argument("--cert", help="PEM file with certificate chain")
    parser.add_argument("--key", help="PEM file with the private key")
    parser.add_argument("--user", help="demand this user name")
    parser.add_argument("--password", help="and this password")
    args = parser.parse_args()
    # Refused handshakes and sign-ins are what some tests are about.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")

    context = None
    if args.tls != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(args.cert, args.key)

    def authenticate(server, session, envelope, mechanism, data):
        good = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == (args.user, args.password)
        return AuthResult(success=good, handled=False, auth_data=args.user if good else None)

    handler = Handler(args.store)

    def server():
        return SMTP(
            handler,
            hostname="mail.example.test",
            enable_SMTPUTF8=True,
            tls_context=context if args.tls == "starttls" else None,
            require_starttls=args.tls == "starttls",
            authenticator=authenticate if args.user else None,
            auth_required=bool(args.user),
            auth_require_tls=args.tls == "starttls",
        )

    async def serve():
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            server, "127.0.0.1", 0, ssl=context if args.tls == "implicit" else None
        )
        print(json.dumps({"port": listener.sockets[0].getsockname()[1]}), flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        listener.close()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
