#!/usr/bin/env python3
"""A peer of gopherdiscovery on plain sockets.

It announces a name, and prints the list of all names when the list changes.
The messages on its two connections are described in docs/protocol.md.
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

PUB, SUB, SURVEYOR, RESPONDENT, CHANGES = 0x20, 0x21, 0x62, 0x63, 0xFD51
SURVEY_LIMIT, LIST_LIMIT, NAME_LIMIT = 4 << 10, 64 << 20, 512
TWO_64 = 1 << 64
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

# Message kinds of a subscription in changes. Those from IGNORED on are ignored.
WELCOME, HAVE, LIST, CHANGE, BEAT = 1, 2, 3, 4, 5
IGNORED = 0x80
FORMAT = 1
COMPLETE, HELD = 1, 2  # flags

# Times are in seconds.
HANDSHAKE_TIME = 5
WELCOME_TIME = 10  # seconds from the server's hello to WELCOME
SHORTEST_BEAT, LONGEST_BEAT = 0.05, 60
LONGEST_SILENCE = 30  # or ten beats, whichever is longer
REFUSAL_TIME = 60  # for which a refusal is remembered
DISTRUST_TIME = 600  # after the first bad message; each further one doubles it


def is_name(name):
    """Report whether bytes are a valid name."""
    try:
        return 1 <= len(name) <= NAME_LIMIT and b"|" not in name and not CONTROL.search(name.decode())
    except UnicodeDecodeError:
        return False


def sum_of(names):
    """Return the sum of the mixed FNV-1a hashes of names, modulo 2^64."""
    total = 0
    for name in names:
        fnv = 0xCBF29CE484222325
        for byte in name:
            fnv = (fnv ^ byte) * 0x100000001B3 % TWO_64
        total += mix(fnv)
    return total % TWO_64


def mix(number):
    """Mix the bits of a hash, like MurmurHash3 at its end."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        number = (number ^ number >> 33) * factor % TWO_64
    return number ^ number >> 33


class Refused(ConnectionError):
    """The server does not offer subscriptions in changes."""

    at_once = True  # try the plain form without a pause


class BadMessage(ConnectionError):
    """The server violates the protocol."""


class OtherList(ConnectionError):
    """The held list is not the server's, although it has the same sum."""


class Address:
    """The parts of a URL. A malformed URL raises ValueError."""

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
            self.host.encode("idna")  # as when connecting
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
            if hasattr(socket, option):  # some systems lack it
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        if self.scheme == "tcp":
            return sock
        return tls.wrap_socket(sock, server_hostname=self.host)  # closes sock if it fails


class Connection:
    """A connection to a server. It is a context manager that closes it.

    All failures of the connection raise OSError.
    """

    def __init__(self, address, tls):
        self.marker = b"\x01" if address.scheme == "ipc" else b""
        self.since = None  # when the handshake was done
        self.sock = address.connect(tls)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def shake_hands(self, mine, theirs):
        deadline = time.monotonic() + HANDSHAKE_TIME
        self.greet(mine, theirs, deadline)
        self.begin(None)

    def ask_for_changes(self):
        """Shake hands for a subscription in changes.

        The server answers after its hello. Anything but a valid WELCOME is a
        refusal.
        """
        deadline = time.monotonic() + HANDSHAKE_TIME
        self.greet(CHANGES, PUB, deadline)
        deadline = time.monotonic() + WELCOME_TIME
        head = self.marker + struct.pack(">Q", 6)
        try:
            if self.read(len(head), deadline) != head:
                raise Refused
            kind, form, beat = struct.unpack(">BBI", self.read(6, deadline))
        except OSError:
            raise Refused from None
        beat /= 1000
        if kind != WELCOME or form != FORMAT or not SHORTEST_BEAT <= beat <= LONGEST_BEAT:
            raise Refused
        self.begin(max(LONGEST_SILENCE, 10 * beat))

    def greet(self, mine, theirs, deadline):
        self.sock.sendall(struct.pack(">4sHH", b"\0SP\0", mine, 0))
        if self.read(8, deadline) != struct.pack(">4sHH", b"\0SP\0", theirs, 0):
            raise ConnectionError("something else listens there")

    def begin(self, silence):
        """End the handshake.

        From now on the server may be silent for this long; None is no limit.
        """
        self.sock.settimeout(silence)
        self.since = time.monotonic()

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
            raise BadMessage("the server does not keep to the protocol")
        (length,) = struct.unpack(">Q", self.read(8))
        if length > limit:
            raise BadMessage(f"the server sent a message of {length} bytes, at most {limit} are allowed")
        return self.read(length)

    def send(self, body):
        self.sock.sendall(self.marker + struct.pack(">Q", len(body)) + body)


def announce(connection, name):
    """Answer surveys until the connection fails."""
    connection.shake_hands(RESPONDENT, SURVEYOR)
    while True:
        survey = connection.receive(SURVEY_LIMIT)
        for at in range(0, min(len(survey) - 3, 36), 4):
            if survey[at] & 0x80:  # the id, after the words of any devices
                connection.send(survey[: at + 4] + name)
                break


