#!/usr/bin/env python3
"""A peer of gopherdiscovery on plain sockets: it announces a name, and prints the list of those who are there when it changes.

What it says and hears on its two connections is described in docs/protocol.md.
"""

import argparse
import os
import random
import re
import signal
import socket
import ssl
import struct
import sys
import threading
import time

PUB, SUB, SURVEYOR, RESPONDENT = 0x20, 0x21, 0x62, 0x63
SURVEY_LIMIT, LIST_LIMIT, NAME_LIMIT = 4 << 10, 64 << 20, 512
HANDSHAKE_TIME = 5  # seconds
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def is_name(name):
    """Tell whether bytes are a valid name."""
    try:
        return 1 <= len(name) <= NAME_LIMIT and b"|" not in name and not CONTROL.search(name.decode())
    except UnicodeDecodeError:
        return False


class Address:
    """A URL, taken apart. A malformed one is a ValueError."""

    def __init__(self, url):
        self.url = url
        self.scheme, found, self.path = url.partition("://")
        if self.scheme == "ipc":
            if not self.path or "\0" in self.path or len(os.fsencode(self.path)) > 107:
                raise ValueError("want a path of 1 to 107 bytes behind ipc://")
            return
        match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:/?#@,|\[\]]+)):([0-9]{1,5})", self.path)
        if self.scheme not in ("tcp", "tls+tcp") or not match or not 1 <= int(match[3]) <= 65535:
            raise ValueError("want tcp://host:port, tls+tcp://host:port or ipc://path")
        self.host, self.port = match[1] or match[2], int(match[3])
        try:
            self.host.encode("idna")  # as connecting does
        except UnicodeError:
            raise ValueError("malformed host") from None

    def connect(self, tls):
        if self.scheme == "ipc":
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(HANDSHAKE_TIME)
            try:
                sock.connect(self.path)
            except OSError:
                sock.close()
                raise
            return sock
        sock = socket.create_connection((self.host, self.port), HANDSHAKE_TIME)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 3), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 7)):
            if hasattr(socket, option):  # not everywhere
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        if self.scheme == "tcp":
            return sock
        return tls.wrap_socket(sock, server_hostname=self.host)  # closes sock if it fails


class Connection:
    """A connection to a server, as a context manager that closes it. All that can go wrong with it is an OSError."""

    def __init__(self, address, tls):
        self.marker = b"\x01" if address.scheme == "ipc" else b""
        self.sock = address.connect(tls)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def shake_hands(self, mine, theirs):
        deadline = time.monotonic() + HANDSHAKE_TIME
        self.sock.sendall(struct.pack(">4sHH", b"\0SP\0", mine, 0))
        if self.read(8, deadline) != struct.pack(">4sHH", b"\0SP\0", theirs, 0):
            raise ConnectionError("something else listens there")
        self.sock.settimeout(None)

    def read(self, length, deadline=None):
        data = bytearray()
        while len(data) < length:
            if deadline is not None:
                self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
            part = self.sock.recv(min(length - len(data), 1 << 16))
            if not part:
                raise ConnectionError("the server closed the connection")
            data += part
        return bytes(data)

    def receive(self, limit):
        if self.read(len(self.marker)) != self.marker:
            raise ConnectionError("the server does not keep to the protocol")
        (length,) = struct.unpack(">Q", self.read(8))
        if length > limit:
            raise ConnectionError(f"the server sent a message of {length} bytes, at most {limit} are allowed")
        return self.read(length)

    def send(self, body):
        self.sock.sendall(self.marker + struct.pack(">Q", len(body)) + body)


def announce(connection, name):
    """Answer surveys until the connection fails."""
    while True:
        survey = connection.receive(SURVEY_LIMIT)
        for at in range(0, min(len(survey) - 3, 36), 4):
            if survey[at] & 0x80:  # the id, perhaps behind the words of devices
                connection.send(survey[: at + 4] + name)
                break


class Watcher:
    """Prints lists, but none that is equal to the last."""

    def __init__(self):
        self.last = None

    def watch(self, connection):
        """Print lists until the connection fails."""
        while True:
            body = connection.receive(LIST_LIMIT)
            names = sorted({name for name in body.split(b"|") if is_name(name)})
            if names != self.last and (names or not body):  # a body without names is rubbish, not an empty list
                self.last = names
                write_line(sys.stdout, b"peers: [" + b" ".join(names) + b"]")


def write_line(stream, line):
    try:
        stream.buffer.write(line + b"\n")
        stream.flush()
    except OSError:
        os._exit(1)  # nobody reads it any more


def keep_connected(address, tls, mine, theirs, talk):
    """Connect, talk, and connect again when the connection fails, for ever."""
    pause, trouble = 0.1, None
    while True:
        since = None
        try:
            with Connection(address, tls) as connection:
                connection.shake_hands(mine, theirs)
                since = time.monotonic()
                talk(connection)
        except OSError as err:
            if since and time.monotonic() - since > 1:
                pause, trouble = 0.1, None  # this is a new outage
            if str(err) != trouble:
                trouble = str(err)
                write_line(sys.stderr, f"peer.py: {address.url}: {trouble}, retrying".encode(errors="replace"))
        time.sleep(pause * random.uniform(0.75, 1))
        pause = min(1.5 * pause, 1)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def parse_arguments():
    parser = Parser(description="Announce a name, and print the list of those who are there.", allow_abbrev=False)
    parser.add_argument("-server", default="tcp://127.0.0.1:40007", metavar="URL", help="where the server surveys")
    parser.add_argument("-pubsub", default="tcp://127.0.0.1:50007", metavar="URL", help="where the server publishes")
    parser.add_argument("-name", required=True, help="the name to announce, as a rule the URL of this program")
    parser.add_argument("-tls-ca", metavar="FILE", help="PEM file with the certificates of those who sign the server's")
    parser.add_argument("-tls-cert", metavar="FILE", help="PEM file with this program's certificate")
    parser.add_argument("-tls-key", metavar="FILE", help="PEM file with the key of that certificate")
    args = parser.parse_args()
    name, addresses, tls = os.fsencode(args.name), [], None
    if not is_name(name):
        parser.error(f"-name {args.name!a}: want 1 to {NAME_LIMIT} bytes of UTF-8 without control characters and |")
    for flag, url in (("-server", args.server), ("-pubsub", args.pubsub)):
        try:
            addresses.append(Address(url))
        except ValueError as err:
            parser.error(f"{flag} {url!a}: {err}")
    if (args.tls_cert is None) != (args.tls_key is None):
        parser.error("-tls-cert and -tls-key need each other")
    try:
        tls = ssl.create_default_context(cafile=args.tls_ca)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        if args.tls_cert:
            tls.load_cert_chain(args.tls_cert, args.tls_key, password="")  # never asks for one
    except OSError as err:
        parser.error(f"-tls-ca {args.tls_ca}, -tls-cert {args.tls_cert}, -tls-key {args.tls_key}: {err}")
    return name, addresses, tls


def main():
    name, (survey, pubsub), tls = parse_arguments()
    # All threads inherit the mask: the signals wait for sigwait.
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    for args in (
        (survey, tls, RESPONDENT, SURVEYOR, lambda connection: announce(connection, name)),
        (pubsub, tls, SUB, PUB, Watcher().watch),
    ):
        threading.Thread(target=keep_connected, args=args, daemon=True).start()
    signal.sigwait(ends)
    os._exit(0)  # without waiting for the threads: a peer leaves when the system closes its connections


if __name__ == "__main__":
    main()
