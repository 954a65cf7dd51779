"""Making, finding and leaving segments: what the header promises is checked before anything else is believed."""

import ctypes
import gc
import os
import struct
import unittest

from support import CAPACITY, JbusTestCase, jbus


class SegmentTest(JbusTestCase):
    def named(self, key=jbus.IPC_PRIVATE, **options):
        segment = jbus.Segment.create(CAPACITY, key, **options)
        self.addCleanup(segment.close)
        self.addCleanup(segment.remove)
        return segment

    def test_header_bytes(self):
        """the header of a new segment has the bytes that layout v1 prescribes"""
        segment = self.segment(epoch=0x1122334455667788, name='foobar', has_crc=True)
        start_time = jbus.process_start_time(os.getpid())
        expected = (
            b'JBUSRNG1' + bytes.fromhex('01000000 00100000 0010000000000000 01000000 00000000')
            + bytes.fromhex('8877665544332211 e86739f771411400')
            + struct.pack('<IIQ', os.getpid(), 0, start_time)
        )  # fmt: skip
        self.assertEqual(bytes(segment.memory[:0x40]), expected)
        self.assertEqual(bytes(segment.memory[0x40:0x1000]), bytes(0x1000 - 0x40))
        self.assertEqual(segment.facts.mode, 0o600)
        self.assertEqual(segment.facts.size, 4096 + CAPACITY)

    def test_mode(self):
        """a segment has mode 0600 whatever the umask"""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.assertEqual(self.segment().facts.mode, 0o600)

    def test_attach_key(self):
        """a segment is found by its key, and its key is in use as long as it has it"""
        key = 0x4A000000 | (os.getpid() & 0x3FFFFF) << 1
        made = self.named(key)
        made.memory[5000] = 77
        with jbus.Segment.attach_key(key, made.epoch) as found:
            self.assertEqual((found.shmid, found.capacity, found.memory[5000]), (made.shmid, CAPACITY, 77))
        with self.refused('JBUS_KEY_IN_USE') as caught:
            jbus.Segment.create(CAPACITY, key)
        self.assertEqual((caught.exception.syscall, caught.exception.errno), ('shmget', 17))
        made.remove()
        with self.refused('JBUS_NO_SEGMENT'):
            jbus.Segment.attach_key(key)

    def test_removed(self):
        """a removed segment can be attached by id while somebody holds it, and not after"""
        segment = self.segment()
        with jbus.Segment.attach(segment.shmid, segment.epoch) as second:
            self.assertEqual(second.facts.attach_count, 2)
        segment.close()
        with self.refused('JBUS_NO_SEGMENT'):
            jbus.Segment.attach(segment.shmid)

    def test_refusals(self):
        """another magic, version, data offset, capacity, epoch, hash, state or position is refused by its code"""
        cases = [
            (0x00, '<Q', 0x1234, 'JBUS_NOT_OURS'),
            (0x08, '<I', 2, 'JBUS_VERSION'),
            (0x0C, '<I', 8192, 'JBUS_VERSION'),
            (0x10, '<Q', 8192, 'JBUS_BAD_LAYOUT'),
            (0x10, '<Q', 4104, 'JBUS_BAD_LAYOUT'),
            (0x10, '<Q', 2048, 'JBUS_BAD_LAYOUT'),
            (0x10, '<Q', 1 << 63, 'JBUS_BAD_LAYOUT'),
            (0x18, '<I', 2, 'JBUS_BAD_LAYOUT'),
            (0x1C, '<I', jbus.CLOSING, 'JBUS_CLOSED'),
            (0x1C, '<I', jbus.POISONED, 'JBUS_POISONED'),
            (0x1C, '<I', 99, 'JBUS_POISONED'),
            (0x20, '<Q', 6, 'JBUS_EPOCH'),
            (0x28, '<Q', 9, 'JBUS_OTHER_CHANNEL'),
            (0x80, '<Q', 4, 'JBUS_POISONED'),
            (0x80, '<Q', CAPACITY + 8, 'JBUS_POISONED'),
            (0x100, '<Q', 8, 'JBUS_POISONED'),
        ]
        for offset, form, value, code in cases:
            with self.subTest(offset=hex(offset), value=value), self.segment(epoch=5, name='lamps') as segment:
                struct.pack_into(form, segment.memory, offset, value)
                with self.refused(code):
                    jbus.Segment.attach(segment.shmid, 5, 'lamps')
                self.assertEqual(segment._stat().attach_count, 1, 'a refused segment is left at once')

    def test_open_permissions(self):
        """a segment that others may open is refused, and so is one without room for a ring"""
        for size, mode, code in ((8192, 0o660, 'JBUS_FORBIDDEN'), (4096, 0o600, 'JBUS_NOT_OURS')):
            shmid = jbus._libc().shmget(0, size, 0o1000 | mode)
            self.addCleanup(jbus._libc().shmctl, shmid, 0, None)
            with self.refused(code):
                jbus.Segment.attach(shmid)

    @unittest.skipIf(os.geteuid() != 0, 'needs root to make another user its owner')
    def test_foreign_user(self):
        """a segment of another user is refused even to root"""
        segment = self.named()
        raw = ctypes.create_string_buffer(256)
        self.assertEqual(jbus._libc().shmctl(segment.shmid, 2, raw), 0)
        struct.pack_into('<I', raw, 4, 12345)
        self.assertEqual(jbus._libc().shmctl(segment.shmid, 1, raw), 0)
        with self.refused('JBUS_FORBIDDEN'):
            jbus.Segment.attach(segment.shmid, segment.epoch)

    def test_create_refusals(self):
        """a capacity that is no power of two from 4096 to 2^31 is refused"""
        for capacity in (0, -4096, 2048, 4097, 12288, 1 << 32):
            with self.subTest(capacity=capacity), self.refused('JBUS_INVALID_ARGUMENT'):
                jbus.Segment.create(capacity)

    def test_unmapped_with_the_last_view(self):
        """a segment stays mapped until the last view of it is gone, closed or not, and is then detached once"""
        segment = self.segment()
        with jbus.Segment.attach(segment.shmid) as watcher:
            view = segment.memory[4096:4104]
            segment.close()
            segment.close()
            self.assertEqual(watcher._stat().attach_count, 2)
            view[0] = 1
            with self.assertRaises(ValueError):
                segment.memory[0]
            del view
            gc.collect()
            self.assertEqual(watcher._stat().attach_count, 1)

    def test_attach_and_drop(self):
        """attaching a thousand times and dropping every one leaves the attach count where it was"""
        segment = self.segment()
        for _ in range(1000):
            jbus.Segment.attach(segment.shmid).close()
        self.assertEqual(segment._stat().attach_count, 1)

    def test_sides(self):
        """a side belongs to one living process, one end of it; a dead one's reused pid is not taken for alive"""
        segment = self.segment()
        parent = os.getppid()
        segment.states[jbus._PRODUCER_PID] = parent
        segment.words[jbus._PRODUCER_START] = jbus.process_start_time(parent)
        with self.refused('JBUS_SIDE_TAKEN'):
            jbus.RingWriter(segment)
        segment.words[jbus._PRODUCER_START] += 1
        writer = jbus.RingWriter(segment)
        self.assertEqual(segment.states[jbus._PRODUCER_PID], os.getpid())
        with self.refused('JBUS_SIDE_TAKEN'):
            jbus.RingWriter(segment)
        writer.side.leave()
        jbus.RingWriter(segment)
        jbus.RingReader(segment)
        with self.refused('JBUS_SIDE_TAKEN'):
            jbus.RingReader(segment)
