#!/usr/bin/env python3
"""A peer of gopherdiscovery on plain sockets.

It announces a name, and prints the list of all names when the list changes.
The messages on its two connections are described in docs/protocol.md.
"""

import argparse
import os
import random
import re
import select
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
REFUSAL_DELAY = 1  # within which a server that refuses changes hangs up
CONNECT_TIME = 2
SHORTEST_BEAT, LONGEST_BEAT = 0.05, 60
LONGEST_SILENCE = 30  # or ten beats, whichever is longer
REFUSAL_TIME = 60  # for which a refusal is remembered
DISTRUST_TIME = 600  # after a bad message
FIRST_DOUBT = 30  # without a survey, while the interval between surveys is unknown
SHORTEST_DOUBT = 5  # or three intervals, whichever is longer
GOODBYE_TIME = 0.1  # for the server to read that this peer leaves


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


SURVEY_ID, GOODBYE_ID = 0x80, b"\x80\0\0\0"  # the bit of each id, and an id that no server uses


class Refused(ConnectionError):
    """The server does not offer subscriptions in changes."""


class BadMessage(ConnectionError):
    """The server violates the protocol."""


class OtherList(ConnectionError):
    """The current list is not the server's, although it has the same sum."""


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
            sock.settimeout(CONNECT_TIME)
            try:
                sock.connect(self.path)
            except OSError:
                sock.close()
                raise
            return sock
        sock = socket.create_connection((self.host, self.port), CONNECT_TIME)
        sock.settimeout(HANDSHAKE_TIME)
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
        self.late = False  # the hello, so that the server may have given up
        self.hello_by = time.monotonic() + CONNECT_TIME + REFUSAL_DELAY
        self.sock = address.connect(tls)
        if address.scheme == "tls+tcp":  # its handshake may take long
            self.hello_by = time.monotonic() + REFUSAL_DELAY

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
        greeted = time.monotonic()
        head = self.marker + struct.pack(">Q", 6)
        try:
            if self.read(len(head), greeted + WELCOME_TIME) != head:
                raise Refused
            kind, form, beat = struct.unpack(">BBI", self.read(6, greeted + WELCOME_TIME))
        except OSError as err:
            slow = self.late or time.monotonic() - greeted > REFUSAL_DELAY
            if slow and not isinstance(err, TimeoutError):
                raise  # the server may just be busy, or have waited for the hello
            raise Refused from None
        beat /= 1000
        if kind != WELCOME or form != FORMAT or not SHORTEST_BEAT <= beat <= LONGEST_BEAT:
            raise Refused
        self.begin(max(LONGEST_SILENCE, 10 * beat))

    def greet(self, mine, theirs, deadline):
        self.sock.sendall(struct.pack(">4sHH", b"\0SP\0", mine, 0))
        self.late = time.monotonic() > self.hello_by
        if self.read(8, deadline) != struct.pack(">4sHH", b"\0SP\0", theirs, 0):
            raise ConnectionError("something else listens there")

    def begin(self, silence):
        """End the handshake.

        From now on the server may be silent for this long; None is no limit.
        """
        self.sock.settimeout(silence)
        self.since = time.monotonic()

    def has_news(self, patience):
        """Wait for a message, and report whether one has begun to come."""
        buffered = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()
        return buffered or bool(select.select([self.sock], [], [], patience)[0])

    def end(self):
        """End the connection, and wake the thread that reads from it."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already

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


class Announcer:
    """Answers surveys, on another connection as well while the path of one may be dead."""

    def __init__(self, address, tls, name):
        self.address, self.tls, self.name = address, tls, name
        self.lock = threading.Lock()  # guards the fields below
        self.lines = []  # at most two, and the second one is dialed in doubt of the first
        self.wrong = 1  # doubled by each doubt that was wrong
        self.left = False

    def dial(self):
        line = Line(self)
        self.lines.append(line)
        start(self.address, self.tls, line)

    def announce(self, line, connection):
        """Answer surveys until the connection fails."""
        connection.shake_hands(RESPONDENT, SURVEYOR)
        with self.lock:
            line.connection, line.way = connection, None
            if line.over:
                return
        surveys, heard, interval = 0, None, FIRST_DOUBT / 3
        try:
            while True:
                while not connection.has_news(max(SHORTEST_DOUBT, 3 * interval) * self.wrong):
                    self.doubt(line)
                survey, now = connection.receive(SURVEY_LIMIT), time.monotonic()
                if surveys > 1:  # the first one comes out of turn
                    interval = now - heard
                surveys, heard = surveys + 1, now
                self.settle(line, surveys)
                for at in range(0, min(len(survey) - 3, 36), 4):
                    if survey[at] & SURVEY_ID:  # the id, after the words of any devices
                        self.answer(line, survey[:at], survey[at : at + 4])
                        break
        finally:
            self.end(line)

    def answer(self, line, way, number):
        with self.lock:
            if not self.left:  # an answer after the goodbye would announce the name again
                line.connection.send(way + number + self.name)
                line.way = way

    def doubt(self, line):
        with self.lock:
            if self.lines == [line]:
                self.dial()

    def settle(self, line, surveys):
        """Keep the line that is surveyed, and hang up the other one.

        A new line is kept from its second survey on. Then its answer to the
        first has had the time to arrive.
        """
        with self.lock:
            if len(self.lines) < 2 or line not in self.lines:
                return
            if line is self.lines[0]:
                self.wrong *= 2
            elif surveys < 2:
                return
            other = self.lines[line is self.lines[0]]
            self.lines = [line]
            other.hang_up()

    def end(self, line):
        """Let a line that has ended in doubt give way to the other one."""
        with self.lock:
            if len(self.lines) == 2 and self.lines[0] is line:
                self.lines.remove(line)
                line.hang_up()

    def leave(self):
        """Say goodbye, and give the servers a moment to read it."""
        if not self.lock.acquire(timeout=GOODBYE_TIME):
            return  # a server reads nothing
        self.left = True
        for line in self.lines:
            line.say_goodbye(self.name)


class Line:
    """A connection of an announcer, made anew when it fails, until it is hung up."""

    def __init__(self, announcer):
        self.announcer = announcer
        self.connection = None
        self.way = None  # of the survey that was answered last; None if none was
        self.over = False

    def talk(self, connection):
        self.announcer.announce(self, connection)

    def failed(self):
        pass

    def hang_up(self):
        self.over = True
        if self.connection:
            self.connection.end()

    def say_goodbye(self, name):
        if self.way is None:
            return
        try:
            self.connection.send(self.way + GOODBYE_ID + name)
            self.connection.sock.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + GOODBYE_TIME
            while True:  # until the server closes the connection
                self.connection.read(1, deadline)
        except OSError:
            pass


class CurrentList:
    """The list that a subscriber has.

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

    over = False

    def __init__(self, plain):
        self.plain = plain
        self.current = CurrentList()
        self.printed = None
        self.plain_until = 0

    def talk(self, connection):
        """Print lists until the connection fails, in the form likeliest to succeed."""
        if self.plain or time.monotonic() < self.plain_until:
            self.watch_lists(connection)
        else:
            self.watch_changes(connection)

    def watch_changes(self, connection):
        try:
            connection.ask_for_changes()
        except Refused:
            self.plain_until = time.monotonic() + REFUSAL_TIME
            raise
        connection.send(self.current.have())
        counts = False  # the list of an earlier connection may be held
        try:
            while True:
                body = connection.receive(LIST_LIMIT + 2)
                counts = self.current.take(body) or counts
                if counts:
                    self.show()
        except BadMessage:
            self.plain_until = time.monotonic() + DISTRUST_TIME
            raise

    def watch_lists(self, connection):
        connection.shake_hands(SUB, PUB)
        while True:
            body = connection.receive(LIST_LIMIT)
            names = sorted({name for name in body.split(b"|") if is_name(name)})
            if names or not body:  # a body without names is invalid, not an empty list
                self.current.replace(names)
                self.show()

    def failed(self):
        """Ask for changes the next time, because another server may answer then."""
        self.plain_until = 0

    def show(self):
        if self.current.names != self.printed:
            self.printed = self.current.names
            write_line(sys.stdout, b"peers: [" + b" ".join(self.printed) + b"]")


def write_line(stream, line):
    try:
        stream.buffer.write(line + b"\n")
        stream.flush()
    except OSError:
        os._exit(1)  # no one reads the output any more


def start(address, tls, role):
    """Keep a connection in the background."""
    threading.Thread(target=keep_connected, args=(address, tls, role), daemon=True).start()


def keep_connected(address, tls, role):
    """Connect and talk, and connect again whenever the connection fails."""
    pause, trouble = 0.1, None
    while not role.over:
        connection = None
        try:
            with Connection(address, tls) as connection:
                role.talk(connection)
        except Refused:  # usually by a server without changes
            continue
        except OSError as err:
            if role.over:
                return
            if not (connection and connection.since):
                role.failed()
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
    announcer = Announcer(survey, tls, name)
    announcer.dial()
    start(pubsub, tls, Watcher(plain))
    signal.sigwait(ends)
    announcer.leave()
    os._exit(0)  # the system closes the connections


if __name__ == "__main__":
    main()