class Held:
    """The list that a subscriber holds.

    A message that does not fit the list raises BadMessage and changes nothing.
    """

    def __init__(self):
        self.names = None  # or sorted, without duplicates
        self.known_sum = None
        self.inherited = False  # an earlier connection has left the list

    def replace(self, names, known_sum=None):
        self.names, self.known_sum = names, known_sum

    def sum(self):
        if self.known_sum is None:
            self.known_sum = sum_of(self.names)
        return self.known_sum

    def have(self):
        """Return the message that tells the server which list this is."""
        self.inherited = self.names is not None
        return struct.pack(">B", HAVE) if self.names is None else struct.pack(">BQ", HAVE, self.sum())

    def take(self, body):
        """Apply a message, and report whether it makes the list count."""
        kind, size = body[0] if body else 0, len(body)
        if kind >= IGNORED:
            return False
        if kind not in (LIST, CHANGE, BEAT):
            raise BadMessage(f"the server sent a message of kind {kind}")
        if size < 2 or kind == CHANGE and size < 19 or kind == BEAT and size != 10:
            raise BadMessage(f"the server sent a message of kind {kind} with {size} bytes")
        flags = body[1]
        if flags & ~(COMPLETE | HELD) or flags & HELD and kind != BEAT:
            raise BadMessage(f"the server sent the flags {flags:#04x}")
        if kind == LIST:
            self.replace(self.parse(body[2:]))
            self.inherited = False
        elif kind == CHANGE:
            self.change(*struct.unpack_from(">QQ", body, 2), body[18:])
        else:
            self.check(*struct.unpack_from(">Q", body, 2))
        return not flags & HELD

    def check(self, expected):
        if self.names is None or self.sum() != expected:
            raise BadMessage("the server means another list")

    def change(self, before, after, difference):
        self.check(before)
        removed, zero, added = difference.partition(b"\0")
        if not zero:
            raise BadMessage("the server sent a change without a zero byte")
        removed, added, names = self.parse(removed), self.parse(added), set(self.names)
        if not names.issuperset(removed) or not names.isdisjoint(added):
            if self.inherited:
                self.replace(None)
                raise OtherList("the list is not the server's, although it has the same sum")
            raise BadMessage("the server removed a name that was not there, or added one that was")
        if (self.sum() - sum_of(removed) + sum_of(added)) % TWO_64 != after:
            raise BadMessage("the server's change leads to another list")
        names = sorted(names.difference(removed).union(added))
        if sum(map(len, names)) + len(names) - 1 > LIST_LIMIT:
            raise BadMessage(f"the server made a list of more than {LIST_LIMIT} bytes")
        self.replace(names, after)

    @staticmethod
    def parse(part):
        """Return the names in a part of a message, which must be sorted."""
        names = part.split(b"|") if part else []
        if not all(map(is_name, names)) or any(a >= b for a, b in zip(names, names[1:])):
            raise BadMessage("the server sent names that are not valid, or not in order")
        return names


class Watcher:
    """Prints lists, except a list that equals the last one.

    It asks for changes, unless it knows that this would fail.
    """

    def __init__(self, plain):
        self.plain = plain
        self.held = Held()
        self.printed = None
        self.refused_until = self.distrusted_until = 0
        self.distrust = DISTRUST_TIME
        self.fruitless = False  # the last connection was plain and brought no list

    def watch(self, connection):
        """Print lists until the connection fails, in the form likeliest to succeed."""
        if self.asks_for_changes(time.monotonic()):
            try:
                self.watch_changes(connection)
            except BadMessage:
                self.distrusted_until = time.monotonic() + self.distrust
                self.distrust *= 2
                raise
        else:
            self.watch_lists(connection)

    def asks_for_changes(self, now):
        return not self.plain and now >= self.distrusted_until and (self.fruitless or now >= self.refused_until)

    def watch_changes(self, connection):
        both_refused, self.fruitless = self.fruitless, False
        try:
            connection.ask_for_changes()
        except Refused as refusal:
            self.refused_until = time.monotonic() + REFUSAL_TIME
            refusal.at_once = not both_refused
            raise
        connection.send(self.held.have())
        counts = False  # the list of an earlier connection may be held
        while True:
            body = connection.receive(LIST_LIMIT + 2)
            counts = self.held.take(body) or counts
            if counts:
                self.show()

    def watch_lists(self, connection):
        self.fruitless = True
        connection.shake_hands(SUB, PUB)
        while True:
            body = connection.receive(LIST_LIMIT)
            self.fruitless = False
            names = sorted({name for name in body.split(b"|") if is_name(name)})
            if names or not body:  # a body without names is invalid, not an empty list
                self.held.replace(names)
                self.show()

    def show(self):
        if self.held.names != self.printed:
            self.printed = self.held.names
            write_line(sys.stdout, b"peers: [" + b" ".join(self.printed) + b"]")


def write_line(stream, line):
    try:
        stream.buffer.write(line + b"\n")
        stream.flush()
    except OSError:
        os._exit(1)  # no one reads the output any more


def keep_connected(address, tls, talk):
    """Connect and talk, and connect again whenever the connection fails."""
    pause, trouble = 0.1, None
    while True:
        connection = None
        try:
            with Connection(address, tls) as connection:
                talk(connection)
        except Refused as refusal:  # usually by a server without changes
            if refusal.at_once:
                continue
        except OSError as err:
            if connection and connection.since and time.monotonic() - connection.since > 1:
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
    parser.add_argument("-plain", action="store_true", help="subscribe to whole lists, without asking for changes")
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
            tls.load_cert_chain(args.tls_cert, args.tls_key, password="")  # never prompts for one
    except OSError as err:
        parser.error(f"-tls-ca {args.tls_ca}, -tls-cert {args.tls_cert}, -tls-key {args.tls_key}: {err}")
    return name, addresses, args.plain, tls


def main():
    name, (survey, pubsub), plain, tls = parse_arguments()
    # All threads inherit the mask, so that the signals wait for sigwait.
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    for args in (
        (survey, tls, lambda connection: announce(connection, name)),
        (pubsub, tls, Watcher(plain).watch),
    ):
        threading.Thread(target=keep_connected, args=args, daemon=True).start()
    signal.sigwait(ends)
    # A peer leaves when the system closes its connections, so the threads are
    # not waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
