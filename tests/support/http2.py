"""A gRPC call by hand, by one who keeps to nothing but HTTP/2's framing and flow control."""
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A header that is neither indexed nor compressed."""

    def text(what):
        assert len(what) < 127
        return bytes([len(what)]) + what.encode()

    return b"\0" + text(name) + text(value)


class Call:
    """Over a socket, plain or TLS, that has a timeout."""

    def __init__(self, connection, path):
        self._connection = connection
        self._unread = b""
        self._windows = {0: 65535, 1: 65535}
        self._largest = 16384
        self.ended = None  # what the other side has ended it with
        headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "test", "te": "trailers",
                   "content-type": "application/grpc"}
        block = b"".join(literal(name, value) for name, value in headers.items())
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, block))

    def send(self, message_bytes):
        """A message of so many zeros, or as much of it as is taken; how much that is."""
        left = struct.pack(">BI", 0, message_bytes)
        sent = 0
        while self.ended is None and sent < message_bytes + 5:
            size = min(self._windows[0], self._windows[1], self._largest, message_bytes + 5 - sent)
            if size <= 0:
                self._receive()
                continue
            chunk, left = (left + bytes(size))[:size], left[size:]
            try:
                self._connection.sendall(frame(DATA, 0, 1, chunk))
            except OSError as error:
                self.ended = repr(error)
                break
            sent += size
            self._windows[0] -= size
            self._windows[1] -= size
        return sent

    def wait(self):
        while self.ended is None:
            self._receive()

    def _receive(self):
        try:
            more = self._connection.recv(65536)
        except OSError as error:
            self.ended = repr(error)
            return
        if not more:
            self.ended = "closed"
            return
        self._unread += more
        while len(self._unread) >= 9:
            size = int.from_bytes(self._unread[:3], "big")
            if len(self._unread) < 9 + size:
                return
            kind, flags = self._unread[3], self._unread[4]
            stream = int.from_bytes(self._unread[5:9], "big")
            payload, self._unread = self._unread[9 : 9 + size], self._unread[9 + size :]
            self._take(kind, flags, stream, payload)

    def _take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                key, value = struct.unpack(">HI", payload[at : at + 6])
                if key == 4:
                    self._windows[1] += value - 65535
                if key == 5:
                    self._largest = value
            self._connection.sendall(frame(SETTINGS, ACK, 0))
        elif kind == WINDOW_UPDATE:
            self._windows[stream] += int.from_bytes(payload, "big") & 0x7FFFFFFF
        elif kind == PING and not flags & ACK:
            self._connection.sendall(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM:
            self.ended = self.ended or "reset"
        elif kind == GOAWAY:
            self.ended = self.ended or "goaway"
        elif kind == HEADERS and flags & END_STREAM:
            self.ended = payload.decode("latin-1")
