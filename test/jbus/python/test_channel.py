"""Channels within one process: messages of any size, timeouts, lending, doorbells, and how they end."""

import os
import socket
import struct
import threading
import time
from unittest import mock

import exchange
from support import CAPACITY, RECORD_BYTES_MAX, JbusTestCase, jbus


def record(channel, flags, msg_id, payload=b'', total_bytes=None, type=1):
    """Writes a record as it comes, past the channel's own idea of messages."""
    writer = channel._writer
    assert writer.put(flags, type, msg_id, len(payload) if total_bytes is None else total_bytes, payload)
    writer.publish()


class MessageTest(JbusTestCase):
    def test_sizes(self):
        """messages from nothing to three rings come out as they went in, while the other side reads"""
        owner, peer = self.channels()
        sizes = (0, 1, RECORD_BYTES_MAX - 1, RECORD_BYTES_MAX, RECORD_BYTES_MAX + 1, CAPACITY, 3 * CAPACITY, 100_000)
        sent = [os.urandom(size) for size in sizes]
        self.background(lambda: [owner.write(9, len(data), data) for data in sent])
        for data in sent:
            message = peer.read()
            self.assertEqual((message.type, message.msg_id, message.data), (9, len(data), data))
        self.assertEqual(peer.stats().bytes_read, sum(sizes))

    def test_kinds_of_data(self):
        """anything with contiguous bytes can be written, and nothing else"""
        owner, peer = self.channels()
        image = memoryview(bytearray(range(24))).cast('B', (2, 3, 4))
        words = memoryview(struct.pack('<4d', 1, 2, 3, 4)).cast('d')
        for data in (b'bytes', bytearray(b'more'), memoryview(b'view')[1:3], image, words, memoryview(b'')):
            owner.write(1, 1, data)
            self.assertEqual(bytes(peer.read().data), memoryview(data).tobytes())
        for data in ('text', 5, None, memoryview(b'every other')[::2]):
            with self.subTest(data=data), self.refused('JBUS_INVALID_ARGUMENT'):
                owner.write(1, 1, data)

    def test_arguments(self):
        """a type, an id, a timeout or an option out of range is refused, and the channel goes on"""
        owner, peer = self.channels(message_bytes_max=5000)
        for type, msg_id, timeout_ms in ((-1, 0, 1), (65536, 0, 1), (0, -1, 1), (0, 1 << 64, 1), (0, 0, -1), ('', 0, 1)):
            with self.subTest(type=type, msg_id=msg_id), self.refused('JBUS_INVALID_ARGUMENT'):
                owner.write(type, msg_id, b'', timeout_ms)
        for timeout_ms in (float('nan'), float('inf'), -5):
            with self.subTest(timeout_ms=timeout_ms), self.refused('JBUS_INVALID_ARGUMENT'):
                peer.read(timeout_ms)
        with self.refused('JBUS_MESSAGE_TOO_LARGE'):
            owner.write(1, 1, bytes(5001))
        owner.write(65535, (1 << 64) - 1, b'last')
        self.assertEqual(peer.read(), (65535, (1 << 64) - 1, b'last'))
        for options in ({'message_bytes_max': 0}, {'message_bytes_max': 1 << 32}, {'heartbeat_ms': -1}, {'spin_us': -1}):
            with self.subTest(**options), self.refused('JBUS_INVALID_ARGUMENT'):
                jbus.Channel.create(CAPACITY, **options)

    def test_batches(self):
        """a batch larger than the ring is written as far as there is room, and the rest when asked again"""
        owner, peer = self.channels()
        batch = [(1, index, b'x' * 40) for index in range(1000)]
        written = owner.write_many(batch, 0)
        self.assertTrue(0 < written < 1000)
        self.assertEqual(peer.read_many(10_000), batch[:written])
        self.assertEqual(owner.write_many(batch[written:], 0), written)
        self.assertEqual(peer.read_many(7), batch[written : written + 7])
        self.assertEqual(owner.write_many([], 0), 0)

    def test_heartbeats_and_orphans(self):
        """heartbeats between fragments are counted, and fragments without a beginning are dropped and counted"""
        owner, peer = self.channels()
        record(owner, jbus.MID, 5, b'lost', 12)
        record(owner, jbus.END, 5, b'lost', 12)
        record(owner, jbus.HEARTBEAT, 0)
        record(owner, jbus.BEGIN, 6, b'ab', 6)
        record(owner, jbus.HEARTBEAT, 0)
        self.assertIsNone(peer.read(0))
        record(owner, jbus.MID, 6, b'cd', 6)
        record(owner, jbus.HEARTBEAT, 0)
        record(owner, jbus.END, 6, b'ef', 6)
        self.assertEqual(peer.read(0), (1, 6, b'abcdef'))
        stats = peer.stats()
        self.assertEqual((stats.fragments_dropped, stats.heartbeats_received), (2, 3))
        self.assertEqual(owner._send.words[jbus._HEAD], owner._send.words[jbus._TAIL], 'all room was given back')

    def test_broken_messages(self):
        """fragments that do not make a message poison the channel, and both sides learn of it"""
        cases = {
            'another id': [(jbus.BEGIN, 1, b'a', 3), (jbus.MID, 2, b'b', 3)],
            'another total': [(jbus.BEGIN, 1, b'a', 3), (jbus.END, 1, b'bc', 4)],
            'too few bytes': [(jbus.BEGIN, 1, b'a', 3), (jbus.END, 1, b'b', 3)],
            'too many bytes': [(jbus.BEGIN, 1, b'a', 3), (jbus.MID, 1, b'bcd', 3)],
            'a second beginning': [(jbus.BEGIN, 1, b'a', 3), (jbus.BEGIN, 1, b'a', 3)],
            'a whole message within': [(jbus.BEGIN, 1, b'a', 3), (jbus.SINGLE, 2, b'x', 1)],
            'above message_bytes_max': [(jbus.BEGIN, 1, b'a', 1_000_001)],
        }
        for name, records in cases.items():
            with self.subTest(name):
                owner, peer = self.channels(message_bytes_max=1_000_000)
                owner.write(1, 0, b'before')
                for flags, msg_id, payload, total_bytes in records:
                    record(owner, flags, msg_id, payload, total_bytes)
                owner.write(1, 9, b'after')
                self.assertEqual(peer.read_many(10), [(1, 0, b'before')])
                for _ in range(2):
                    with self.refused('JBUS_POISONED'):
                        peer.read_many(10)
                for call in (lambda: peer.write(1, 1, b''), lambda: owner.write(1, 1, b''), lambda: owner.read()):
                    with self.refused('JBUS_POISONED'):
                        call()

    def test_full_ring(self):
        """a full ring refuses in time, and takes more when there is room"""
        owner, peer = self.channels()
        owner.write(1, 1, bytes(RECORD_BYTES_MAX))
        owner.write(1, 2, bytes(RECORD_BYTES_MAX))
        begin = time.monotonic()
        with self.refused('JBUS_TIMEOUT'):
            owner.write(1, 3, b'', 80)
        self.assertTrue(0.08 <= time.monotonic() - begin < 5)
        with self.refused('JBUS_TIMEOUT'):
            owner.write(1, 3, bytes(3 * CAPACITY), 0)
        self.assertEqual(peer.read().msg_id, 1)
        owner.write(1, 3, b'now')
        self.assertEqual([message.msg_id for message in peer.read_many(5)], [2, 3])

    def test_reader_that_stopped(self):
        """a message larger than the ring times out once if nobody reads, and ends the channel for both"""
        owner, peer = self.channels()
        with self.refused('JBUS_TIMEOUT'):
            owner.write(1, 3, bytes(3 * CAPACITY), 50)
        for _ in range(2):
            with self.refused('JBUS_CHANNEL_FULL'):
                owner.write(1, 4, b'')
        with self.refused('JBUS_CHANNEL_FULL'):
            owner.read()
        with self.refused('JBUS_POISONED'):
            peer.read()

    def test_peek(self):
        """a message in one piece is lent without a copy and given back with the end of the with"""
        owner, peer = self.channels()
        owner.write(1, 1, b'lent')
        with peer.peek() as message:
            self.assertEqual((message.type, message.msg_id, message.data), (1, 1, b'lent'))
            self.assertTrue(message.data.readonly)
            owner._send.memory[4096 + 32] = ord('s')
            self.assertEqual(message.data, b'sent', 'it is the ring itself')
            self.assertEqual(owner._send.words[jbus._HEAD], 0)
            with self.refused('JBUS_INVALID_ARGUMENT'):
                peer.read(0)
        self.assertEqual(owner._send.words[jbus._HEAD], 40)
        with self.assertRaises(ValueError):
            message.data[0]
        with peer.peek(0) as nothing:
            self.assertIsNone(nothing)

    def test_peek_ends(self):
        """a lent message is given back when the body throws, when its view is kept, and when the body closes"""
        owner, peer = self.channels()
        for msg_id in range(3):
            owner.write(1, msg_id, b'12345678')
        with self.assertRaises(KeyError), peer.peek() as message:
            raise KeyError(message.msg_id)
        with self.refused('JBUS_INVALID_ARGUMENT'), peer.peek() as message:
            kept = memoryview(message.data)
            pinned = struct.Struct('8s').iter_unpack(message.data)
        self.assertEqual(next(pinned), (b'12345678',))
        del kept, pinned
        with peer.peek() as message:
            self.assertEqual(message.msg_id, 2)
            peer.close()
            self.assertEqual(message.data, b'12345678', 'closing unmaps nothing that is being looked at')

    def test_peek_assembles(self):
        """messages of several fragments are peeked at as a whole, in memory that later ones of their size use again"""
        owner, peer = self.channels()
        sizes = (20_000, 19_000, 15_000, 20_000, 30_000, 9_000, 30_000)
        self.background(lambda: [owner.write(1, size, bytes([size % 251]) * size) for size in sizes])
        memories = []
        for size in sizes:
            with peer.peek() as message:
                self.assertEqual(message.data, bytes([size % 251]) * size)
                self.assertTrue(message.data.readonly)
                memories.append(id(message.data.obj))
        self.assertEqual(memories[:4], memories[:1] * 4)
        self.background(lambda: [owner.write(1, size, bytes([size % 249]) * size) for size in sizes])
        with peer.peek():
            pass
        kept = [peer.read() for _ in sizes[1:]]
        for size, message in zip(sizes[1:], kept):
            self.assertEqual(message.data, bytes([size % 249]) * size, 'what was read is nobody else\'s')


