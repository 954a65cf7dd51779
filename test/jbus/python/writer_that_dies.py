"""A peer that writes one message, and is killed within the next before its n-th line of copying and publishing."""

import argparse
import os
import signal
import sys

from support import jbus

COPYING = (jbus.RingWriter.put.__code__, jbus.RingWriter.publish.__code__)


def die_after(lines: int) -> None:
    """Counts every line that put() and publish() run from now on; the one after the last allowed kills."""
    left = lines

    def on_line(frame, event, _):
        nonlocal left
        if event == 'line':
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return on_line

    sys.settrace(lambda frame, event, _: on_line if frame.f_code in COPYING else None)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ('lines', 'bytes', 'send-id', 'receive-id', 'epoch', 'doorbell-fd'):
        parser.add_argument(f'--{name}', type=int, required=True)
    options = parser.parse_args()
    doorbell = jbus.Doorbell.from_fd(options.doorbell_fd)
    with jbus.Channel.attach(options.send_id, options.receive_id, options.epoch, doorbell) as channel:
        channel.write(1, 1, b'first')
        die_after(options.lines)
        channel.write(1, 2, bytes(options.bytes), 20_000)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == '__main__':
    main()
