"""How fast the Python peer writes and reads, both ends in one process, so without any waking by the kernel.

python3 bench/jbus-python.py [--smoke]: prints the machine, the parameters, and per case the median of the rounds
with its quartiles. Buffers rotate, so that large copies do not come from the caches.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'addon' / 'jbus' / 'python'))

import reactor_jbus as jbus  # noqa: E402  (its folder had to be named first)

RING_BYTES = 16 << 20
BATCH = 10_000
LARGE_BYTES = 4 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description='Speed of the Python peer of jbus.')
    parser.add_argument('--smoke', action='store_true', help='one short round: does it still run?')
    is_smoke = parser.parse_args().smoke
    rounds = 2 if is_smoke else 21
    rotated_bytes = (8 if is_smoke else 256) << 20
    print(f'{os.cpu_count()} CPUs, Python {platform.python_version()}, Linux {platform.release()}, ring {RING_BYTES >> 20} MiB')
    with jbus.Channel.create(RING_BYTES) as owner:
        with jbus.Channel.attach(owner.receive_id, owner.send_id, owner.epoch) as peer:
            for length in (64, 4096 if not is_smoke else 1024):
                small(owner, peer, length, min(BATCH, RING_BYTES // 2 // (length + 32)), rounds)
            large(owner, peer, rotated_bytes // LARGE_BYTES, rounds)


def small(owner: jbus.Channel, peer: jbus.Channel, length: int, count: int, rounds: int) -> None:
    batch = [(1, index, bytes(length)) for index in range(count)]
    singles = batch[:1000]
    times = {'write_many': [], 'read_many': [], 'write': [], 'read': []}
    for _ in range(rounds):
        times['write_many'].append(timed(lambda: owner.write_many(batch)) / count)
        times['read_many'].append(timed(lambda: peer.read_many(count)) / count)
        times['write'].append(timed(lambda: [owner.write(*message) for message in singles]) / len(singles))
        times['read'].append(timed(lambda: [peer.read() for _ in singles]) / len(singles))
    for name, seconds in times.items():
        report(f'{name} {length} B', [1e-6 / each for each in seconds], 'million per second')


def large(owner: jbus.Channel, peer: jbus.Channel, count: int, rounds: int) -> None:
    buffers = [bytearray(os.urandom(1 << 16) * (LARGE_BYTES >> 16)) for _ in range(count)]
    target = bytearray(RING_BYTES)
    limit = 'copy from one bytearray to another, the limit,'
    times = {'write': [], 'read': [], limit: []}
    peeks = []
    for index in range(rounds * 4):
        data = buffers[index % count]
        times['write'].append(timed(lambda: owner.write(1, index, data)))
        times['read'].append(timed(peer.read))
        owner.write(1, index, data)
        peeks.append(timed(lambda: peek(peer)))
        other = buffers[(index + count // 2) % count]
        begin = index * LARGE_BYTES % RING_BYTES
        times[limit].append(timed(lambda: target.__setitem__(slice(begin, begin + LARGE_BYTES), other)))
    for name, seconds in times.items():
        report(f'{name} {LARGE_BYTES >> 20} MiB', [LARGE_BYTES / 1e9 / each for each in seconds], 'GB per second')
    report(f'peek {LARGE_BYTES >> 20} MiB and look at its first byte', [each * 1e6 for each in peeks], 'microseconds')


def peek(peer: jbus.Channel) -> None:
    with peer.peek() as message:
        message.data[0]


def timed(call) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def report(name: str, figures: list, unit: str) -> None:
    low, median, high = statistics.quantiles(figures, n=4, method='inclusive')
    print(f'{name:58} {median:10.3f} {unit} ({low:.3f} to {high:.3f}, {len(figures)} rounds)')


if __name__ == '__main__':
    main()