class WaitTest(JbusTestCase):
    def test_both_directions(self):
        """20,000 messages go both ways at once through four threads and two rings, checked by CRC"""
        owner, peer = self.channels(capacity=16384, has_crc=True)
        seed = self.random().randrange(1 << 32)
        self.background(exchange.run, peer, 20_000, 50_000, seed + 1)
        exchange.run(owner, 20_000, 50_000, seed)

    def test_wakes(self):
        """a sleeping reader is woken by the doorbell, not by its safety poll"""
        owner, peer = self.channels()
        self.background(lambda: [peer.write(*peer.read(20_000)) for _ in range(200)])
        with mock.patch.object(jbus, 'SAFETY_POLL_MS', 10_000):
            begin = time.monotonic()
            for index in range(200):
                owner.write(1, index, b'ping')
                self.assertEqual(owner.read(20_000).msg_id, index)
            self.assertLess(time.monotonic() - begin, 8, 'two hundred round trips, and no safety poll')

    def test_ring_is_suppressed_by_nobody(self):
        """the peer's waiting word is cleared before the bell rings, and every write rings"""
        owner, peer = self.channels()
        rings = []
        with mock.patch.object(owner._doorbell, 'ring', lambda: rings.append(owner._send.states[jbus._CONSUMER_WAITING])):
            peer._receive.states[jbus._CONSUMER_WAITING] = 1
            owner.write(1, 1, b'')
            owner.write_many([(1, 2, b'')] * 3)
        self.assertEqual(len(rings), 2)

    def test_without_doorbell(self):
        """without a doorbell the same exchange works by short sleeps"""
        owner, peer = self.channels(has_doorbell=False, capacity=16384)
        self.background(exchange.run, peer, 500, 20_000, 1)
        exchange.run(owner, 500, 20_000, 2)

    def test_spin(self):
        """a reader that spins finds its message without a sleep"""
        owner, peer = self.channels(spin_us=5_000_000)
        threading.Timer(0.02, owner.write, (1, 1, b'')).start()
        self.assertEqual(peer.read(10_000).msg_id, 1)
        self.assertEqual(peer.stats().sleeps, 0)

    def test_timeouts(self):
        """a read with nothing to read ends when it should, the impatient one at once"""
        _, peer = self.channels()
        begin = time.monotonic()
        self.assertIsNone(peer.read(0))
        self.assertEqual(peer.stats().sleeps, 0)
        self.assertIsNone(peer.read(120))
        self.assertTrue(0.12 <= time.monotonic() - begin < 5)

    def test_queue_of_writers(self):
        """a second writer waits for its turn no longer than its timeout"""
        owner, peer = self.channels()
        owner.write(1, 1, bytes(RECORD_BYTES_MAX))
        owner.write(1, 2, bytes(RECORD_BYTES_MAX))
        first = self.background(owner.write, 1, 3, bytes(RECORD_BYTES_MAX), 20_000)
        self.until(owner._write_lock.locked)
        with self.refused('JBUS_TIMEOUT'):
            owner.write(1, 4, b'', 30)
        peer.read()
        first.result()
        self.assertEqual([peer.read().msg_id for _ in range(2)], [2, 3])


