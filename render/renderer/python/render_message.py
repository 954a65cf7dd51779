"""Message v1 between a worker node and a renderer, as Python has it: docs/render-renderers.md has the table.

render_loop.py reads requests and writes replies with it; the other end is render/renderer/message.ts, and both are
tested on test/render/vectors/renderer-message.json. Pure, and with the standard library alone.
Little-endian. What comes from the other process is checked to the last byte before anything of it is used.
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple, Sequence, Tuple

#: Types of the jbus messages that carry requests, replies and, once, what the renderer says of itself.
REQUEST, REPLY, READY = 1, 2, 3

RENDER, PING, MOVE, SHUTDOWN, CANCEL = 1, 2, 3, 4, 5

#: ErrCode of render/proto/render.proto: those that a renderer gives by itself.
EC_OK, EC_RENDER_FAILED, EC_NO_OUTPUT, EC_PYTHON_ERROR = 0, 4, 5, 7
EC_CANCELED, EC_BAD_MESSAGE, EC_BAD_IMAGE = 9, 10, 13
ERR_MAX = 14

#: PixelFormat of render/proto/render.proto.
GRAY8, RGB8, RGBA8, RGBA32F, PNG, EXR = range(6)
FORMAT_NAMES = ('GRAY8', 'RGB8', 'RGBA8', 'RGBA32F', 'PNG', 'EXR')
#: None: a file, whose size nobody knows beforehand; such a message carries one image.
BYTES_PER_PIXEL = (1, 3, 4, 16, None, None)

SIDE_MAX = 16_384
TASKS_MAX = 65_536
LIGHTS_MAX = 4_096
SAMPLES_MAX = 0xFFFFFF
MESSAGE_BYTES_MAX = 256 << 20
ERROR_BYTES_MAX = 4_096
SCENE_BYTES_MAX = 4_096

_REQUEST_HEAD = struct.Struct('<QIIIIIIII3d')
#: Behind the lights, where there are frames, a seed or a scene: bytes of all of it, seed, frames, bytes of the scene.
_TRAILER_HEAD = struct.Struct('<IIII')
_REPLY_HEAD = struct.Struct('<QIIIIIIIIQ')


class MessageError(Exception):
    """The bytes are no message of version 1, or the fields make none; the text says why."""


class Request(NamedTuple):
    request_id: int
    serial: int
    version: int
    op: int
    task_count: int = 0
    light_count: int = 0
    width: int = 0
    height: int = 0
    samples: int = 0
    format: int = GRAY8
    position: Tuple[float, float, float] = (0.0, 0.0, 0.0)
    #: `light_count` words for each image, `intensity << 24 | r << 16 | g << 8 | b`.
    lights: Sequence[int] = ()
    #: One for each image, or none: then it is the scene's own.
    frames: Sequence[int] = ()
    seed: int = 0
    #: Path of a .blend file, or '' for what the renderer was started with.
    scene: str = ''

    def lights_of(self, index: int) -> Sequence[int]:
        return self.lights[index * self.light_count : (index + 1) * self.light_count]


class Reply(NamedTuple):
    request_id: int
    serial: int
    version: int
    err: int = EC_OK
    task_count: int = 0
    width: int = 0
    height: int = 0
    format: int = GRAY8
    render_us: int = 0
    #: The images one after the other, rows from the top; or UTF-8 text when `err` is not 0.
    body: bytes = b''
    #: How much of `render_us` it took to get at the pixels.
    read_out_us: int = 0


def encode_request(request: Request) -> bytes:
    """:raises MessageError: a field is out of its range."""
    _check_request(request)
    try:
        head = _REQUEST_HEAD.pack(
            request.request_id, request.serial, request.version, request.op, request.task_count, request.light_count,
            request.width, request.height, request.samples | request.format << 24, *request.position,
        )  # fmt: skip
        return head + struct.pack(f'<{len(request.lights)}I', *request.lights) + _trailer(request)
    except struct.error as error:
        raise MessageError(f'request: {error}') from error


def decode_request(data: bytes) -> Request:
    """:raises MessageError: it is no request."""
    if len(data) < _REQUEST_HEAD.size:
        raise MessageError(f'a request has at least {_REQUEST_HEAD.size} bytes, not {len(data)}')
    fields = _REQUEST_HEAD.unpack_from(data)
    task_count, light_count = fields[4], fields[5]
    lights_end = _REQUEST_HEAD.size + 4 * task_count * light_count
    if len(data) < lights_end:
        raise MessageError(f'{len(data)} bytes, too few for {task_count} x {light_count} light words')
    lights = struct.unpack_from(f'<{task_count * light_count}I', data, _REQUEST_HEAD.size)
    request = Request(
        *fields[:8], fields[8] & SAMPLES_MAX, fields[8] >> 24, fields[9:12], lights, *_decoded_trailer(data[lights_end:])
    )
    _check_request(request)
    return request


def _trailer(request: Request) -> bytes:
    if not (request.frames or request.seed or request.scene):
        return b''
    frames, scene = struct.pack(f'<{len(request.frames)}i', *request.frames), request.scene.encode()
    size = _TRAILER_HEAD.size + len(frames) + len(scene)
    return _TRAILER_HEAD.pack(size, request.seed, len(request.frames), len(scene)) + frames + scene


def _decoded_trailer(data: bytes) -> Tuple[Sequence[int], int, str]:
    if not data:
        return (), 0, ''
    if len(data) < _TRAILER_HEAD.size:
        raise MessageError(f'{len(data)} bytes behind the lights')
    size, seed, frame_count, scene_bytes = _TRAILER_HEAD.unpack_from(data)
    if not len(data) == size == _TRAILER_HEAD.size + 4 * frame_count + scene_bytes:
        raise MessageError(f'{len(data)} bytes behind the lights')
    frames = struct.unpack_from(f'<{frame_count}i', data, _TRAILER_HEAD.size)
    try:
        return frames, seed, bytes(data[len(data) - scene_bytes :]).decode()
    except UnicodeDecodeError as error:
        raise MessageError('the path of the scene is not UTF-8') from error


def encode_reply(reply: Reply) -> bytes:
    """:raises MessageError: a field is out of its range, or the body has not the bytes of its images."""
    _check_reply(reply)
    try:
        head = _REPLY_HEAD.pack(
            reply.request_id, reply.serial, reply.version, reply.err, reply.task_count, reply.width, reply.height,
            reply.format, reply.read_out_us, reply.render_us,
        )  # fmt: skip
    except struct.error as error:
        raise MessageError(f'reply: {error}') from error
    return b''.join((head, reply.body))


def decode_reply(data: bytes) -> Reply:
    """:raises MessageError: it is no reply."""
    if len(data) < _REPLY_HEAD.size:
        raise MessageError(f'a reply has at least {_REPLY_HEAD.size} bytes, not {len(data)}')
    *fields, read_out_us, render_us = _REPLY_HEAD.unpack_from(data)
    reply = Reply(*fields, render_us, bytes(data[_REPLY_HEAD.size :]), read_out_us)
    _check_reply(reply)
    return reply


def error_reply(request: Request, err: int, text: str) -> Reply:
    """A reply that says why there is no image; of a long text the end is kept."""
    body = text.encode('utf-8', 'replace')[-ERROR_BYTES_MAX:]
    # The cut may have gone through a character.
    return Reply(request.request_id, request.serial, request.version, err, body=body.decode('utf-8', 'ignore').encode())


def image_bytes(width: int, height: int, format: int, task_count: int) -> int:
    """:raises MessageError: files have no size that could be known."""
    per_pixel = BYTES_PER_PIXEL[format]
    if per_pixel is None:
        raise MessageError(f'{FORMAT_NAMES[format]} images have no fixed size')
    return width * height * per_pixel * task_count


def _check_request(request: Request) -> None:
    if not RENDER <= request.op <= CANCEL:
        raise MessageError(f'unknown op {request.op}')
    if not all(math.isfinite(part) for part in request.position):
        raise MessageError('the position is not finite')
    if len(request.lights) != request.task_count * request.light_count:
        raise MessageError(f'{len(request.lights)} lights, not {request.task_count} x {request.light_count}')
    if len(request.frames) not in (0, request.task_count):
        raise MessageError(f'{len(request.frames)} frames for {request.task_count} images')
    if request.scene:
        if not request.scene.startswith('/') or '\0' in request.scene:
            raise MessageError('the path of the scene is not absolute')
        _check_range('bytes of the path of the scene', len(request.scene.encode()), 1, SCENE_BYTES_MAX)
    _check_range('samples', request.samples, 0, SAMPLES_MAX)
    _check_range('format', request.format, GRAY8, EXR)
    _check_range('light_count', request.light_count, 0, LIGHTS_MAX)
    if request.op == RENDER:
        _check_range('task_count', request.task_count, 1, TASKS_MAX)
        _check_range('samples', request.samples, 1, SAMPLES_MAX)
        _check_images(request.width, request.height, request.format, request.task_count)
    else:
        _check_range('task_count', request.task_count, 0, TASKS_MAX)


def _check_reply(reply: Reply) -> None:
    _check_range('err', reply.err, EC_OK, ERR_MAX)
    if reply.err != EC_OK:
        _check_range('error bytes', len(reply.body), 0, ERROR_BYTES_MAX)
        try:
            bytes(reply.body).decode('utf-8')
        except UnicodeDecodeError as error:
            raise MessageError('the error text is not UTF-8') from error
        return
    _check_range('format', reply.format, GRAY8, EXR)
    if reply.task_count == 0:
        _check_range('bytes', len(reply.body), 0, 0)
        return
    _check_range('task_count', reply.task_count, 1, TASKS_MAX)
    _check_images(reply.width, reply.height, reply.format, reply.task_count)
    if BYTES_PER_PIXEL[reply.format] is None:
        _check_range('bytes', len(reply.body), 1, MESSAGE_BYTES_MAX - _REPLY_HEAD.size)
        return
    expected = image_bytes(reply.width, reply.height, reply.format, reply.task_count)
    if len(reply.body) != expected:
        raise MessageError(f'{len(reply.body)} bytes of pixels, not {expected}')


def _check_images(width: int, height: int, format: int, task_count: int) -> None:
    _check_range('width', width, 1, SIDE_MAX)
    _check_range('height', height, 1, SIDE_MAX)
    if BYTES_PER_PIXEL[format] is None:
        _check_range('task_count of files', task_count, 1, 1)
    elif image_bytes(width, height, format, task_count) > MESSAGE_BYTES_MAX - _REPLY_HEAD.size:
        raise MessageError(f'{task_count} images of {width} x {height} do not fit one reply')


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise MessageError(f'{name} is {value}, not from {least} to {most}')
