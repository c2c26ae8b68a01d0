"""Robot without hardware: six joints that follow the studio's chunks by the rules of README.md.

`pip install msgpack websockets`, `policy-studio serve`, `python robot.py [ws://HOST:PORT/ws/robot]`.
"""
import itertools, math, sys, time
import msgpack
from websockets.sync.client import connect

HELLO, OBSERVATION, REPORT, CHUNK, INSTRUCTION, STOP, RELEASE = 0x01, 0x02, 0x03, 0x12, 0x13, 0x14, 0x15
RATE_HZ, MAX_STEP = 30, 5.0
LIMITS = {"shoulder_pan": (-110.0, 110.0), "shoulder_lift": (-100.0, 100.0), "elbow_flex": (-97.0, 97.0),
          "wrist_flex": (-100.0, 115.0), "wrist_roll": (-160.0, 160.0), "gripper": (0.0, 100.0)}
JOINTS = [{"name": name, "unit": "percent" if name == "gripper" else "deg", "min": low, "max": high}
          for name, (low, high) in LIMITS.items()]
CAMERAS = [{"name": name, "width": 160, "height": 120} for name in ("overview", "wrist")]
VIEWS = [{**camera, "encoding": "rgb8", "data": bytes(160 * 120 * 3)} for camera in CAMERAS]

def frame(kind, **fields):
    return b"PS\x01" + bytes([kind]) + msgpack.packb(fields)

def micros():
    return time.monotonic_ns() // 1000

def run(url):
    # `since` is the start of the running chunk, or the time of the last stop or release. Older chunks are refused.
    state, chunk, since, arrived, stopped = [0.0, 0.0, 0.0, 60.0, 0.0, 50.0], None, 0, 0, False
    instruction, began, clamped, refused = "", micros(), 0, 0
    with connect(url) as studio:
        studio.send(frame(HELLO, name="python-arm", tag="policy_studio_sim", joints=JOINTS, cameras=CAMERAS,
                          control_rate_hz=float(RATE_HZ), simulated=True))
        for tick in itertools.count(1):
            due = time.monotonic() + 1 / RATE_HZ
            while (wait := due - time.monotonic()) > 0:
                try:
                    data = studio.recv(timeout=wait)
                except TimeoutError:
                    break
                kind, body, now = data[3], msgpack.unpackb(data[4:]), micros()
                if kind == CHUNK:
                    valid = (not stopped and since <= body["starts_at_micros"] <= now < body["valid_until_micros"]
                             and len(body["actions"]) == body["rows"] * len(state) and body["dims"] == len(state)
                             and all(map(math.isfinite, body["actions"])))
                    if valid:
                        chunk, since, arrived = body, body["starts_at_micros"], now
                    refused += not valid
                elif kind == INSTRUCTION:
                    instruction, began, chunk = body["text"], now, chunk if body["text"] else None
                elif kind in (STOP, RELEASE):
                    stopped, since, chunk = kind == STOP, now, None
            now = micros()
            if chunk and (now >= chunk["valid_until_micros"] or now - arrived > 300_000):
                chunk = None
            first = round((now - since) * 1e-6 * RATE_HZ) * len(state)
            targets = chunk["actions"][first : first + len(state)] if chunk else []
            for joint, (target, (low, high)) in enumerate(zip(targets, LIMITS.values())):
                step = min(max(target, low), high) - state[joint]
                state[joint] += min(max(step, -MAX_STEP), MAX_STEP)
                clamped += abs(state[joint] - target) > 1e-3
            if tick % 3 == 0:  # Ten observations and reports per second; the protocol requires five and one.
                studio.send(frame(OBSERVATION, sequence=tick // 3, captured_at_micros=micros(), state=state,
                                  commanded=state, views=VIEWS))
                studio.send(frame(REPORT, at_micros=now, instruction=instruction, holding=not targets, stopped=stopped,
                                  task="unknown" if instruction else "idle", task_secs=(now - began) * 1e-6,
                                  ticks=tick, late_ticks=0, clamped=clamped, refused_chunks=refused))

if __name__ == "__main__":
    run(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/ws/robot")
