// A robot that is not simulated, so that it holds when its operator is gone. It runs in a separate browser.
import { pack } from "./messagepack.mjs";

const message = (kind, fields) => Buffer.concat([Buffer.from([0x50, 0x53, 1, kind]), pack(fields)]);

const JOINTS = [
  ["shoulder_pan", "deg", -110, 110], ["shoulder_lift", "deg", -100, 100], ["elbow_flex", "deg", -97, 97],
  ["wrist_flex", "deg", -100, 115], ["wrist_roll", "deg", -160, 160], ["gripper", "percent", 0, 100],
];
const CAMERAS = ["overview", "wrist"];
const [WIDTH, HEIGHT] = [160, 120];
export const INSTRUCTION = "push the red cube to the left";

const hello = message(0x01, {
  name: "arm",
  tag: "policy_studio_sim",
  joints: JOINTS.map(([name, unit, min, max]) => ({ name, unit, min, max })),
  cameras: CAMERAS.map((name) => ({ name, width: WIDTH, height: HEIGHT })),
  control_rate_hz: 30,
  example_instructions: [INSTRUCTION],
});
const observation = message(0x02, {
  sequence: 0,
  captured_at_micros: 0,
  state: [0, 0, 0, 60, 0, 50],
  commanded: [],
  views: CAMERAS.map((name) => ({ name, encoding: "rgb8", width: WIDTH, height: HEIGHT, data: new Uint8Array(WIDTH * HEIGHT * 3) })),
});
/** Offset of a number that the robot updates: after the field's name and its type byte. */
const place = (name) => observation.indexOf(name) + name.length + 1;

/** Connects to the studio and sends ten observations per second; `chunks()` returns the age of each chunk in milliseconds. */
export async function startRobot(context, studioUrl) {
  const page = await context.newPage();
  // Any page of the studio's origin may open sockets to it.
  await page.goto(`${studioUrl}/healthz`);
  await page.evaluate(({ hello, observation, places, url }) => {
    const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const frame = bytes(observation);
    const numbers = new DataView(frame.buffer);
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    window.chunksAt = [];
    socket.onmessage = ({ data }) => {
      if (new Uint8Array(data)[3] === 0x12) window.chunksAt.push(performance.now());
    };
    socket.onopen = () => {
      socket.send(bytes(hello));
      let sequence = 0n;
      setInterval(() => {
        numbers.setBigUint64(places.sequence, ++sequence);
        numbers.setBigUint64(places.captured, BigInt(Math.round(performance.now() * 1000)));
        socket.send(frame);
      }, 100);
    };
  }, {
    hello: hello.toString("base64"),
    observation: observation.toString("base64"),
    places: { sequence: place("sequence"), captured: place("captured_at_micros") },
    url: `${studioUrl.replace(/^http/, "ws")}/ws/robot`,
  });
  return {
    chunks: () => page.evaluate(() => window.chunksAt.map((at) => performance.now() - at)),
    close: () => page.close(),
  };
}
