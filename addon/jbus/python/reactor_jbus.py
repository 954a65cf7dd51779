"""The Python end of jbus: channels over shared memory, in one file and with the standard library alone.

Blender's resident script imports it, and so do tests; at the other end is addon/jbus/, or this file again.
It speaks the bytes of docs/jbus.md, "Layout v1". Top down: errors, layout, memory order, segment, ring writer,
ring reader, doorbell, heartbeat, channel, command line. What messages mean is left to the caller.
Needs Linux, CPython 3.9 or later, a 64-bit little-endian CPU; other CPUs than x86-64 also need libatomic.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import functools
import os
import platform
import secrets
import select
import socket
import struct
import sys
import threading
import time
import weakref
import zlib
from typing import Callable, Iterable, Iterator, NamedTuple, Optional, Tuple, Union

# ---- errors

#: Every code a JbusError may carry, and whose fault it is.
CODES = {
    'JBUS_UNSUPPORTED': 'no System V memory of a kind we can use, or a CPU whose memory order we cannot keep',
    'JBUS_INVALID_ARGUMENT': 'the caller passed something that can never be right',
    'JBUS_SYSTEM_CALL_FAILED': 'the system refused: see errno and syscall',
    'JBUS_NO_SEGMENT': 'nobody has made it, or not in this IPC namespace',
    'JBUS_NO_SPACE': "the system's memory or its number of segments is used up",
    'JBUS_KEY_IN_USE': 'create: the key has a segment already',
    'JBUS_FORBIDDEN': 'the segment, or the doorbell, belongs to another user, or others may open it',
    'JBUS_NOT_OURS': 'the segment is not a ring',
    'JBUS_VERSION': 'the segment has a layout this version does not speak',
    'JBUS_BAD_LAYOUT': 'the header is impossible: capacity, size or flags',
    'JBUS_EPOCH': 'the segment is another incarnation than the one expected',
    'JBUS_OTHER_CHANNEL': 'the segment belongs to another channel',
    'JBUS_SIDE_TAKEN': 'another live producer, or consumer, has this side of the ring',
    'JBUS_MESSAGE_TOO_LARGE': 'beyond message_bytes_max',
    'JBUS_TIMEOUT': 'the peer made no room in time',
    'JBUS_CHANNEL_FULL': 'an earlier write ran out of time in the middle of its message',
    'JBUS_PEER_DEAD': 'the peer process is gone',
    'JBUS_CLOSED': 'this end, or the peer, closed the channel',
    'JBUS_POISONED': 'one side found that the other broke the format; the ring is given up',
}


class JbusError(Exception):
    """The one exception of this module. Switch on `code`; a failed system call adds `errno` and `syscall`."""

    def __init__(self, code: str, message: str, errno: Optional[int] = None, syscall: Optional[str] = None) -> None:
        assert code in CODES
        super().__init__(message)
        self.code = code
        self.errno = errno
        self.syscall = syscall

    def __str__(self) -> str:
        return f'{self.code}: {self.args[0]}'


# ---- layout of a segment and of a record: docs/jbus.md

DATA_OFFSET = 4096
CAPACITY_MIN = 4096
CAPACITY_MAX = 1 << 31
SEGMENT_MAGIC = int.from_bytes(b'JBUSRNG1', 'little')
SEGMENT_VERSION = 1
SEGMENT_FLAG_CRC = 1
INIT, READY, CLOSING, POISONED = range(4)

#: magic, version, data_offset, capacity, flags, state, epoch, channel_hash, creator pid, padding, creator start time
_SEGMENT_HEADER = struct.Struct('<QIIQIIQQIIQ')
#: magic, length, total_length, flags, type, msg_id, crc, reserved
_RECORD_HEADER = struct.Struct('<IIIHHQII')
_RECORD_CRC_OFFSET = 24
RECORD_MAGIC = 0x4A425553
HEADER_BYTES = 32

BEGIN, MID, END, HEARTBEAT, PAD, CRC = 1, 2, 4, 8, 16, 32
SINGLE = BEGIN | END
_NO_CRC = 0xFFFF & ~CRC
_DATA_FLAGS = frozenset((SINGLE, BEGIN, MID, END))

# Indices of header fields seen as u64 …
_MAGIC, _TAIL, _PRODUCER_START, _PRODUCER_BEAT, _RECORDS_WRITTEN, _BYTES_WRITTEN = (
    offset // 8 for offset in (0x000, 0x080, 0x090, 0x098, 0x0A0, 0x0A8)
)
_HEAD, _CONSUMER_START, _CONSUMER_BEAT, _RECORDS_READ, _BYTES_READ = (
    offset // 8 for offset in (0x100, 0x110, 0x118, 0x120, 0x128)
)
# … and as u32.
_STATE, _PRODUCER_PID, _PRODUCER_SEQ, _CONSUMER_PID, _CONSUMER_SEQ, _CONSUMER_WAITING, _PRODUCER_WAITING = (
    offset // 4 for offset in (0x01C, 0x088, 0x08C, 0x108, 0x10C, 0x180, 0x200)
)

MESSAGE_BYTES_MAX = 256 << 20
_TOTAL_LENGTH_MAX = (1 << 32) - 1
TIMEOUT_MS = 1_000
HEARTBEAT_MS = 250
#: No sleep is longer, so a wake-up lost for whatever reason costs this much and no more.
SAFETY_POLL_MS = 50
_CLOSE_WAIT_S = 1.0
_SPARE_BYTES_MAX = 16 << 20
_TIMEOUT_MS_MAX = 1 << 31
#: A long batch is shown to the peer every 256 messages.
_PUBLISH_MASK = 0xFF

#: Anything with contiguous bytes in it will do where this stands.
Bytes = Union[bytes, bytearray, memoryview]


# ---- memory order


class _AtomicWords:
    """Words of shared memory for CPUs that reorder: loads acquire and stores release, by libatomic.

    Stands in for a memoryview cast to words, which is all that x86-64 needs: there one aligned access is one
    instruction of CPython's, the interpreter is the compiler barrier, and loads and stores keep their order.
    """

    _ACQUIRE, _RELEASE = 2, 3

    def __init__(self, atomic: ctypes.CDLL, exporter: ctypes.Array, word_bytes: int) -> None:
        word = {4: ctypes.c_uint32, 8: ctypes.c_uint64}[word_bytes]
        self._exporter: Optional[ctypes.Array] = exporter
        self._base = ctypes.addressof(exporter)
        self._word_bytes = word_bytes
        self._load = getattr(atomic, f'__atomic_load_{word_bytes}')
        self._load.restype, self._load.argtypes = word, (ctypes.c_void_p, ctypes.c_int)
        self._store = getattr(atomic, f'__atomic_store_{word_bytes}')
        self._store.restype, self._store.argtypes = None, (ctypes.c_void_p, word, ctypes.c_int)

    def _address(self, index: int) -> int:
        if self._exporter is None:
            raise ValueError('operation forbidden on released words')
        return self._base + index * self._word_bytes

    def __getitem__(self, index: int) -> int:
        return self._load(self._address(index), self._ACQUIRE)

    def __setitem__(self, index: int, value: int) -> None:
        self._store(self._address(index), value, self._RELEASE)

    def release(self) -> None:
        self._exporter = None


Words = Union[memoryview, _AtomicWords]


@functools.lru_cache(maxsize=None)
def _libatomic() -> ctypes.CDLL:
    try:
        return ctypes.CDLL('libatomic.so.1')
    except OSError as error:
        raise JbusError('JBUS_UNSUPPORTED', f'{platform.machine()} needs libatomic.so.1: {error}') from error


def _cpu_keeps_order() -> bool:
    return platform.machine() in ('x86_64', 'AMD64')


def _words_of(exporter: ctypes.Array, memory: memoryview, word_bytes: int) -> Words:
    if _cpu_keeps_order():
        return memory[:DATA_OFFSET].cast({4: 'I', 8: 'Q'}[word_bytes])
    return _AtomicWords(_libatomic(), exporter, word_bytes)


def _new_fence() -> Callable[[], None]:
    """A full memory fence for one thread at a time: no later load passes an earlier store.

    Taking and leaving a free lock are locked instructions on x86-64, and those are fences there.
    """
    if not _cpu_keeps_order():
        atomic_thread_fence = _libatomic().atomic_thread_fence
        atomic_thread_fence.restype, atomic_thread_fence.argtypes = None, (ctypes.c_int,)
        return functools.partial(atomic_thread_fence, 5)
    lock = threading.Lock()
    acquire, release = lock.acquire, lock.release

    def fence() -> None:
        acquire()
        release()

    return fence


# ---- processes


def process_start_time(pid: int) -> int:
    """Clock ticks from boot to the start of a process, 0 if it is gone or only waits for its parent."""
    try:
        with open(f'/proc/{pid}/stat', 'rb') as file:
            # The command's name stands in parentheses, and may hold spaces and parentheses itself.
            fields = file.read().rpartition(b')')[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except OSError as error:
        raise JbusError('JBUS_SYSTEM_CALL_FAILED', f'/proc/{pid}/stat: {error}', error.errno, 'open') from error
    return 0 if fields[0] in (b'Z', b'X') else int(fields[19])


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


# ---- segment

IPC_PRIVATE = 0
_IPC_CREAT, _IPC_EXCL = 0o1000, 0o2000
_IPC_RMID, _IPC_STAT = 0, 2
_SHMAT_FAILED = (1 << 64) - 1
#: struct shmid_ds: key, uid, gid, cuid, cgid, mode, …, segsz at 48, …, cpid, lpid, nattch at 88
_SHMID_DS = struct.Struct('<iIIIII24xQ24xiiQ')
_SHMID_DS_BYTES = 256


class SegmentFacts(NamedTuple):
    """What the system knows about a segment (IPC_STAT)."""

    key: int
    uid: int
    mode: int
    size: int
    creator_pid: int
    attach_count: int


@functools.lru_cache(maxsize=None)
def _libc() -> ctypes.CDLL:
    if sys.platform != 'linux' or sys.byteorder != 'little' or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise JbusError('JBUS_UNSUPPORTED', f'jbus needs 64-bit little-endian Linux, this is {platform.platform()}')
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmget.restype, libc.shmget.argtypes = ctypes.c_int, (ctypes.c_int, ctypes.c_size_t, ctypes.c_int)
    libc.shmat.restype, libc.shmat.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
    libc.shmdt.restype, libc.shmdt.argtypes = ctypes.c_int, (ctypes.c_void_p,)
    libc.shmctl.restype, libc.shmctl.argtypes = ctypes.c_int, (ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
    return libc


def _system_error(syscall: str, what: str) -> JbusError:
    number = ctypes.get_errno()
    code = {
        errno.EEXIST: 'JBUS_KEY_IN_USE',
        errno.ENOENT: 'JBUS_NO_SEGMENT',
        errno.EINVAL: 'JBUS_NO_SEGMENT',
        errno.EIDRM: 'JBUS_NO_SEGMENT',
        errno.EACCES: 'JBUS_FORBIDDEN',
        errno.EPERM: 'JBUS_FORBIDDEN',
        errno.ENOMEM: 'JBUS_NO_SPACE',
        errno.ENOSPC: 'JBUS_NO_SPACE',
        errno.ENOSYS: 'JBUS_UNSUPPORTED',
    }.get(number, 'JBUS_SYSTEM_CALL_FAILED')
    return JbusError(code, f'{syscall} of {what}: {os.strerror(number)}', number, syscall)


class Segment:
    """One attached System V segment with a ring in it. A context manager.

    `memory` is all of it as bytes, `words` and `states` its header as u64 and u32. close() gives these up; the
    segment is unmapped when the last view that was ever made of it is gone, so no view can outlive its memory.
    """

    def __init__(self, shmid: int) -> None:
        """Attaches by id (0 is an id like any other) and looks at no content: see attach() and create()."""
        libc = _libc()
        address = libc.shmat(shmid, None, 0)
        if address in (None, _SHMAT_FAILED):
            raise _system_error('shmat', f'segment {shmid}')
        self.shmid = shmid
        try:
            # Only what is attached is sure to keep its id, hence the question after the attaching.
            self.facts = self._stat()
            exporter = (ctypes.c_ubyte * self.facts.size).from_address(address)
        except BaseException:
            libc.shmdt(address)
            raise
        # The exporter lives as long as any view of it, and its end is the only place that unmaps.
        weakref.finalize(exporter, libc.shmdt, address).atexit = False
        self.memory = memoryview(exporter).cast('B')
        self.words: Words
        self.states: Words
        self.words = self.states = self.memory[:0]
        try:
            self._check_owner()
            self.words = _words_of(exporter, self.memory, 8)
            self.states = _words_of(exporter, self.memory, 4)
        except BaseException:
            self.close()
            raise
        self.capacity = 0
        self.epoch = 0
        self.has_crc = False

    @classmethod
    def create(
        cls, capacity: int, key: int = IPC_PRIVATE, epoch: int = 0, name: str = '', has_crc: bool = False
    ) -> Segment:
        """Makes a segment that did not exist, mode 0600, state INIT. `capacity` in bytes; epoch 0 draws one.

        :raises JbusError: JBUS_KEY_IN_USE, JBUS_INVALID_ARGUMENT (capacity), JBUS_SYSTEM_CALL_FAILED.
        """
        if not _is_capacity(capacity):
            raise JbusError('JBUS_INVALID_ARGUMENT', f'capacity {capacity} is no power of two from 4096 to 2^31')
        shmid = _libc().shmget(key, DATA_OFFSET + capacity, _IPC_CREAT | _IPC_EXCL | 0o600)
        if shmid < 0:
            raise _system_error('shmget', f'key {key:#x}')
        try:
            segment = cls(shmid)
            pid = os.getpid()
            _SEGMENT_HEADER.pack_into(
                segment.memory, 0, 0, SEGMENT_VERSION, DATA_OFFSET, capacity,
                SEGMENT_FLAG_CRC if has_crc else 0, INIT, epoch or secrets.randbits(53) or 1, channel_hash(name),
                pid, 0, process_start_time(pid),
            )  # fmt: skip
            segment.words[_MAGIC] = SEGMENT_MAGIC  # last: who finds it finds the rest
            segment._check_header(None, None)
        except BaseException:
            _libc().shmctl(shmid, _IPC_RMID, None)
            raise
        return segment

    @classmethod
    def attach(cls, shmid: int, epoch: Optional[int] = None, name: Optional[str] = None) -> Segment:
        """Attaches by id and checks everything the header promises; epoch and channel name if they are given.

        :raises JbusError: JBUS_NO_SEGMENT, JBUS_FORBIDDEN, JBUS_NOT_OURS, JBUS_VERSION, JBUS_BAD_LAYOUT, JBUS_EPOCH,
            JBUS_OTHER_CHANNEL; JBUS_CLOSED or JBUS_POISONED when its life is over already.
        """
        segment = cls(shmid)
        try:
            segment._check_header(epoch, name)
        except BaseException:
            segment.close()
            raise
        return segment

    @classmethod
    def attach_key(cls, key: int, epoch: Optional[int] = None, name: Optional[str] = None) -> Segment:
        """As attach(), by the key of a segment that was not removed yet."""
        shmid = _libc().shmget(key, 0, 0)
        if shmid < 0:
            raise _system_error('shmget', f'key {key:#x}')
        return cls.attach(shmid, epoch, name)

    def remove(self) -> None:
        """Takes key and name away; the memory stays until the last process has detached. Twice is no error."""
        if _libc().shmctl(self.shmid, _IPC_RMID, None) < 0 and ctypes.get_errno() not in (errno.EINVAL, errno.EIDRM):
            raise _system_error('shmctl', f'segment {self.shmid}')

    def close(self) -> None:
        self.states.release()
        self.words.release()
        self.memory.release()

    def poison(self, reason: str) -> JbusError:
        """Marks the ring as broken for both sides, for good. Returns the error to raise."""
        self.advance_state(POISONED)
        return JbusError('JBUS_POISONED', reason)

    def advance_state(self, state: int) -> None:
        """States only go forward: who closes must not hide that the ring was poisoned."""
        if self.states[_STATE] < state:
            self.states[_STATE] = state

    def __enter__(self) -> Segment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stat(self) -> SegmentFacts:
        raw = ctypes.create_string_buffer(_SHMID_DS_BYTES)
        if _libc().shmctl(self.shmid, _IPC_STAT, raw) < 0:
            raise _system_error('shmctl', f'segment {self.shmid}')
        key, uid, _, _, _, mode, size, creator_pid, _, attach_count = _SHMID_DS.unpack_from(raw)
        return SegmentFacts(key, uid, mode & 0o777, size, creator_pid, attach_count)

    def _check_owner(self) -> None:
        uid, mode = self.facts.uid, self.facts.mode
        if uid != os.geteuid() or mode & 0o077 != 0:
            raise JbusError('JBUS_FORBIDDEN', f'segment {self.shmid} has uid {uid} and mode {mode:04o}')
        if self.facts.size < DATA_OFFSET + CAPACITY_MIN:
            raise JbusError('JBUS_NOT_OURS', f'segment {self.shmid} has {self.facts.size} bytes, too few for a ring')

    def _check_header(self, epoch: Optional[int], channel: Optional[str]) -> None:
        magic, version, data_offset, capacity, flags, state, own_epoch, own_hash, *_ = _SEGMENT_HEADER.unpack_from(
            self.memory
        )
        name = f'segment {self.shmid}'
        if magic != SEGMENT_MAGIC:
            raise JbusError('JBUS_NOT_OURS', f'{name} is not a ring: magic {magic:#x}')
        if version != SEGMENT_VERSION or data_offset != DATA_OFFSET:
            raise JbusError('JBUS_VERSION', f'{name} has version {version}, data at {data_offset}; we speak 1, 4096')
        if not _is_capacity(capacity) or self.facts.size < DATA_OFFSET + capacity or flags & ~SEGMENT_FLAG_CRC:
            message = f'{name} has {self.facts.size} bytes, a capacity of {capacity} and flags {flags:#x}'
            raise JbusError('JBUS_BAD_LAYOUT', message)
        if epoch is not None and own_epoch != epoch:
            raise JbusError('JBUS_EPOCH', f'{name} has epoch {own_epoch}, not {epoch}')
        if channel is not None and own_hash != channel_hash(channel):
            raise JbusError('JBUS_OTHER_CHANNEL', f'{name} belongs to another channel than {channel}')
        if state >= CLOSING:
            code = 'JBUS_CLOSED' if state == CLOSING else 'JBUS_POISONED'
            raise JbusError(code, f'{name} is at its end: state {state}')
        self.capacity, self.epoch = capacity, own_epoch
        self.has_crc = flags & SEGMENT_FLAG_CRC != 0
        # tail, then head: whatever the other side does in between, they may only come closer
        tail, head = self.words[_TAIL], self.words[_HEAD]
        if tail & 7 or head & 7 or not 0 <= tail - head <= capacity:
            raise self.poison(f'{name} has head {head} and tail {tail}')


def channel_hash(name: str) -> int:
    """FNV-1a over the name's UTF-8, 64 bits of which 53 are kept: every language holds these exactly."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value & ((1 << 53) - 1)


