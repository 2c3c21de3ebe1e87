"""A serial line that takes its time: a unit on a pseudo-terminal whose bytes come as fast as the baud rate allows.

`python -m tests.servers.timed_line BAUD BITS` prints a JSON ready line with the port's path, answers reads of holding
registers (register k holds k) until standard input is closed, and then prints by how much (s) the last byte of each
answer was late, since this process had to wait for a processor, and how many requests came before the silence of 3.5
characters was over.
"""

from __future__ import annotations

import json
import os
import select
import sys
import termios
import time
import tty

from tests.servers.rtu_unit import framed

_SPIN = 0.0005
"""Seconds before a byte's time from which on we do not sleep."""


def until(moment: float) -> None:
    while (left := moment - time.perf_counter()) > 0:
        if left > _SPIN:
            time.sleep(left - _SPIN)


def serve(baud: int, bits: int) -> None:
    character = bits / baud
    silence = 3.5 * character if baud <= 19_200 else 0.00175
    master, slave = os.openpty()
    tty.setraw(slave, termios.TCSANOW)
    print(json.dumps({"event": "ready", "path": os.ttyname(slave)}), flush=True)
    early = 0
    late: list[float] = []
    free_at = wrote = 0.0
    heard = b""
    while True:
        ready, _, _ = select.select([master, sys.stdin], [], [])
        if sys.stdin in ready:
            break
        began = time.perf_counter()
        heard += os.read(master, 256)
        if len(heard) < 8:
            continue
        early += began < free_at
        request, heard = heard[:8], b""
        at = began + 8 * character + silence
        first, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        words = b"".join(k.to_bytes(2, "big") for k in range(first, first + count))
        frame = framed(request[:2] + bytes((2 * count,)) + words)
        until(at)
        sent = 0
        while sent < len(frame):
            due = min(len(frame), int((time.perf_counter() - at) / character))
            if due > sent:
                os.write(master, frame[sent:due])
                sent = due
                wrote = time.perf_counter()
            if sent < len(frame):
                until(at + (sent + 1) * character)
        free_at = at + len(frame) * character + silence
        late.append(wrote - at - len(frame) * character)
    print(json.dumps({"late": late, "early": early}), flush=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
