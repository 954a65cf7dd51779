"""The ring against a plain queue, at every offset, with counters anywhere, over both kinds of words, and corrupted."""

import collections
import struct
import zlib
from unittest import mock

from support import CAPACITY, RECORD_BYTES_MAX, JbusTestCase, jbus

#: Where the counters begin: at nothing, and where 32 bits and a double's integers end.
POSITIONS = (0, (1 << 32) - CAPACITY, (1 << 32) - 8, (1 << 53) - CAPACITY + 16, (1 << 53) + 8)
FUZZ_ROUNDS = 3000


def drain(reader) -> list:
    """Everything there is, as (type, msg_id, payload), given back to the writer."""
    taken = []
    while (record := reader.take()) is not None:
        flags, type, msg_id, total_bytes, payload = record
        assert flags == jbus.SINGLE and total_bytes == len(payload)
        taken.append((type, msg_id, bytes(payload)))
    reader.release()
    return taken


def put(writer, type: int, msg_id: int, payload: bytes) -> bool:
    return writer.put(jbus.SINGLE, type, msg_id, len(payload), payload)


class RingTest(JbusTestCase):
    def test_record_bytes(self):
        """a record has the bytes that layout v1 prescribes, with and without its CRC"""
        segment, writer, _ = self.ring()
        self.assertTrue(put(writer, 0x0102, 0x1112131415161718, b'123456789'))
        plain = bytes.fromhex('5355424a 09000000 09000000 0500 0201 1817161514131211 00000000 00000000')
        self.assertEqual(bytes(segment.memory[4096:4137]), plain + b'123456789')
        self.assertEqual(segment.words[jbus._TAIL], 0, 'put alone shows nothing')
        writer.publish()
        self.assertEqual(segment.words[jbus._TAIL], 48)

        segment, writer, reader = self.ring(has_crc=True)
        put(writer, 0x0102, 0x1112131415161718, b'123456789')
        writer.publish()
        flagged = plain[:12] + bytes.fromhex('2500') + plain[14:]
        crc = zlib.crc32(flagged + b'123456789').to_bytes(4, 'little')
        self.assertEqual(bytes(segment.memory[4096:4137]), flagged[:24] + crc + flagged[28:] + b'123456789')
        self.assertEqual(drain(reader), [(0x0102, 0x1112131415161718, b'123456789')])

    def test_every_offset(self):
        """a record of any size written at any offset is read back; a rest of 8, 16 or 24 bytes is skipped unmarked"""
        lengths = (0, 1, 8, 9, 100, CAPACITY // 4, RECORD_BYTES_MAX - 1, RECORD_BYTES_MAX)
        for offset in range(0, CAPACITY, 8):
            segment = self.segment()
            room = CAPACITY - offset
            mark = bytes(segment.memory[4096 + offset : 4096 + CAPACITY])
            for length in lengths:
                segment.words[jbus._TAIL] = segment.words[jbus._HEAD] = (1 << 32) - CAPACITY + offset
                writer, reader = jbus.RingWriter(segment), jbus.RingReader(segment)
                payload = bytes([length & 0xFF]) * length
                self.assertTrue(put(writer, 7, length, payload), 'half a ring always fits an empty one')
                occupied = (32 + length + 7) // 8 * 8
                writer.publish()
                moved = segment.words[jbus._TAIL] - segment.words[jbus._HEAD]
                self.assertEqual(moved, occupied if occupied <= room else room + occupied)
                if room < 32:
                    self.assertEqual(bytes(segment.memory[4096 + offset : 4096 + CAPACITY]), mark)
                elif occupied > room:
                    pad = struct.unpack_from('<IIIHHQII', segment.memory, 4096 + offset)
                    self.assertEqual(pad, (jbus.RECORD_MAGIC, room - 32, room - 32, jbus.PAD, 0, 0, 0, 0))
                self.assertEqual(drain(reader), [(7, length, payload)])
                self.assertEqual(segment.words[jbus._HEAD], segment.words[jbus._TAIL])
                writer.side.leave()
                reader.side.leave()
            segment.close()

    def test_against_a_queue(self):
        """random writes and reads give what a queue gives, wherever the counters began"""
        chance = self.random()
        for position in POSITIONS:
            for has_crc in (False, True):
                self.against_a_queue(chance, position, has_crc, 2000)

    def test_against_a_queue_with_atomic_words(self):
        """over words of libatomic, as other CPUs need them, the ring gives what a queue gives"""
        with mock.patch.object(jbus, '_cpu_keeps_order', return_value=False):
            segment, _, _ = self.ring()
            self.assertIsInstance(segment.words, jbus._AtomicWords)
            self.against_a_queue(self.random(), (1 << 32) - 64, False, 2000)
            segment.close()
            with self.assertRaises(ValueError):
                segment.words[0]
            jbus._new_fence()()

    def against_a_queue(self, chance, position: int, has_crc: bool, steps: int) -> None:
        segment, writer, reader = self.ring(position, has_crc=has_crc)
        put_only, visible = collections.deque(), collections.deque()
        msg_id = refused = 0
        for _ in range(steps):
            action = chance.random()
            if action < 0.5:
                length = chance.choice((0, 8, 24, chance.randrange(64), chance.randrange(RECORD_BYTES_MAX + 1)))
                record = (chance.randrange(1 << 16), msg_id, chance.randbytes(length))
                if put(writer, *record):
                    put_only.append(record)
                else:
                    refused += 1
                    self.assertGreater(writer.cost_of(length), CAPACITY - (writer._tail - segment.words[jbus._HEAD]))
                msg_id += 1
            elif action < 0.7:
                writer.publish()
                visible += put_only
                put_only.clear()
            elif action < 0.8:
                messages = reader.take_whole(chance.randrange(5))
                self.assertEqual([tuple(message) for message in messages], [visible.popleft() for _ in messages])
            elif action < 0.9:
                record = reader.take()
                if record is None:
                    self.assertEqual(len(visible), 0)
                else:
                    flags, type, identity, total_bytes, payload = record
                    self.assertEqual((type, identity, bytes(payload)), visible.popleft())
                    self.assertEqual((flags, total_bytes), (jbus.SINGLE, len(payload)))
            else:
                reader.release()
        self.assertGreater(refused, 10, 'a full ring refused')
        writer.publish()
        self.assertEqual(drain(reader), list(visible + put_only))
        self.assertEqual((writer.records, writer.bytes), (reader.records, reader.bytes))
        segment.close()

    def test_exact_fit(self):
        """a ring can be filled to its last byte, and then refuses until something was released"""
        for rest in (8, 64, 1984):
            segment, writer, reader = self.ring()
            for length in (RECORD_BYTES_MAX, CAPACITY // 2 - 64 - rest, rest):
                self.assertTrue(put(writer, 1, 2, bytes(length)), f'{length} bytes fit')
            writer.publish()
            self.assertEqual(segment.words[jbus._TAIL], CAPACITY)
            self.assertFalse(put(writer, 1, 3, b''))
            self.assertIsNotNone(reader.take())
            self.assertFalse(put(writer, 1, 3, b''), 'what is taken is not yet released')
            reader.release()
            self.assertTrue(put(writer, 1, 3, b''))

    def test_unpublished_is_invisible(self):
        """records that were put and not published do not exist for the reader"""
        _, writer, reader = self.ring()
        put(writer, 1, 1, b'seen')
        writer.publish()
        put(writer, 1, 2, b'not seen')
        self.assertEqual(drain(reader), [(1, 1, b'seen')])
        self.assertFalse(reader.has_records())

    def test_poison_of_each_field(self):
        """each field of a record that breaks the format poisons the ring, and the reader stays at that record"""
        cases = [
            ('magic', 0, '<I', 0x4A425554),
            ('length beyond what was published', 4, '<I', 200),
            ('length of 2^32 - 1', 4, '<I', 0xFFFFFFFF),
            ('length unlike total_length', 4, '<I', 99),
            ('total_length unlike length', 8, '<I', 101),
            ('total_length above the maximum', 8, '<I', 0xFFFFFFFF),
            ('no flag', 12, '<H', 0),
            ('BEGIN and MID', 12, '<H', jbus.BEGIN | jbus.MID),
            ('HEARTBEAT with a payload', 12, '<H', jbus.HEARTBEAT),
            ('PAD in the middle', 12, '<H', jbus.PAD),
            ('PAD and END', 12, '<H', jbus.PAD | jbus.END),
            ('an unknown flag', 12, '<H', jbus.SINGLE | 64),
            ('CRC that is not there', 12, '<H', jbus.SINGLE | jbus.CRC),
        ]
        for name, offset, form, value in cases:
            with self.subTest(name):
                segment, writer, reader = self.ring()
                put(writer, 1, 1, bytes(100))
                writer.publish()
                struct.pack_into(form, segment.memory, 4096 + offset, value)
                for _ in range(2):
                    self.assertEqual(reader.take_whole(10), [])
                    with self.refused('JBUS_POISONED'):
                        reader.take()
                self.assertEqual(segment.states[jbus._STATE], jbus.POISONED)

    def test_poison_of_positions(self):
        """a tail or a head that jumps, goes back or is no multiple of 8 poisons the ring"""
        for tail in (4, 40 + 4, 0, CAPACITY + 48, 1 << 63, (1 << 64) - 8):
            with self.subTest(tail=tail):
                segment, writer, reader = self.ring()
                put(writer, 1, 1, b'')
                writer.publish()
                drain(reader)
                segment.words[jbus._TAIL] = tail
                with self.refused('JBUS_POISONED'):
                    reader.take()
        for head in (4, 2048 - 8, CAPACITY + 8, (1 << 64) - 8):
            with self.subTest(head=head):
                segment, writer, _ = self.ring(2048)
                put(writer, 1, 1, bytes(RECORD_BYTES_MAX))
                writer.publish()
                segment.words[jbus._HEAD] = head
                with self.refused('JBUS_POISONED'):
                    for _ in range(3):
                        put(writer, 1, 1, bytes(RECORD_BYTES_MAX))
                self.assertEqual(segment.states[jbus._STATE], jbus.POISONED)

    def test_tail_within_a_skip(self):
        """a tail inside of the bytes that both sides skip poisons the ring, and one behind them is an empty ring"""
        segment, _, reader = self.ring(CAPACITY - 24)
        segment.words[jbus._TAIL] = CAPACITY
        self.assertIsNone(reader.take())
        segment, _, reader = self.ring(CAPACITY - 24)
        segment.words[jbus._TAIL] = CAPACITY - 8
        with self.refused('JBUS_POISONED'):
            reader.take()

    def test_fuzz(self):
        """random bytes over headers, records and positions are read as records or end in JbusError, nothing else"""
        chance = self.random()
        outcomes = collections.Counter()
        for _ in range(FUZZ_ROUNDS):
            segment, writer, reader = self.ring(chance.randrange(0, CAPACITY, 8), has_crc=chance.random() < 0.3)
            for msg_id in range(chance.randrange(1, 8)):
                put(writer, 1, msg_id, bytes(chance.randrange(300)))
            writer.publish()
            for _ in range(chance.randrange(1, 6)):
                area = chance.choice(((0x18, 0x20), (0x80, 0x88), (0x100, 0x108), (4096, 4160), (4096, 8192)))
                at = chance.randrange(*area)
                segment.memory[at] = chance.choice((0, 1, 8, 0x10, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            outcomes[self.survive(segment, writer, reader)] += 1
            segment.close()
        self.assertGreater(outcomes['JBUS_POISONED'], FUZZ_ROUNDS // 10)
        self.assertGreater(outcomes['read'], FUZZ_ROUNDS // 10)

    def survive(self, segment, writer, reader) -> str:
        try:
            for _ in range(200):
                reader.take_whole(3)
                if reader.take() is None:
                    break
                reader.release()
                put(writer, 1, 1, bytes(100))
                writer.publish()
            jbus.Segment.attach(segment.shmid, segment.epoch).close()
        except jbus.JbusError as error:
            return error.code
        return 'read'