def _is_capacity(capacity: int) -> bool:
    return CAPACITY_MIN <= capacity <= CAPACITY_MAX and capacity & (capacity - 1) == 0


# ---- the two halves of a ring


class Message(NamedTuple):
    """One message. `data` is yours to keep, except inside Channel.peek()."""

    type: int
    msg_id: int
    data: Bytes


class _Side:
    """This process as the producer or the consumer of a ring: its pid and start time in the header."""

    def __init__(self, segment: Segment, pid_index: int, start_index: int) -> None:
        """:raises JbusError: JBUS_SIDE_TAKEN while a living process stands there, this one included."""
        pid = segment.states[pid_index]
        if pid != 0 and process_start_time(pid) == segment.words[start_index] != 0:
            side = 'producer' if pid_index == _PRODUCER_PID else 'consumer'
            raise JbusError('JBUS_SIDE_TAKEN', f'process {pid} is the {side} of segment {segment.shmid}')
        self._segment = segment
        self._pid_index = pid_index
        self._start_index = start_index
        segment.words[start_index] = process_start_time(os.getpid())
        segment.states[pid_index] = os.getpid()

    def leave(self) -> None:
        self._segment.words[self._start_index] = 0
        self._segment.states[self._pid_index] = 0


class RingWriter:
    """The producer's half: puts records behind the tail, then publishes them with one store. One thread at a time."""

    def __init__(self, segment: Segment) -> None:
        self.side = _Side(segment, _PRODUCER_PID, _PRODUCER_START)
        self._segment = segment
        self._memory = segment.memory
        self._words = segment.words
        self._capacity = segment.capacity
        self._crc_flag = CRC if segment.has_crc else 0
        self.record_bytes_max = segment.capacity // 2 - HEADER_BYTES
        #: With its header an eighth of the ring, of small ones more: the consumer drains while we write, and none needs a pad.
        self.fragment_bytes = min(segment.capacity // 4, max(segment.capacity // 8, 65_536)) - HEADER_BYTES
        self._tail = self._published = self._words[_TAIL]
        self._head = self._tail - segment.capacity
        self.records = self._words[_RECORDS_WRITTEN]
        self.bytes = self._words[_BYTES_WRITTEN]
        self._load_head()

    def put(self, flags: int, type: int, msg_id: int, total_bytes: int, payload: Bytes) -> bool:
        """Copies one record of at most record_bytes_max into the ring, where nobody sees it before publish().

        False when there is no room now. A payload that is a memoryview has items of one byte.
        """
        length = len(payload)
        capacity = self._capacity
        tail = self._tail
        at = tail & (capacity - 1)
        room = capacity - at
        occupied = (length + HEADER_BYTES + 7) & ~7
        skipped = room if room < occupied else 0
        if not self.has_room(skipped + occupied):
            return False
        memory = self._memory
        if skipped:
            # Less than a header's room is skipped without a word, by both sides.
            if room >= HEADER_BYTES:
                pad = room - HEADER_BYTES
                _RECORD_HEADER.pack_into(memory, DATA_OFFSET + at, RECORD_MAGIC, pad, pad, PAD, 0, 0, 0, 0)
            at = 0
        at += DATA_OFFSET
        flags |= self._crc_flag
        _RECORD_HEADER.pack_into(memory, at, RECORD_MAGIC, length, total_bytes, flags, type, msg_id, 0, 0)
        # One memmove, as fast as that of ctypes (both at memory speed for 4 MiB), and inside of what is ours.
        memory[at + HEADER_BYTES : at + HEADER_BYTES + length] = payload
        if flags & CRC:
            crc = zlib.crc32(memory[at : at + HEADER_BYTES + length])
            memory[at + _RECORD_CRC_OFFSET : at + _RECORD_CRC_OFFSET + 4] = crc.to_bytes(4, 'little')
        self._tail = tail + skipped + occupied
        self.records += 1
        self.bytes += length
        return True

    def publish(self) -> None:
        """Shows everything that was put so far, at once: a crash before it leaves nothing visible."""
        words = self._words
        words[_RECORDS_WRITTEN] = self.records
        words[_BYTES_WRITTEN] = self.bytes
        words[_TAIL] = self._published = self._tail

    def cost_of(self, length: int) -> int:
        """Bytes of the ring that a record with this payload takes now, with what is skipped before it."""
        room = self._capacity - (self._tail & (self._capacity - 1))
        occupied = (length + HEADER_BYTES + 7) & ~7
        return occupied if occupied <= room else room + occupied

    def has_room(self, cost: int) -> bool:
        room_taken = self._tail + cost - self._capacity
        return room_taken <= self._head or room_taken <= self._load_head()

    def _load_head(self) -> int:
        head = self._words[_HEAD]
        if head & 7 or not self._head <= head <= self._published:
            raise self._segment.poison(f'head {head}, seen before {self._head}, tail {self._published}')
        self._head = head
        return head


#: flags (without CRC, which was checked), type, msg_id, total_bytes, payload as it lies in the ring
Record = Tuple[int, int, int, int, memoryview]


class RingReader:
    """The consumer's half: takes records behind the head and checks every word of them. One thread at a time.

    Nothing the peer wrote is believed: a header is read once, into local variables, and these are judged. What
    breaks the format poisons the ring; there is no search for the next record that looks right.
    """

    def __init__(self, segment: Segment, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self.side = _Side(segment, _CONSUMER_PID, _CONSUMER_START)
        self._segment = segment
        self._memory = segment.memory
        self._words = segment.words
        self._capacity = segment.capacity
        self._message_bytes_max = message_bytes_max
        self._record_bytes_max = segment.capacity // 2 - HEADER_BYTES
        self._whole_bytes_max = min(self._record_bytes_max, message_bytes_max)
        self._position = self._head = self._tail = self._words[_HEAD]
        self.records = self._words[_RECORDS_READ]
        self.bytes = self._words[_BYTES_READ]
        if self._head & 7:
            raise segment.poison(f'head {self._head} is no multiple of 8')

    def take(self) -> Optional[Record]:
        """The next record, or None. Its payload is a view of the ring and stays there until release()."""
        capacity = self._capacity
        while True:
            position = self._position
            used = self._tail - position
            if used == 0:
                used = self._load_tail() - position
                if used == 0:
                    return None
            at = position & (capacity - 1)
            room = capacity - at
            if room < HEADER_BYTES:
                if used < room:
                    raise self._segment.poison(f'the tail is within the {room} bytes that are skipped')
                self._position = position + room
                continue
            at += DATA_OFFSET
            header = _RECORD_HEADER.unpack_from(self._memory, at)
            magic, length, total_bytes, flags, type, msg_id, _, _ = header
            occupied = (length + HEADER_BYTES + 7) & ~7
            if magic != RECORD_MAGIC:
                raise self._segment.poison(f'no record at position {position}: magic {magic:#x}')
            if occupied > used or occupied > room:
                raise self._segment.poison(f'record of {length} bytes, {used} published, {room} to the end')
            if flags == PAD:
                if occupied != room:
                    raise self._segment.poison(f'pad of {length} bytes where {room} are left')
                self._position = position + occupied
                continue
            payload = self._memory[at + HEADER_BYTES : at + HEADER_BYTES + length]
            if flags & CRC:
                self._check_crc(header, payload)
                flags &= _NO_CRC
            self._judge(flags, length, total_bytes)
            self._position = position + occupied
            self.records += 1
            self.bytes += length
            return flags, type, msg_id, total_bytes, payload

    def take_whole(self, count_max: int) -> list[Message]:
        """The fast way through a run of messages of one record each, copied. Stops, without judging, at all else."""
        messages: list[Message] = []
        memory, capacity, unpack = self._memory, self._capacity, _RECORD_HEADER.unpack_from
        position, tail = self._position, self._tail
        while len(messages) < count_max and position != tail:
            at = position & (capacity - 1)
            if capacity - at < HEADER_BYTES:
                break
            at += DATA_OFFSET
            magic, length, total_bytes, flags, type, msg_id, _, _ = unpack(memory, at)
            next_position = position + ((length + HEADER_BYTES + 7) & ~7)
            if magic != RECORD_MAGIC or flags != SINGLE or length != total_bytes:
                break
            if length > self._whole_bytes_max or next_position > tail:
                break
            at += HEADER_BYTES
            if at + length > DATA_OFFSET + capacity:
                break
            messages.append(Message(type, msg_id, bytes(memory[at : at + length])))
            self.bytes += length
            position = next_position
        self._position = position
        self.records += len(messages)
        return messages

    def release(self) -> None:
        """Gives the room of all records taken so far back to the producer."""
        position = self._position
        if position != self._head:
            words = self._words
            words[_RECORDS_READ] = self.records
            words[_BYTES_READ] = self.bytes
            words[_HEAD] = self._head = position

    def has_records(self) -> bool:
        """Whether take() would look at something, be it only a pad."""
        return self._tail != self._position or self._load_tail() != self._position

    def _load_tail(self) -> int:
        tail = self._words[_TAIL]
        if tail & 7 or not self._tail <= tail <= self._head + self._capacity:
            raise self._segment.poison(f'tail {tail}, seen before {self._tail}, head {self._head}')
        self._tail = tail
        return tail

    def _judge(self, flags: int, length: int, total_bytes: int) -> None:
        if flags in _DATA_FLAGS:
            if length > self._record_bytes_max or not length <= total_bytes <= self._message_bytes_max:
                raise self._segment.poison(f'record of {length} bytes in a message of {total_bytes}')
            if flags == SINGLE and length != total_bytes:
                raise self._segment.poison(f'the only record of a message has {length} of {total_bytes} bytes')
        elif flags != HEARTBEAT or length != 0:
            raise self._segment.poison(f'flags {flags} on a record of {length} bytes')

    def _check_crc(self, header: tuple, payload: memoryview) -> None:
        *fields, crc, reserved = header
        actual = zlib.crc32(payload, zlib.crc32(_RECORD_HEADER.pack(*fields, 0, reserved)))
        if crc != actual:
            raise self._segment.poison(f'CRC {crc:#x}, the record has {actual:#x}')


# ---- doorbell


class Doorbell:
    """A connected stream socket that wakes the peer, and whose end of file tells of its death.

    A byte carries no data; a full socket is fine, for the peer is awake then. Several threads may wait: one of
    them listens, and when it has heard the bell all of them look again. The doorbell owns its socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(None)  # whatever the program's default is: a ring never waits
        connection.set_inheritable(False)  # a child of ours would keep the peer from hearing of our death
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection.fileno(), select.POLLIN)
        self._turn = threading.Condition()
        self._is_listening = False
        self._heard = bytearray(4096)
        #: Counts what was heard. Read it before the last look at the ring, and give it to wait().
        self.rung = 0
        self.peer_gone = False

    @classmethod
    def from_fd(cls, fd: int) -> Doorbell:
        """Takes over an inherited descriptor, one end of a socketpair (`stdio: [..., 'pipe']` in Node).

        :raises JbusError: JBUS_INVALID_ARGUMENT when it is no open stream socket.
        """
        try:
            connection = socket.socket(fileno=fd)
        except (OSError, ValueError, OverflowError) as error:
            raise JbusError('JBUS_INVALID_ARGUMENT', f'descriptor {fd}: {error}') from error
        if connection.type != socket.SOCK_STREAM:
            connection.detach()
            raise JbusError('JBUS_INVALID_ARGUMENT', f'descriptor {fd} is no stream socket')
        return cls(connection)

    @classmethod
    def connect(cls, key: int, timeout_ms: int = TIMEOUT_MS) -> Doorbell:
        r"""Connects to the abstract Unix socket of a key, `\0reactor-net-jbus-<key as 8 hexadecimal digits>`.

        :raises JbusError: JBUS_PEER_DEAD when nobody listens, JBUS_FORBIDDEN when another user does.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout_ms / 1000)
            connection.connect(f'\0reactor-net-jbus-{key & 0xFFFFFFFF:08x}')
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            uid = struct.unpack('iII', credentials)[1]
            if uid != os.geteuid():
                raise JbusError('JBUS_FORBIDDEN', f'the doorbell of key {key:#x} belongs to uid {uid}')
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError):
                message = f'nobody listens to the doorbell of key {key:#x}: {error}'
                raise JbusError('JBUS_PEER_DEAD', message, error.errno, 'connect') from error
            raise
        return cls(connection)

    def ring(self) -> None:
        try:
            self._connection.send(b'\0', socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            pass  # it is full of rings already
        except OSError:
            self.peer_gone = True

    def wait(self, rung: int, timeout_ms: float) -> bool:
        """Until somebody rang after `rung` was read, at most `timeout_ms`. False when nobody did."""
        with self._turn:
            if self._is_listening and self.rung == rung:
                self._turn.wait(timeout_ms / 1000)
                return self.rung != rung
            if self.rung != rung:
                return True
            self._is_listening = True
        try:
            return self._listen(timeout_ms)
        finally:
            with self._turn:
                self._is_listening = False
                self._turn.notify_all()

    def close(self) -> None:
        self._connection.close()

    def _listen(self, timeout_ms: float) -> bool:
        if self.peer_gone:
            time.sleep(min(timeout_ms, 1) / 1000)  # the end of file would be heard for ever
            return False
        if not self._poll.poll(timeout_ms):
            return False
        try:
            # What is left over, if a peer rang more often, is one wake-up too many and nothing worse.
            self.peer_gone = self._connection.recv_into(self._heard, 0, socket.MSG_DONTWAIT) == 0
        except BlockingIOError:
            return False
        except OSError:
            self.peer_gone = True
        self.rung += 1
        return True


class NoDoorbell:
    """Stands in where there is no doorbell: waits are short sleeps, and nothing tells of the peer's death."""

    rung = 0
    peer_gone = False
    _NAP_S_MAX = 0.001

    def ring(self) -> None:
        pass

    def wait(self, rung: int, timeout_ms: float) -> bool:
        del rung
        time.sleep(min(timeout_ms / 1000, self._NAP_S_MAX))
        return False

    def close(self) -> None:
        pass


# ---- heartbeat and liveness


class _Heartbeat:
    """A daemon thread that says in both headers that this process lives, whatever its main thread is busy with."""

    def __init__(self, send: Segment, receive: Segment, period_ms: int) -> None:
        self._send = send
        self._receive = receive
        self._period_s = period_ms / 1000
        self._sequence = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name='jbus-heartbeat', daemon=True)
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._period_s):
            self._beat()

    def _beat(self) -> None:
        now_ms = _now_ms()
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self._send.words[_PRODUCER_BEAT] = now_ms
        self._send.states[_PRODUCER_SEQ] = self._sequence
        self._receive.words[_CONSUMER_BEAT] = now_ms
        self._receive.states[_CONSUMER_SEQ] = self._sequence


