"""The reading end of one way to pass messages, in Python: reader.py PEER_FILE channel|stream [flags of the channel].

sender.ts starts it. Whichever the way, a message of several fragments lies in memory of this process in the end, and is
lent or filled again for the next one; a word of each of its pages is added up. Reading one of each line, as the readers in
Node do, would take longer here than any transport.
"""

import importlib.util
import socket
import struct
import sys

PAGE_WORDS = 1024
KIND_DATA, KIND_FINISH, KIND_PING = 1, 2, 3
HEADER = struct.Struct('<II')
TALLY = struct.Struct('<di')
STREAM_FD = 3
MESSAGE_BYTES_MAX = 4 << 20


class Tally:
    """What was read since the sender last asked."""

    def __init__(self) -> None:
        self.count = self.sum = 0

    def add(self, data) -> None:
        self.count += 1
        self.sum += sum(memoryview(data).cast('i')[::PAGE_WORDS])

    def settle(self) -> bytes:
        encoded = TALLY.pack(self.count, (self.sum + (1 << 31)) % (1 << 32) - (1 << 31))
        self.count = self.sum = 0
        return encoded


def read_channel(peer_file: str, arguments: list) -> None:
    spec = importlib.util.spec_from_file_location('reactor_jbus', peer_file)
    jbus = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(jbus)
    flags = dict(zip(arguments[::2], map(int, arguments[1::2])))
    bell = jbus.Doorbell.from_fd(flags['--doorbell-fd'])
    tally = Tally()
    with jbus.Channel.attach(flags['--send-id'], flags['--receive-id'], flags['--epoch'], bell) as channel:
        while True:
            try:
                with channel.peek() as message:
                    if message is None:
                        continue
                    if message.type == KIND_DATA:
                        tally.add(message.data)
                        continue
                    answer = tally.settle() if message.type == KIND_FINISH else bytes(message.data)
                    channel.write(message.type, message.msg_id, answer)
            except jbus.JbusError as error:
                if error.code in ('JBUS_CLOSED', 'JBUS_PEER_DEAD'):
                    return
                raise


def read_stream() -> None:
    stream = socket.socket(fileno=STREAM_FD)
    stream.setblocking(True)
    buffer = memoryview(bytearray(MESSAGE_BYTES_MAX))
    header = memoryview(bytearray(HEADER.size))
    tally = Tally()
    while receive(stream, header):
        kind, length = HEADER.unpack(header)
        body = buffer[:length]
        receive(stream, body)
        if kind == KIND_DATA:
            tally.add(body)
            continue
        answer = tally.settle() if kind == KIND_FINISH else body
        stream.sendall(HEADER.pack(kind, len(answer)) + answer)


def receive(stream: socket.socket, target: memoryview) -> bool:
    """Fills `target`; False at the end of the stream."""
    have = 0
    while have < len(target):
        length = stream.recv_into(target[have:])
        if length == 0:
            return False
        have += length
    return True


if __name__ == '__main__':
    _, peer_path, way, *rest = sys.argv
    if way == 'channel':
        read_channel(peer_path, rest)
    else:
        read_stream()