class EndTest(JbusTestCase):
    def test_close(self):
        """what was written before a close can be read after it, then both ends say JBUS_CLOSED"""
        owner, peer = self.channels()
        owner.write(1, 1, b'last words')
        owner.close()
        owner.close()
        with self.refused('JBUS_CLOSED'):
            peer.write(1, 1, b'')
        self.assertEqual(peer.read().data, b'last words')
        for call in (peer.read, owner.read, lambda: owner.write(1, 1, b''), lambda: peer.peek().__enter__()):
            with self.refused('JBUS_CLOSED'):
                call()
        self.assertEqual(owner.peer_state(), 'unknown')

    def test_close_wakes(self):
        """closing ends the waits of this end's other threads and of the peer's"""
        def wait(end):
            with self.refused('JBUS_CLOSED'):
                end.read(20_000)

        for closes in (0, 1):
            ends = self.channels()
            waits = [self.background(wait, end) for end in ends]
            self.until(lambda ends=ends: all(end.stats().sleeps > 0 for end in ends))
            begin = time.monotonic()
            ends[closes].close()
            for waiting in waits:
                waiting.result()
            self.assertLess(time.monotonic() - begin, 5)

    def test_nothing_is_left(self):
        """an opened and closed channel leaves no descriptor, no thread and no mapping behind"""
        def used():
            with open('/proc/self/maps') as maps:
                return len(os.listdir('/proc/self/fd')), threading.active_count(), maps.read().count('SYSV')

        before = used()
        for _ in range(20):
            a, b = socket.socketpair()
            with jbus.Channel.create(CAPACITY, doorbell=jbus.Doorbell(a)) as owner:
                with jbus.Channel.attach(owner.receive_id, owner.send_id, owner.epoch, jbus.Doorbell(b)) as peer:
                    owner.write(1, 1, bytes(9))
                    peer.read()
            for wrong in (lambda: jbus.Channel.create(5), lambda: jbus.Channel.create(CAPACITY, spin_us=-1)):
                with self.refused('JBUS_INVALID_ARGUMENT'):
                    wrong()
        self.assertEqual(used(), before)

    def test_attach_refusals(self):
        """a channel half of which cannot be joined is not joined at all"""
        owner, _ = self.channels()
        other = self.segment()
        for send_id, receive_id, epoch, code in (
            (owner.receive_id, other.shmid, owner.epoch, 'JBUS_EPOCH'),
            (owner.receive_id, 1 << 30, owner.epoch, 'JBUS_NO_SEGMENT'),
            (-1, owner.send_id, owner.epoch, 'JBUS_NO_SEGMENT'),
        ):
            with self.subTest(code=code), self.refused(code):
                jbus.Channel.attach(send_id, receive_id, epoch)
        self.assertEqual(owner._send._stat().attach_count, 2)

    def test_sides_taken(self):
        """a second peer is refused, and a channel that gets one side only gives it up again"""
        owner, peer = self.channels()
        with self.refused('JBUS_SIDE_TAKEN'):
            jbus.Channel.attach(owner.receive_id, owner.send_id, owner.epoch)
        peer._writer.side.leave()
        with self.refused('JBUS_SIDE_TAKEN'):
            jbus.Channel.attach(owner.receive_id, owner.send_id, owner.epoch)
        self.assertEqual(owner._receive.states[jbus._PRODUCER_PID], 0)

    def test_keys(self):
        """a pair of keys is joined by its even one, and free again when both ends have closed"""
        key = 0x4A800000 | (os.getpid() & 0x3FFFFF) << 1
        with jbus.Channel.create(CAPACITY, key) as owner:
            with self.refused('JBUS_KEY_IN_USE'):
                jbus.Channel.create(CAPACITY, key)
            with jbus.Channel.attach_key(key, owner.epoch) as peer:
                peer.write(1, 2, b'by key')
                self.assertEqual(owner.read().data, b'by key')
        with self.refused('JBUS_NO_SEGMENT'):
            jbus.Channel.attach_key(key)

    def test_abstract_doorbell(self):
        """the doorbell of a key is an abstract Unix socket, and nobody there is JBUS_PEER_DEAD"""
        key = 0x4A000000 | (os.getpid() & 0x3FFFFF) << 1
        with self.refused('JBUS_PEER_DEAD'):
            jbus.Doorbell.connect(key)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f'\0reactor-net-jbus-{key:08x}')
            listener.listen()
            bell = jbus.Doorbell.connect(key)
            connection, _ = listener.accept()
        rung = bell.rung
        self.assertFalse(bell.wait(rung, 0))
        connection.send(b'x' * 3)
        self.assertTrue(bell.wait(rung, 1000))
        bell.ring()
        self.assertEqual(connection.recv(9), b'\0')
        connection.close()
        self.assertTrue(bell.wait(bell.rung, 1000))
        self.assertTrue(bell.peer_gone)
        bell.close()

    def test_wrong_descriptors(self):
        """a doorbell is made of a stream socket only"""
        read_end, write_end = os.pipe()
        datagrams = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for fd in (-1, 99_999, read_end, datagrams[0].fileno()):
            with self.subTest(fd=fd), self.refused('JBUS_INVALID_ARGUMENT'):
                jbus.Doorbell.from_fd(fd)
        os.close(read_end)
        os.close(write_end)
        for end in datagrams:
            end.close()

    def test_full_doorbell(self):
        """a peer that never listens does not hold up who rings"""
        owner, peer = self.channels()
        for _ in range(50_000):
            owner._doorbell.ring()
        self.assertFalse(owner._doorbell.peer_gone)
        owner.write(1, 1, b'there')
        self.assertEqual(peer.read().data, b'there')

    def test_doorbell_of_its_own(self):
        """a doorbell is not inherited by children, and never waits, whatever the program's default timeout"""
        socket.setdefaulttimeout(5)
        self.addCleanup(socket.setdefaulttimeout, None)
        here, there = socket.socketpair()
        here.set_inheritable(True)
        bell = jbus.Doorbell.from_fd(here.detach())
        self.assertFalse(bell._connection.get_inheritable())
        begin = time.monotonic()
        for _ in range(50_000):
            bell.ring()
        self.assertFalse(bell.wait(bell.rung, 0))
        self.assertLess(time.monotonic() - begin, 5)
        self.assertFalse(bell.peer_gone)
        bell.close()
        there.close()

    def test_unsupported_hosts(self):
        """without System V memory of our kind, or libatomic where the CPU needs it, opening says so"""
        jbus._libc.cache_clear()
        self.addCleanup(jbus._libc.cache_clear)
        with mock.patch.object(jbus.sys, 'platform', 'darwin'), self.refused('JBUS_UNSUPPORTED'):
            jbus.Segment.create(CAPACITY)
        jbus._libatomic.cache_clear()
        self.addCleanup(jbus._libatomic.cache_clear)
        with mock.patch.object(jbus, '_cpu_keeps_order', return_value=False):
            with mock.patch.object(jbus.ctypes, 'CDLL', side_effect=OSError('not found')):
                with self.refused('JBUS_UNSUPPORTED'):
                    jbus._libatomic()