# ---- channel


class _Assembly:
    """The message of which some fragments have come. It grows as they come: a length announced is no length sent.

    Where the memory of an earlier message is large enough it is used again: fresh memory costs as much as the copy.
    """

    def __init__(self, begin: Record, spare: Optional[bytearray]) -> None:
        _, self.type, self.msg_id, self.total_bytes, payload = begin
        self.received = len(payload)
        #: Longer than the message, if it is an earlier one's.
        self.memory = bytearray(payload) if spare is None else spare
        self._reused = None if spare is None else memoryview(spare)
        if self._reused is not None:
            self._reused[: self.received] = payload

    @property
    def is_reusing(self) -> bool:
        return self._reused is not None

    def add(self, record: Record) -> Optional[str]:
        """Appends a MID or END; returns what is wrong with it, if anything."""
        flags, _, msg_id, total_bytes, payload = record
        if flags & BEGIN or msg_id != self.msg_id or total_bytes != self.total_bytes:
            return f'a record of message {msg_id} within message {self.msg_id}'
        begin = self.received
        self.received += len(payload)
        if self.received > total_bytes or (flags == END and self.received != total_bytes):
            return f'fragments of {self.received} bytes in a message of {total_bytes}'
        if self._reused is None:
            self.memory += payload
        else:
            self._reused[begin : self.received] = payload
        return None


