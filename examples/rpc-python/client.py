"""A unary RPC from Python, with nothing but the standard library, written from docs/rpc-wire.md.

    python3 client.py HOST PORT NAME...

Says hello for each NAME over one connection and prints the answers; 1 as exit code and a line on standard error
when the server refuses.
"""

import socket
import struct
import sys

HELLO, HEADERS, DATA, STATUS, WINDOW, PING, PONG, GOAWAY = (
    0x5201, 0x5202, 0x5203, 0x5205, 0x5207, 0x5208, 0x5209, 0x520A)
SKIPPABLE, MORE, COMPRESSED, MESSAGE, END = 1, 2, 4, 8, 16
NOT_EXECUTED = 1
INLINE_BYTES_MAX, PAYLOAD_BYTES_MAX, BODY_BYTES_MAX = 16_384, 65_536, 65_544


class CallFailed(Exception):
    pass


class Connection:
    def __init__(self, host, port, timeout_s=5.0):
        self.socket = socket.create_connection((host, port), timeout_s)
        self.stream_id = 0
        serializers = field(6, b"protobuf")
        agent = field(10, b"python")
        self.send(HELLO, 0, 0, b"RNRP" + struct.pack("<HH", 1, 1) + serializers + agent)
        msg_id, _, _, payload = self.receive()
        if msg_id == GOAWAY:
            raise CallFailed("turned away: " + goaway_text(payload))
        if msg_id != HELLO or payload[:4] != b"RNRP":
            raise CallFailed("the server does not speak this protocol")

    def call(self, path, message, timeout_ms):
        """One unary call: the bytes of the answer's message."""
        self.stream_id += 1
        stream = self.stream_id
        head = struct.pack("<IBBHI", timeout_ms, 0, 0, len(path), 0)
        if len(message) <= INLINE_BYTES_MAX:
            self.send(HEADERS, MESSAGE | END, stream, head + path + message)
        elif len(message) <= PAYLOAD_BYTES_MAX:  # always within the credit that a server gives to begin with
            self.send(HEADERS, 0, stream, head + path)
            self.send(DATA, END, stream, message)
        else:
            raise CallFailed(f"a request of {len(message)} bytes is more than this client sends")
        answer, parts = None, None
        while True:
            msg_id, flags, stream_of_frame, payload = self.receive()
            if msg_id == PING:
                self.send(PONG, 0, 0, payload)
            elif msg_id == GOAWAY:
                last_stream = struct.unpack_from("<I", payload)[0]
                if last_stream < stream:
                    raise CallFailed("not executed: " + goaway_text(payload))
            elif msg_id == DATA and stream_of_frame == stream:
                credit = struct.pack("<I", 8 + len(payload))
                if parts is None and flags & MORE:
                    payload, parts = payload[4:], b""  # the first part has the length of the whole in front
                if parts is None:
                    answer = payload
                else:
                    parts += payload
                    answer = parts
                # What was read may be sent again, on the stream and on the connection.
                self.send(WINDOW, 0, stream, credit)
                self.send(WINDOW, 0, 0, credit)
            elif msg_id == STATUS and stream_of_frame == stream:
                return read_status(flags, payload, answer)
            elif msg_id not in (HELLO, HEADERS, DATA, STATUS, WINDOW, PONG) and not flags & SKIPPABLE:
                raise CallFailed(f"a frame 0x{msg_id:x} that cannot be skipped")

    def send(self, msg_id, flags, stream, payload):
        self.socket.sendall(struct.pack("<IIB3xI", msg_id, 8 + len(payload), flags, stream) + payload)

    def receive(self):
        msg_id, body_bytes = struct.unpack("<II", self.read(8))
        if not 8 <= body_bytes <= BODY_BYTES_MAX:
            raise CallFailed(f"a frame of {body_bytes} bytes")
        body = self.read(body_bytes)
        flags, stream = struct.unpack_from("<B3xI", body)
        return msg_id, flags, stream, body[8:]

    def read(self, count):
        chunks = b""
        while len(chunks) < count:
            chunk = self.socket.recv(count - len(chunks))
            if not chunk:
                raise CallFailed("the server closed the connection")
            chunks += chunk
        return chunks


def field(tag, value):
    return struct.pack("<HH", tag, len(value)) + value


def read_status(flags, payload, answer):
    status, status_flags, reason, _, text_bytes, details_bytes, trailers_bytes = struct.unpack_from(
        "<BBHiIII", payload)
    text = payload[20:20 + text_bytes].decode()
    if status != 0:
        certainty = "surely not executed" if status_flags & NOT_EXECUTED else "perhaps executed"
        raise CallFailed(f"status {status}, reason {reason}, {certainty}: {text}")
    if flags & MESSAGE:
        answer = payload[20 + text_bytes + details_bytes + trailers_bytes:]
    if answer is None:
        raise CallFailed("the call ended well but without an answer")
    return answer


def goaway_text(payload):
    _, reason, text_bytes, _ = struct.unpack_from("<IHHI", payload)
    return f"reason {reason}, {payload[12:12 + text_bytes].decode()}"


# Protobuf, as much of it as one string field with number 1 needs.

def write_string(text):
    value = text.encode()
    length, count = b"", len(value)
    while count > 127:
        length += bytes([count & 127 | 128])
        count >>= 7
    return (b"\x0a" + length + bytes([count]) + value) if value else b""


def read_string(message):
    if not message:
        return ""
    assert message[0] == 0x0A, "field 1, with a length"
    count, shift, at = 0, 0, 1
    while True:
        count |= (message[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 128:
            return message[at:at + count].decode()


def main(host, port, names):
    try:
        connection = Connection(host, int(port))
        for name in names:
            print(read_string(connection.call(b"/demo.Greeter/Greet", write_string(name), 1000)), flush=True)
    except (CallFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