class LivenessTest(JbusTestCase):
    def test_heartbeat(self):
        """the heartbeat thread moves both headers on by itself"""
        owner, peer = self.channels(heartbeat_ms=5)
        before = owner._send.states[jbus._PRODUCER_SEQ], owner._receive.states[jbus._CONSUMER_SEQ]
        self.until(lambda: owner._send.states[jbus._PRODUCER_SEQ] > before[0] + 1)
        self.until(lambda: owner._receive.states[jbus._CONSUMER_SEQ] > before[1] + 1)
        self.assertLess(jbus._now_ms() - peer._receive.words[jbus._PRODUCER_BEAT], 20_000)
        self.assertEqual((owner.peer_state(), owner.check_alive()), ('alive', True))

    def test_states(self):
        """a peer is unknown, alive, stalled or gone by its pid, its start time and the age of its heartbeat"""
        owner = jbus.Channel.create(CAPACITY, heartbeat_ms=1000)
        self.addCleanup(owner.close)
        self.assertEqual(owner.peer_state(), 'unknown')
        words, states = owner._receive.words, owner._receive.states
        states[jbus._PRODUCER_PID] = os.getpid()
        words[jbus._PRODUCER_START] = jbus.process_start_time(os.getpid())
        self.assertEqual(owner.peer_state(), 'alive', 'a peer without a heartbeat lives as long as its process')
        for age_ms, start_offset, expected in (
            (0, 0, 'alive'), (2900, 0, 'alive'), (3100, 0, 'stalled'),
            (0, 1, 'alive'), (1100, 1, 'gone'), (999_999, 1, 'gone'),
        ):  # fmt: skip
            with self.subTest(age_ms=age_ms, start_offset=start_offset):
                words[jbus._PRODUCER_BEAT] = jbus._now_ms() - age_ms
                words[jbus._PRODUCER_START] = jbus.process_start_time(os.getpid()) + start_offset
                self.assertEqual(owner.peer_state(), expected)

    def test_odd_process_names(self):
        """a process whose name holds spaces and parentheses has the start time it has"""
        stat = b'77 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 424242 20 21\n'
        with mock.patch('builtins.open', mock.mock_open(read_data=stat)):
            self.assertEqual(jbus.process_start_time(77), 424242)
        with mock.patch('builtins.open', mock.mock_open(read_data=stat.replace(b') S', b') Z'))):
            self.assertEqual(jbus.process_start_time(77), 0)
        with mock.patch('builtins.open', side_effect=OSError(24, 'too many files')):
            with self.refused('JBUS_SYSTEM_CALL_FAILED'):
                jbus.process_start_time(77)