class ChannelStats(NamedTuple):
    """Counts since the rings were made (records, payload bytes) or since this end was opened (the others)."""

    records_written: int
    bytes_written: int
    records_read: int
    bytes_read: int
    fragments_dropped: int
    heartbeats_received: int
    sleeps: int


class Channel:
    """Two rings and a doorbell: whole messages to a peer process and back. A context manager.

    The owner made the segments; it writes to the first and reads from the second, the peer the reverse. Any number
    of threads may call: writers take turns, and so do readers. Every wait has a timeout, and all of them end with a
    JbusError within SAFETY_POLL_MS after the peer closed, was found dead, or broke the format. What the peer wrote
    before it closed or died can still be read.
    """

    def __init__(
        self,
        send: Segment,
        receive: Segment,
        doorbell: Union[Doorbell, NoDoorbell, None] = None,
        *,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        heartbeat_ms: int = HEARTBEAT_MS,
        spin_us: int = 0,
    ) -> None:
        """Joins two attached segments. From here on the channel owns both and the doorbell, which may be missing.

        :param message_bytes_max: the largest message written, and believed when the peer announces it; below 4 GiB.
        :param heartbeat_ms: period of the heartbeat thread and measure of the peer's; 0: no thread.
        :param spin_us: how long a wait looks at the ring before it sleeps. It costs CPU and saves a wake-up.
        """
        if not 0 < message_bytes_max <= _TOTAL_LENGTH_MAX or heartbeat_ms < 0 or spin_us < 0:
            message = f'message_bytes_max {message_bytes_max}, heartbeat_ms {heartbeat_ms}, spin_us {spin_us}'
            raise JbusError('JBUS_INVALID_ARGUMENT', message)
        self._send = send
        self._receive = receive
        self._doorbell = doorbell or NoDoorbell()
        self._message_bytes_max = message_bytes_max
        self._heartbeat_ms = heartbeat_ms or HEARTBEAT_MS
        self._spin_ns = spin_us * 1000
        self._writer = RingWriter(send)
        try:
            self._reader = RingReader(receive, message_bytes_max)
        except JbusError:
            self._writer.side.leave()
            raise
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._write_fence = _new_fence()
        self._read_fence = _new_fence()
        self._assembly: Optional[_Assembly] = None
        self._spare: Optional[bytearray] = None
        self._is_owner = False
        self._is_closed = False
        self._is_peeking = False
        self._failure: Optional[JbusError] = None
        self._process_check_ms = 0
        self._fragments_dropped = 0
        self._heartbeats_received = 0
        self._sleeps = 0
        self._heartbeat = _Heartbeat(send, receive, heartbeat_ms) if heartbeat_ms > 0 else None

    @classmethod
    def attach(
        cls,
        send_id: int,
        receive_id: int,
        epoch: Optional[int],
        doorbell: Union[Doorbell, NoDoorbell, None] = None,
        **options: int,
    ) -> Channel:
        """Joins, as the peer, two segments that the owner made: `send_id` is its second, `receive_id` its first.

        Sets both READY and rings. When it fails, the doorbell remains the caller's. Options as in the constructor.
        :raises JbusError: as Segment.attach() does, and JBUS_SIDE_TAKEN.
        """
        with contextlib.ExitStack() as undo:
            send = undo.enter_context(Segment.attach(send_id, epoch))
            receive = undo.enter_context(Segment.attach(receive_id, epoch))
            return cls._join(send, receive, doorbell, options, undo)

    @classmethod
    def attach_key(
        cls,
        key: int,
        epoch: Optional[int] = None,
        doorbell: Union[Doorbell, NoDoorbell, None] = None,
        **options: int,
    ) -> Channel:
        """As attach(), by the pair's even key: the owner writes under it and reads under key + 1."""
        with contextlib.ExitStack() as undo:
            receive = undo.enter_context(Segment.attach_key(key, epoch))
            send = undo.enter_context(Segment.attach_key(key + 1, receive.epoch))
            return cls._join(send, receive, doorbell, options, undo)

    @classmethod
    def _join(
        cls,
        send: Segment,
        receive: Segment,
        doorbell: Union[Doorbell, NoDoorbell, None],
        options: dict[str, int],
        undo: contextlib.ExitStack,
    ) -> Channel:
        channel = cls(send, receive, doorbell, **options)
        undo.pop_all()
        send.advance_state(READY)
        receive.advance_state(READY)
        channel._doorbell.ring()
        return channel

    @classmethod
    def create(
        cls,
        capacity: int,
        key: Optional[int] = None,
        doorbell: Union[Doorbell, NoDoorbell, None] = None,
        has_crc: bool = False,
        **options: int,
    ) -> Channel:
        """Makes both segments, of `capacity` bytes each, and joins them as the owner; without a key they are private.

        A peer needs `send_id`, `receive_id` (its receive and send) and `epoch`. close() removes the segments.
        """
        with contextlib.ExitStack() as undo:
            send = undo.enter_context(Segment.create(capacity, IPC_PRIVATE if key is None else key, has_crc=has_crc))
            undo.callback(send.remove)
            receive = undo.enter_context(
                Segment.create(capacity, IPC_PRIVATE if key is None else key + 1, send.epoch, has_crc=has_crc)
            )
            undo.callback(receive.remove)
            channel = cls(send, receive, doorbell, **options)
            channel._is_owner = True
            undo.pop_all()
            return channel

    @property
    def send_id(self) -> int:
        return self._send.shmid

    @property
    def receive_id(self) -> int:
        return self._receive.shmid

    @property
    def epoch(self) -> int:
        return self._send.epoch

    def wait_ready(self, timeout_ms: float = TIMEOUT_MS) -> bool:
        """Owner: waits for the peer to join, then removes the segments' ids, so that no crash can leave them behind."""
        deadline_ms = _deadline_after(timeout_ms)
        if not self._read_lock.acquire(timeout=timeout_ms / 1000):
            return False
        try:
            if not self._wait(
                self._is_ready, self._receive.states, _CONSUMER_WAITING, self._read_fence, deadline_ms
            ):
                return False
            self._send.remove()
            self._receive.remove()
            return True
        finally:
            self._read_lock.release()

    def write(self, type: int, msg_id: int, data: Bytes, timeout_ms: float = TIMEOUT_MS) -> None:
        """Writes one message, copied once, and rings. `data` is anything with contiguous bytes in it.

        A message larger than half the ring goes in fragments, while the peer reads: the timeout covers all of it.
        :raises JbusError: JBUS_TIMEOUT. When nothing was written, later writes may succeed; when a part was, the
            ring is poisoned and everything after fails with JBUS_CHANNEL_FULL. Also JBUS_MESSAGE_TOO_LARGE,
            JBUS_INVALID_ARGUMENT, JBUS_CLOSED, JBUS_PEER_DEAD, JBUS_POISONED.
        """
        if self.write_many(((type, msg_id, data),), timeout_ms) == 0:
            raise JbusError('JBUS_TIMEOUT', f'no room for message {msg_id} in {timeout_ms} ms')

    def write_many(self, messages: Iterable[tuple[int, int, Bytes]], timeout_ms: float = TIMEOUT_MS) -> int:
        """Writes (type, msg_id, data) after (type, msg_id, data) and rings at the end: the fast way for small ones.

        Returns how many were written, fewer than there are when the time was up. Errors as write() has them; what
        was written before an error is with the peer.
        """
        deadline_ms = _deadline_after(timeout_ms)
        if not self._write_lock.acquire(timeout=timeout_ms / 1000):
            return 0
        try:
            self._raise_end()
            try:
                return self._put_all(messages, deadline_ms)
            finally:
                self._writer.publish()
                self._doorbell.ring()
        except JbusError as error:
            self._note(error)
            raise
        finally:
            self._write_lock.release()

    def read(self, timeout_ms: float = TIMEOUT_MS) -> Optional[Message]:
        """The next message, or None when none is complete in time.

        :raises JbusError: JBUS_CLOSED, JBUS_PEER_DEAD or JBUS_POISONED once nothing is left to read.
        """
        messages = self.read_many(1, timeout_ms)
        return messages[0] if messages else None

    def read_many(self, count_max: int, timeout_ms: float = TIMEOUT_MS) -> list[Message]:
        """Waits for a message and returns it with those behind it that are there already, at most `count_max`."""
        deadline_ms = _deadline_after(timeout_ms)
        if not self._read_lock.acquire(timeout=timeout_ms / 1000):
            return []
        messages: list[Message] = []
        try:
            self._check_readable()
            try:
                while len(messages) < count_max:
                    if self._assembly is None:
                        messages += self._reader.take_whole(count_max - len(messages))
                    message = self._take(None if messages else deadline_ms) if len(messages) < count_max else None
                    if message is None:
                        break
                    type, msg_id, data = message
                    messages.append(message if data.__class__ is bytearray else Message(type, msg_id, bytes(data)))
            finally:
                self._release_room()
        except JbusError as error:
            self._note(error)
            if not messages:
                raise
            # These came before it; the next call raises it again.
        finally:
            self._read_lock.release()
        return messages

    @contextlib.contextmanager
    def peek(self, timeout_ms: float = TIMEOUT_MS) -> Iterator[Optional[Message]]:
        """Lends the next message for the length of a `with`, without a copy if it lies in the ring in one piece.

        `data` is a read-only view; it and slices of it are void after the `with`. No other read meanwhile.
        """
        deadline_ms = _deadline_after(timeout_ms)
        message = None
        if self._read_lock.acquire(timeout=timeout_ms / 1000):
            try:
                self._check_readable()
                message = self._take(deadline_ms)
                if message is not None and isinstance(message.data, bytearray):
                    message = message._replace(data=memoryview(message.data).toreadonly())
                self._is_peeking = message is not None
            except JbusError as error:
                self._note(error)
                raise
            finally:
                self._read_lock.release()
        try:
            yield message
        finally:
            if message is not None:
                self._end_peek(message)

    def peer_state(self) -> str:
        """'unknown' before the peer joined, then 'alive', 'stalled' without a heartbeat for three periods, or 'gone'.

        A process we cannot find is gone once its heartbeat is late too: it may live in another pid namespace.
        """
        if self._is_closed:
            return 'unknown'
        if self._doorbell.peer_gone:
            return 'gone'
        pid, start_time = self._receive.states[_PRODUCER_PID], self._receive.words[_PRODUCER_START]
        if pid == 0 or start_time == 0:
            return 'unknown'
        beat_ms = max(self._receive.words[_PRODUCER_BEAT], self._send.words[_CONSUMER_BEAT])
        late_periods = (_now_ms() - beat_ms) // self._heartbeat_ms
        if process_start_time(pid) != start_time:
            return 'gone' if late_periods >= 1 else 'alive'
        return 'stalled' if beat_ms > 0 and late_periods >= 3 else 'alive'

    def check_alive(self) -> bool:
        """False once the peer is known to be gone. A peer that stalls lives: it may be busy or stopped."""
        return self.peer_state() != 'gone'

    def stats(self) -> ChannelStats:
        writer, reader = self._writer, self._reader
        return ChannelStats(
            writer.records, writer.bytes, reader.records, reader.bytes,
            self._fragments_dropped, self._heartbeats_received, self._sleeps,
        )  # fmt: skip

    def close(self) -> None:
        """Tells the peer, ends the waits of other threads with JBUS_CLOSED, and detaches. Twice is no error."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._heartbeat is not None:
            self._heartbeat.stop()
        held = [lock for lock in (self._write_lock, self._read_lock) if lock.acquire(timeout=_CLOSE_WAIT_S)]
        for segment in (self._send, self._receive):
            segment.advance_state(CLOSING)
            if self._is_owner:
                segment.remove()
        self._doorbell.ring()
        # A thread that is still inside, because a signal handler of its own called us, keeps the memory it works on.
        if len(held) == 2:
            self._writer.side.leave()
            self._reader.side.leave()
            self._send.close()
            self._receive.close()
            self._doorbell.close()
        for lock in held:
            lock.release()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # writing

    def _put_all(self, messages: Iterable[tuple[int, int, Bytes]], deadline_ms: float) -> int:
        writer = self._writer
        put = writer.put
        record_bytes_max = min(writer.record_bytes_max, self._message_bytes_max)
        written = 0
        for type, msg_id, data in messages:
            payload = data if data.__class__ is bytes else _as_bytes(data)
            length = len(payload)
            try:
                if length > record_bytes_max:
                    if not self._put_fragments(type, msg_id, payload, deadline_ms):
                        break
                else:
                    while not put(SINGLE, type, msg_id, length, payload):
                        if not self._wait_for_room(length, deadline_ms):
                            return written
            except struct.error as error:
                raise JbusError('JBUS_INVALID_ARGUMENT', f'type {type}, msg_id {msg_id}: {error}') from error
            written += 1
            if written & _PUBLISH_MASK == 0:
                self._publish()
        return written

    def _put_fragments(self, type: int, msg_id: int, payload: Bytes, deadline_ms: float) -> bool:
        """False when the time was up before the first fragment had room."""
        total_bytes = len(payload)
        if total_bytes > self._message_bytes_max:
            message = f'message {msg_id} has {total_bytes} bytes, message_bytes_max is {self._message_bytes_max}'
            raise JbusError('JBUS_MESSAGE_TOO_LARGE', message)
        view = memoryview(payload)
        for begin in range(0, total_bytes, self._writer.fragment_bytes):
            fragment = view[begin : begin + self._writer.fragment_bytes]
            is_last = begin + len(fragment) == total_bytes
            flags = BEGIN if begin == 0 else END if is_last else MID
            while not self._writer.put(flags, type, msg_id, total_bytes, fragment):
                if self._wait_for_room(len(fragment), deadline_ms):
                    continue
                if begin == 0:
                    return False
                self._send.advance_state(POISONED)
                stopped = f'message {msg_id} stopped at byte {begin} of {total_bytes}: no room in time'
                self._failure = JbusError('JBUS_CHANNEL_FULL', stopped)
                raise JbusError('JBUS_TIMEOUT', stopped)
            self._publish()
        return True

    def _publish(self) -> None:
        """Shows what was put, and wakes a peer that sleeps; the end of every write rings in any case."""
        self._writer.publish()
        self._write_fence()
        self._wake(self._send.states, _CONSUMER_WAITING)

    def _wait_for_room(self, length: int, deadline_ms: float) -> bool:
        self._publish()
        has_room = functools.partial(self._writer.has_room, self._writer.cost_of(length))
        return self._wait(has_room, self._send.states, _PRODUCER_WAITING, self._write_fence, deadline_ms)

    # reading

    def _take(self, deadline_ms: Optional[float]) -> Optional[Message]:
        """The next message: a view of the ring, or assembled. Without a deadline only what is there already."""
        while True:
            record = self._reader.take()
            if record is not None:
                message = self._accept(record)
                if message is not None:
                    return message
                continue
            if deadline_ms is None:
                return None
            self._release_room()
            if not self._wait(
                self._reader.has_records, self._receive.states, _CONSUMER_WAITING, self._read_fence, deadline_ms
            ):
                return None

    def _accept(self, record: Record) -> Optional[Message]:
        flags, type, msg_id, total_bytes, payload = record
        assembly = self._assembly
        if flags == HEARTBEAT:
            self._heartbeats_received += 1
        elif assembly is None:
            if flags == SINGLE:
                return Message(type, msg_id, payload.toreadonly())
            if flags == BEGIN:
                self._assembly = _Assembly(record, self._take_spare(total_bytes))
            else:
                self._fragments_dropped += 1
        else:
            wrong = assembly.add(record)
            if wrong is not None:
                raise self._receive.poison(wrong)
            if flags == END:
                self._assembly = None
                if not assembly.is_reusing:
                    return Message(assembly.type, assembly.msg_id, assembly.memory)
                self._spare = assembly.memory
                lent = memoryview(assembly.memory)[: assembly.total_bytes].toreadonly()
                return Message(assembly.type, assembly.msg_id, lent)
        self._release_room()
        return None

    def _take_spare(self, bytes_wanted: int) -> Optional[bytearray]:
        """The memory of a message that was lent, if it is large enough and not so much larger as to be wasted."""
        spare = self._spare
        if spare is None or not len(spare) // 2 <= bytes_wanted <= len(spare):
            return None
        self._spare = None
        return spare

    def _release_room(self) -> None:
        self._reader.release()
        self._read_fence()
        self._wake(self._receive.states, _PRODUCER_WAITING)

    def _check_readable(self) -> None:
        if self._is_peeking:
            raise JbusError('JBUS_INVALID_ARGUMENT', 'a message is being peeked at')
        if self._failure is not None or self._is_closed:
            self._raise_end()

    def _end_peek(self, message: Message) -> None:
        self._is_peeking = False
        memory = message.data.obj
        try:
            message.data.release()
            if isinstance(memory, bytearray) and len(memory) <= _SPARE_BYTES_MAX:
                self._spare = memory
        except BufferError as error:
            raise JbusError('JBUS_INVALID_ARGUMENT', 'the peeked view is still in use') from error
        finally:
            with self._read_lock:
                if not self._is_closed:
                    self._release_room()

    # waiting, waking and ending

    def _wait(
        self,
        is_ready: Callable[[], bool],
        states: Words,
        waiting_index: int,
        fence: Callable[[], None],
        deadline_ms: float,
    ) -> bool:
        """True once is_ready(), False at the deadline. Raises what ended the channel, unless something is ready."""
        if self._spin_ns > 0:
            spin_end_ns = time.perf_counter_ns() + self._spin_ns
            while time.perf_counter_ns() < spin_end_ns:
                if is_ready():
                    return True
        doorbell = self._doorbell
        is_silent = False
        try:
            while True:
                rung = doorbell.rung
                states[waiting_index] = 1
                fence()  # the peer sees that we wait, or we see what it has just published
                end = self._end(is_silent)
                if is_ready():
                    return True
                if end is not None:
                    raise end
                remaining_ms = deadline_ms - time.monotonic() * 1000
                if remaining_ms <= 0:
                    return False
                self._sleeps += 1
                is_silent = not doorbell.wait(rung, min(remaining_ms, SAFETY_POLL_MS))
        finally:
            states[waiting_index] = 0

    def _wake(self, states: Words, waiting_index: int) -> None:
        """Rings if the peer sleeps. The word is not exchanged: a 1 we overwrite is always followed by a ring."""
        if states[waiting_index]:
            states[waiting_index] = 0
            self._doorbell.ring()

    def _is_ready(self) -> bool:
        return self._send.states[_STATE] == READY and self._receive.states[_STATE] == READY

    def _note(self, error: JbusError) -> None:
        """What broke the format stays broken, in both directions, and the peer is told."""
        if error.code == 'JBUS_POISONED' and self._failure is None:
            # Not the error itself: its traceback would keep views of the ring, and so the ring, alive.
            self._failure = JbusError(error.code, error.args[0])
            self._send.advance_state(POISONED)
            self._receive.advance_state(POISONED)
            self._doorbell.ring()

    def _raise_end(self) -> None:
        end = self._end(False)
        if end is not None:
            raise end

    def _end(self, is_silent: bool) -> Optional[JbusError]:
        """Why nothing more will come or go, if so. `is_silent`: the peer has not rung, so look whether it lives."""
        if self._is_closed:
            return JbusError('JBUS_CLOSED', 'this end is closed')
        if self._failure is not None:
            return JbusError(self._failure.code, self._failure.args[0])
        # Asked before the states: a peer that closes says so there first.
        peer_gone = self._doorbell.peer_gone
        state = max(self._send.states[_STATE], self._receive.states[_STATE])
        if state == POISONED:
            return JbusError('JBUS_POISONED', 'the peer gave the channel up: what it read, or had to write, was broken')
        if state == CLOSING:
            return JbusError('JBUS_CLOSED', 'the peer closed the channel')
        if state > POISONED:
            return self._send.poison(f'a segment has state {state}')
        if peer_gone or (is_silent and self._is_gone_now()):
            return JbusError('JBUS_PEER_DEAD', 'the peer process is gone')
        return None

    def _is_gone_now(self) -> bool:
        """As peer_state(), but at most once per safety poll."""
        now_ms = _now_ms()
        if now_ms < self._process_check_ms:
            return False
        self._process_check_ms = now_ms + SAFETY_POLL_MS
        return self.peer_state() == 'gone'


def _deadline_after(timeout_ms: float) -> float:
    if not 0 <= timeout_ms <= _TIMEOUT_MS_MAX:
        raise JbusError('JBUS_INVALID_ARGUMENT', f'timeout_ms {timeout_ms} is not from 0 to {_TIMEOUT_MS_MAX}')
    return time.monotonic() * 1000 + timeout_ms


def _as_bytes(data: Bytes) -> Bytes:
    """The same bytes as bytes, or as a view whose items are bytes."""
    try:
        view = memoryview(data)
        return view.cast('B') if view.nbytes > 0 else b''
    except TypeError as error:
        raise JbusError('JBUS_INVALID_ARGUMENT', f'data is no contiguous bytes: {error}') from error


# ---- command line


def _number(text: str) -> int:
    return int(text, 0)


def _parse_arguments(arguments: Optional[list[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='reactor_jbus.py', description='The Python end of a jbus channel.')
    verbs = parser.add_subparsers(dest='verb', required=True)
    echo = verbs.add_parser('echo', help='join a channel and send every message back until the peer closes')
    echo.add_argument('--send-id', type=_number, required=True, help='shmid of the ring this process writes')
    echo.add_argument('--receive-id', type=_number, required=True, help='shmid of the ring this process reads')
    echo.add_argument('--epoch', type=_number, required=True)
    doorbell = echo.add_mutually_exclusive_group()
    doorbell.add_argument('--doorbell-fd', type=_number, help='inherited end of a socketpair')
    doorbell.add_argument('--doorbell-key', type=_number, help='key whose abstract Unix socket is connected to')
    echo.add_argument('--spin-us', type=_number, default=0)
    echo.add_argument('--timeout-ms', type=_number, default=60_000, help='for one message to find room')
    echo.add_argument('--message-bytes-max', type=_number, default=MESSAGE_BYTES_MAX)
    return parser.parse_args(arguments)


def _echo(options: argparse.Namespace) -> None:
    doorbell = None
    if options.doorbell_fd is not None:
        doorbell = Doorbell.from_fd(options.doorbell_fd)
    elif options.doorbell_key is not None:
        doorbell = Doorbell.connect(options.doorbell_key)
    with Channel.attach(
        options.send_id,
        options.receive_id,
        options.epoch,
        doorbell,
        message_bytes_max=options.message_bytes_max,
        spin_us=options.spin_us,
    ) as channel:
        try:
            while True:
                messages = channel.read_many(1024)
                while messages:
                    del messages[: channel.write_many(messages, options.timeout_ms)]
        except JbusError as error:
            if error.code != 'JBUS_CLOSED':
                raise


def main(arguments: Optional[list[str]] = None) -> int:
    """0 when the peer closed the channel, 1 on any other end, 2 on wrong usage (by argparse)."""
    try:
        _echo(_parse_arguments(arguments))
    except JbusError as error:
        print(f'reactor_jbus.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
