"""One end of an exchange: writes `count` messages and checks as many that come, both at once, in two threads.

Message i has id i, type i mod 7 and a payload whose first u32 is the CRC-32 of the rest; exchange.ts does the same.
Run as a child it joins a channel; tests call run() with a channel of their own. Prints nothing unless it fails.
"""

import argparse
import concurrent.futures
import random
import struct
import sys
import zlib

from support import PATIENCE_S, jbus

TIMEOUT_MS = PATIENCE_S * 1000
BATCH = 64


def run(channel: jbus.Channel, count: int, bytes_max: int, seed: int) -> None:
    """Returns when all is written and read; raises what went wrong in either thread."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write_all, channel, count, bytes_max, random.Random(seed))
        read_all(channel, count)
        writing.result()  # each of its writes has a deadline


def write_all(channel: jbus.Channel, count: int, bytes_max: int, chance: random.Random) -> None:
    noise = chance.randbytes(2 * bytes_max)
    for first in range(0, count, BATCH):
        batch = []
        for index in range(first, min(first + BATCH, count)):
            # Most are small; one in a hundred is as large as it may be, many rings long perhaps.
            length = chance.randrange(bytes_max + 1) if chance.random() < 0.01 else chance.randrange(200)
            start = chance.randrange(bytes_max)
            batch.append(message(index, noise[start : start + length]))
        if chance.random() < 0.1:
            for type, msg_id, data in batch:
                channel.write(type, msg_id, data, TIMEOUT_MS)
        elif channel.write_many(batch, TIMEOUT_MS) != len(batch):
            raise AssertionError('the peer does not read')


def read_all(channel: jbus.Channel, count: int) -> None:
    expected = 0
    while expected < count:
        messages = channel.read_many(BATCH, TIMEOUT_MS)
        if not messages:
            raise AssertionError(f'message {expected} does not come')
        for came in messages:
            check(came, expected)
            expected += 1


def message(index: int, rest: bytes) -> tuple:
    return index % 7, index, struct.pack('<I', zlib.crc32(rest)) + rest


def check(came: jbus.Message, index: int) -> None:
    type, msg_id, data = came
    crc = int.from_bytes(data[:4], 'little')
    if (type, msg_id, crc) != (index % 7, index, zlib.crc32(data[4:])):
        raise AssertionError(f'message {msg_id} of type {type} in place of {index}, or its CRC is wrong')


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ('send-id', 'receive-id', 'epoch', 'count', 'bytes-max', 'seed'):
        parser.add_argument(f'--{name}', type=int, required=True)
    parser.add_argument('--doorbell-fd', type=int)
    parser.add_argument('--spin-us', type=int, default=0)
    options = parser.parse_args()
    doorbell = None if options.doorbell_fd is None else jbus.Doorbell.from_fd(options.doorbell_fd)
    ids = (options.send_id, options.receive_id, options.epoch)
    with jbus.Channel.attach(*ids, doorbell, spin_us=options.spin_us) as channel:
        run(channel, options.count, options.bytes_max, options.seed)
        # The owner closes when it has read everything; an end that closes first would cut it off.
        try:
            channel.read(TIMEOUT_MS)
        except jbus.JbusError as error:
            if error.code != 'JBUS_CLOSED':
                raise
    return 0


if __name__ == '__main__':
    sys.exit(main())
