"""A robot in Python: six joints without hardware that follow the studio's chunks as README.md asks of a robot.

`pip install msgpack websockets`, `policy-studio serve`, `python robot.py [ws://HOST:PORT/ws/robot]`.
"""

import math
import sys
import time

import msgpack
from websockets.sync.client import connect

HELLO, OBSERVATION, REPORT, CHUNK, INSTRUCTION, STOP, RELEASE = 0x01, 0x02, 0x03, 0x12, 0x13, 0x14, 0x15
NAMES = ["shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper"]
LIMITS = [(-110.0, 110.0), (-100.0, 100.0), (-97.0, 97.0), (-100.0, 115.0), (-160.0, 160.0), (0.0, 100.0)]
RATE_HZ, MAX_STEP, WIDTH, HEIGHT = 30.0, 5.0, 160, 120


def frame(kind, **fields):
    return b"PS\x01" + bytes([kind]) + msgpack.packb(fields)


def micros():
    return time.monotonic_ns() // 1000


def run(url):
    units = ["deg"] * 5 + ["percent"]
    joints = [{"name": n, "unit": u, "min": low, "max": high} for n, u, (low, high) in zip(NAMES, units, LIMITS)]
    cameras = [{"name": name, "width": WIDTH, "height": HEIGHT} for name in ("overview", "wrist")]
    view = {"encoding": "rgb8", "width": WIDTH, "height": HEIGHT, "data": bytes(WIDTH * HEIGHT * 3)}
    position, chunk, arrived, released, began = [0.0, 0.0, 0.0, 60.0, 0.0, 50.0], None, 0, 0, micros()
    instruction, stopped, ticks, clamped, refused = "", False, 0, 0, 0
    with connect(url) as studio:
        studio.send(frame(HELLO, name="python-arm", tag="policy_studio_sim", joints=joints, cameras=cameras,
                          control_rate_hz=RATE_HZ, simulated=True))
        due = time.monotonic()
        while True:
            while (wait := due - time.monotonic()) > 0:
                try:
                    data = studio.recv(timeout=wait)
                except TimeoutError:
                    break
                kind, body, now = data[3], msgpack.unpackb(data[4:]), micros()
                if kind == CHUNK:  # Refused: while stopped, from before the release, out of order, late, malformed.
                    start = max(released, chunk["starts_at_micros"] if chunk else 0)
                    valid = not stopped and start <= body["starts_at_micros"] <= now < body["valid_until_micros"]
                    valid = valid and body["dims"] == len(NAMES) and len(body["actions"]) == body["rows"] * body["dims"]
                    if valid and all(map(math.isfinite, body["actions"])):
                        chunk, arrived = body, now
                    else:
                        refused += 1
                elif kind == INSTRUCTION:
                    instruction, began = body["text"], now
                    chunk = chunk if instruction else None
                elif kind == STOP:
                    stopped, chunk = True, None
                elif kind == RELEASE:
                    stopped, released = False, now
                else:
                    print(f"kind {kind:#04x}: {body}")
            due, now = max(due + 1 / RATE_HZ, time.monotonic()), micros()
            holding = chunk is None or now >= chunk["valid_until_micros"] or now - arrived > 300_000
            row = 0 if holding else round((now - chunk["starts_at_micros"]) * 1e-6 * RATE_HZ)
            holding = holding or row >= chunk["rows"]
            if not holding:
                wanted = chunk["actions"][row * len(NAMES) : (row + 1) * len(NAMES)]
                for joint, (target, (low, high)) in enumerate(zip(wanted, LIMITS)):
                    step = min(max(min(max(target, low), high) - position[joint], -MAX_STEP), MAX_STEP)
                    position[joint] += step
                    clamped += abs(position[joint] - target) > 1e-3
            ticks += 1
            if ticks % 3 == 0:  # Ten observations and reports per second; five and one are asked for.
                studio.send(frame(OBSERVATION, sequence=ticks // 3, captured_at_micros=micros(), state=position,
                                  commanded=position, views=[{"name": c["name"], **view} for c in cameras]))
                studio.send(frame(REPORT, at_micros=now, instruction=instruction, holding=holding, stopped=stopped,
                                  task="unknown" if instruction else "idle", task_secs=(now - began) * 1e-6,
                                  ticks=ticks, late_ticks=0, clamped=clamped, refused_chunks=refused))


if __name__ == "__main__":
    run(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/ws/robot")
