"""Channels between processes: both ways at once, by the command line, and with either side killed."""

import os
import signal
import threading
import time

import exchange
from support import CAPACITY, PATIENCE_S, PEER_FILE, JbusTestCase, jbus

COUNT = 20_000
BYTES_MAX = 50_000
KILL_ROUNDS = 10


class ProcessTest(JbusTestCase):
    def test_exchange(self):
        """two processes exchange 20,000 messages each way at once, checked by CRC"""
        seed = self.random().randrange(1 << 31)
        for has_doorbell, count in ((True, COUNT), (False, COUNT // 40)):
            arguments = ['--count', count, '--bytes-max', BYTES_MAX, '--seed', seed]
            owner, child = self.owner_of_child(
                'exchange.py', arguments, has_doorbell=has_doorbell, capacity=16384, has_crc=True
            )
            exchange.run(owner, count, BYTES_MAX, seed + 1)
            owner.close()
            output, _ = child.communicate(timeout=PATIENCE_S)
            self.assertEqual((child.returncode, output), (0, ''))

    def test_echo(self):
        """the command line echoes what comes, larger than the ring too, until the channel is closed"""
        for has_doorbell in (True, False):
            owner, child = self.owner_of_child(PEER_FILE.name, ['echo'], has_doorbell=has_doorbell)
            for data in (b'', b'hello', os.urandom(10 * CAPACITY)):
                owner.write(3, len(data), data, PATIENCE_S * 1000)
                self.assertEqual(owner.read(PATIENCE_S * 1000), (3, len(data), data))
            owner.close()
            output, _ = child.communicate(timeout=PATIENCE_S)
            self.assertEqual((child.returncode, output), (0, ''))

    def test_wrong_usage(self):
        """the command line says in one line what is wrong: 2 for usage, 1 for a channel that cannot be joined"""
        for arguments, code, word in (
            ([], 2, 'verb'),
            (['echo', '--send-id', 'x'], 2, '--send-id'),
            (['echo', '--send-id', '1', '--receive-id', '2'], 2, '--epoch'),
            (['echo', '--send-id', '-1', '--receive-id', '-1', '--epoch', '7'], 1, 'JBUS_NO_SEGMENT'),
            (['echo', '--send-id', '0', '--receive-id', '0', '--epoch', '7', '--doorbell-fd', '99'], 1, 'descriptor 99'),
        ):
            with self.subTest(arguments=arguments):
                child = self.child(PEER_FILE.name, arguments)
                output, _ = child.communicate(timeout=PATIENCE_S)
                self.assertEqual(child.returncode, code, output)
                self.assertIn(word, output.splitlines()[-1])
                self.assertNotIn('Traceback', output)

    def test_killed_while_idle(self):
        """a peer that is killed is known dead within 100 ms by the doorbell, within two heartbeats without"""
        for has_doorbell, bound_s in ((True, 0.1), (False, 2 * jbus.HEARTBEAT_MS / 1000)):
            # The median of three: a machine that is busy with other tests is late once in a while.
            delays = sorted(self.seconds_until_death_is_known(has_doorbell) for _ in range(3))
            self.assertLess(delays[1], bound_s, f'has_doorbell={has_doorbell}')

    def seconds_until_death_is_known(self, has_doorbell: bool) -> float:
        owner, child = self.owner_of_child(PEER_FILE.name, ['echo'], has_doorbell=has_doorbell)
        owner.write(1, 1, b'')
        self.assertIsNotNone(owner.read(PATIENCE_S * 1000))
        begin = time.monotonic()
        child.send_signal(signal.SIGKILL)
        with self.refused('JBUS_PEER_DEAD'):
            owner.read(PATIENCE_S * 1000)
        delay = time.monotonic() - begin
        with self.refused('JBUS_PEER_DEAD'):
            owner.write(1, 1, bytes(10 * CAPACITY))
        self.assertFalse(owner.check_alive())
        return delay

    def test_killed_while_writing(self):
        """a writer killed before any line of its copying and publishing shows whole messages only"""
        # One record behind a pad, every line; three fragments, every seventh.
        for length, stride in ((1900, 1), (2500, 7)):
            lines, was_seen = 0, False
            while not was_seen:
                was_seen = self.second_message_of_writer(lines, length)
                lines += stride
            self.assertGreater(lines, 20, 'the writer was killed on its way')

    def second_message_of_writer(self, lines: int, length: int) -> bool:
        """Whether the message in which the writer was killed has come; it is whole if so."""
        owner, child = self.owner_of_child('writer_that_dies.py', ['--lines', lines, '--bytes', length])
        self.assertEqual(owner.read(PATIENCE_S * 1000), (1, 1, b'first'))
        messages = []
        with self.refused('JBUS_PEER_DEAD'):
            while True:
                messages += owner.read_many(10, PATIENCE_S * 1000)
        self.assertIn(messages, ([], [(1, 2, bytes(length))]))
        self.assertEqual(child.wait(PATIENCE_S), -signal.SIGKILL)
        owner.close()
        return messages != []

    def test_killed_at_random(self):
        """a peer killed in the middle of heavy traffic leaves no torn message and no waiting survivor"""
        chance = self.random()
        for round in range(KILL_ROUNDS):
            arguments = ['--count', 10_000_000, '--bytes-max', BYTES_MAX, '--seed', round]
            owner, child = self.owner_of_child('exchange.py', arguments, capacity=16384, has_crc=True)
            killer = threading.Timer(chance.random() * 0.05, child.kill)
            killer.start()
            read = written = 0
            with self.refused('JBUS_PEER_DEAD'):
                while True:
                    batch = [exchange.message(written + index, b'x' * 300) for index in range(5)]
                    written += owner.write_many(batch, 0)
                    for message in owner.read_many(10, 10):
                        exchange.check(message, read)
                        read += 1
            killer.join()
            owner.close()
