"""What every renderer in Python does: join the worker node's channel, say READY, answer one request after the other.

render_blender.py gives it Blender to render with; a renderer of your own gives it a class with the same three methods.
It ends when the worker node says so, closes the channel or is gone. Whatever a request brings about, an exception
included, is told in its reply and the renderer goes on. Standard library, and reactor_jbus.py.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
import time
import traceback
from typing import List, Optional, Protocol

import render_message as message

READY_TIMEOUT_MS = 10_000
#: For a reply to find room: the worker node reads all the time.
REPLY_TIMEOUT_MS = 30_000
TRACEBACK_CHARS_MAX = 2_048
_PR_SET_PDEATHSIG = 1


class RenderFailure(Exception):
    """A request that could not be rendered: `err` is an ErrCode, the text is for people."""

    def __init__(self, err: int, text: str) -> None:
        super().__init__(text)
        self.err = err


class Renderer(Protocol):
    def facts(self) -> dict:
        """`renderer`, `version`, `threads`, `formats` (names) and whatever else people may want to know."""

    def open(self, scene: str) -> None:
        """Takes another scene: the path of a file, or '' for its own. Needed only by renderers that have scenes."""

    def move(self, position: tuple) -> None: ...

    def render(self, request: message.Request, index: int) -> bytes:
        """One image of the request, rows from the top. :raises RenderFailure:

        A renderer may have an attribute `read_out_us`: how long it has taken so far to get at pixels once rendered.
        """


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--jbus, and the flags of a channel that the worker node puts behind a renderer's own."""
    parser.add_argument('--jbus', required=True, help='folder of reactor_jbus.py')
    for flag in ('--send-id', '--receive-id', '--epoch', '--doorbell-fd'):
        parser.add_argument(flag, type=int, required=True, help='given by the worker node')


def end_with_parent() -> None:
    """A render of hours ends with the thread that started us; between renders the doorbell tells as well."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a ^C on the terminal is the worker node's to handle
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def run(renderer: Renderer, options: argparse.Namespace) -> int:
    """Serves until the end; the exit status. 0: the worker node wanted it, or is gone."""
    sys.path.insert(0, options.jbus)
    import reactor_jbus as jbus

    doorbell = jbus.Doorbell.from_fd(options.doorbell_fd)
    with jbus.Channel.attach(options.send_id, options.receive_id, options.epoch, doorbell) as channel:
        try:
            facts = {**renderer.facts(), 'message': 1, 'pid': os.getpid()}
            channel.write(message.READY, 0, json.dumps(facts).encode(), READY_TIMEOUT_MS)
            while True:
                incoming = channel.read(timeout_ms=60_000)
                if incoming is None:
                    continue
                if incoming.type != message.REQUEST:
                    print(f'render_loop: a message of type {incoming.type} was ignored', file=sys.stderr, flush=True)
                    continue
                reply = _answer(renderer, incoming.data)
                # What was printed is in the pipe before the reply is in the ring: so it belongs to this request.
                sys.stdout.flush()
                sys.stderr.flush()
                if reply is SHUTDOWN:
                    return 0
                if reply is not None:
                    channel.write(message.REPLY, incoming.msg_id, message.encode_reply(reply), REPLY_TIMEOUT_MS)
        except jbus.JbusError as error:
            if error.code in ('JBUS_CLOSED', 'JBUS_PEER_DEAD'):
                return 0
            print(f'render_loop: {error}', file=sys.stderr, flush=True)
            return 1


#: Stands for the reply to the last request of all.
SHUTDOWN = message.Reply(0, 0, 0)


def _answer(renderer: Renderer, data: bytes) -> Optional[message.Reply]:
    """The reply; SHUTDOWN, and None for what has none: a request that is over cannot be canceled any more."""
    request = message.Request(0, 0, 0, message.PING)
    try:
        request = message.decode_request(data)
        if request.op == message.SHUTDOWN:
            return SHUTDOWN
        if request.op == message.CANCEL:
            return None
        if request.op == message.RENDER:
            return _render(renderer, request)
        if request.op == message.MOVE:
            renderer.move(request.position)
        return message.Reply(request.request_id, request.serial, request.version)
    except message.MessageError as error:
        return message.error_reply(request, message.EC_BAD_MESSAGE, str(error))
    except RenderFailure as error:
        return message.error_reply(request, error.err, str(error))
    except Exception:
        text = traceback.format_exc()[-TRACEBACK_CHARS_MAX:]
        print(text, file=sys.stderr, flush=True)
        return message.error_reply(request, message.EC_PYTHON_ERROR, text)


def _render(renderer: Renderer, request: message.Request) -> message.Reply:
    began_ns = time.monotonic_ns()
    read_out_us = getattr(renderer, 'read_out_us', 0)
    if hasattr(renderer, 'open'):
        renderer.open(request.scene)
    elif request.scene:
        raise RenderFailure(message.EC_BAD_MESSAGE, 'this renderer has no scenes but its own')
    renderer.move(request.position)
    images: List[bytes] = [renderer.render(request, index) for index in range(request.task_count)]
    return message.Reply(
        request.request_id, request.serial, request.version, message.EC_OK, request.task_count, request.width,
        request.height, request.format, (time.monotonic_ns() - began_ns) // 1000, b''.join(images),
        getattr(renderer, 'read_out_us', 0) - read_out_us,
    )  # fmt: skip
