"""What the tests of the Python peer share: the module under test, pairs of channels, seeds, children, leak checks."""

import concurrent.futures
import contextlib
import os
import random
import socket
import subprocess
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEER_FILE = HERE.parents[2] / 'addon' / 'jbus' / 'python' / 'reactor_jbus.py'
sys.dont_write_bytecode = True
sys.path.insert(0, str(PEER_FILE.parent))

import reactor_jbus as jbus  # noqa: E402  (its folder had to be named first)

#: Generous: on a busy machine everything takes longer.
PATIENCE_S = 20.0
CAPACITY = 4096
RECORD_BYTES_MAX = CAPACITY // 2 - jbus.HEADER_BYTES

_children: list = []


class JbusTestCase(unittest.TestCase):
    """Names the seed of a test that failed, expects codes, opens what tests need and closes it."""

    def random(self) -> random.Random:
        seed = int(os.environ.get('JBUS_SEED', '0')) or random.SystemRandom().randrange(1, 1 << 32)
        self.note = f'JBUS_SEED={seed}'
        return random.Random(seed)

    @contextlib.contextmanager
    def refused(self, code: str):
        with self.assertRaises(jbus.JbusError) as caught:
            yield caught
        self.assertEqual(caught.exception.code, code, str(caught.exception))

    def segment(self, capacity: int = CAPACITY, **options) -> jbus.Segment:
        """A segment without a name, so that nothing can be left behind."""
        segment = jbus.Segment.create(capacity, **options)
        segment.remove()
        self.addCleanup(segment.close)
        return segment

    def ring(self, position: int = 0, capacity: int = CAPACITY, has_crc: bool = False, **options):
        """A writer and a reader of one ring whose counters begin at `position`."""
        segment = self.segment(capacity, has_crc=has_crc)
        segment.words[jbus._TAIL] = segment.words[jbus._HEAD] = position
        return segment, jbus.RingWriter(segment), jbus.RingReader(segment, **options)

    def channels(self, capacity: int = CAPACITY, has_doorbell: bool = True, has_crc: bool = False, **options):
        """Owner and peer of one channel, both in this process."""
        ends = [jbus.Doorbell(end) for end in socket.socketpair()] if has_doorbell else [None, None]
        owner = jbus.Channel.create(capacity, doorbell=ends[0], has_crc=has_crc, **options)
        self.addCleanup(owner.close)
        peer = jbus.Channel.attach(owner.receive_id, owner.send_id, owner.epoch, ends[1], **options)
        self.addCleanup(peer.close)
        self.assertTrue(owner.wait_ready())
        return owner, peer

    def child(self, script: str, arguments: list, pass_fds: tuple = ()) -> subprocess.Popen:
        """A Python process running a file of this folder, or the peer itself; killed when the test ends."""
        path = PEER_FILE if script == PEER_FILE.name else HERE / script
        command = [sys.executable, '-B', str(path), *map(str, arguments)]
        child = subprocess.Popen(command, pass_fds=pass_fds, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        _children.append(child.pid)

        def end() -> None:
            child.kill()
            child.communicate()

        self.addCleanup(end)
        return child

    def owner_of_child(self, script: str, verb: list, has_doorbell: bool = True, **options):
        """A channel whose other end is a child process: the owner here, and the child."""
        here, there = socket.socketpair()
        capacity = options.pop('capacity', CAPACITY)
        owner = jbus.Channel.create(capacity, doorbell=jbus.Doorbell(here) if has_doorbell else None, **options)
        self.addCleanup(owner.close)
        identity = ['--send-id', owner.receive_id, '--receive-id', owner.send_id, '--epoch', owner.epoch]
        bell = ['--doorbell-fd', there.fileno()] if has_doorbell else []
        child = self.child(script, [*verb, *identity, *bell], (there.fileno(),) if has_doorbell else ())
        there.close()
        if not has_doorbell:
            here.close()
        self.assertTrue(owner.wait_ready(PATIENCE_S * 1000), 'the child joins')
        return owner, child

    def background(self, call, *arguments) -> concurrent.futures.Future:
        """Runs a call on a thread of its own. What it raises fails the test, at result() or at the test's end."""
        pool = concurrent.futures.ThreadPoolExecutor(1)
        future = pool.submit(call, *arguments)
        self.addCleanup(lambda: (future.result(PATIENCE_S), pool.shutdown()))
        return future

    def until(self, condition) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), end, 'it did not come about')
            time.sleep(0.001)


def segments_left() -> list:
    """Ids of the segments that this process or a child of it made and did not remove."""
    ours = {os.getpid(), *_children}
    with open('/proc/sysvipc/shm') as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return [int(row[1]) for row in rows if int(row[4]) in ours]
