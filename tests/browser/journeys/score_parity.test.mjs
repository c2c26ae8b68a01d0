// The scorer in the tab and the scorer on the command line give the same numbers for the same frames, on the CPU and on
// WebGPU.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { launch, open } from "../support/browser.mjs";
import { pack, unpack } from "../support/messagepack.mjs";
import { png } from "../support/png.mjs";
import { startStudio } from "../support/studio.mjs";
import { pixels, recordRobot } from "../support/video.mjs";

const run = promisify(execFile);
const [COUNT, FPS, WIDTH, HEIGHT] = [37, 10, 160, 120];
const OTHER = "hold the gripper where it is";
// A software adapter compiles a shader for every kind and shape of operation.
const MOST_MILLIS = { cpu: 120_000, webgpu: 900_000 };
const TOLERANCE = 1e-3;

let studio, browser, frames, instruction, expected;

/** What the command line says of the frames. */
async function native(scorer) {
  const folder = await mkdtemp(path.join(tmpdir(), "studio-score-"));
  try {
    await Promise.all(frames.map((rgb, index) =>
      writeFile(path.join(folder, `${String(index).padStart(3, "0")}.png`), png(WIDTH, HEIGHT, rgb))));
    const { stdout } = await run(process.env.POLICY_STUDIO, [
      "score", "--scorer", scorer, "--frames", folder, "--fps", String(FPS), "--instruction", instruction,
      "--other-instruction", OTHER, "--prefixes", "6", "--device", "cpu", "--json",
    ]);
    return JSON.parse(stdout);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

before(async () => {
  // Images of the built-in robot, which the scorer was trained on. On other images its scores hardly vary.
  const simulated = await startStudio();
  try {
    const recorded = await recordRobot(simulated.url);
    instruction = recorded.instruction;
    frames = await pixels(recorded, COUNT, WIDTH, HEIGHT);
  } finally {
    await simulated.stop();
  }
  studio = await startStudio("--no-sim");
  expected = await native(path.resolve(import.meta.dirname, "../../../models/nano/qwen3vl"));
  browser = await launch();
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await studio?.stop();
});

/** A worker of the page's own, asked without the page. */
async function worker(page) {
  await page.evaluate(() => {
    globalThis.heard = [];
    globalThis.own = new Worker("worker.js", { type: "module" });
    globalThis.own.onmessage = ({ data }) => {
      if (data instanceof Uint8Array) globalThis.heard.push(btoa(String.fromCharCode(...data)));
    };
    globalThis.own.onerror = ({ message }) => globalThis.heard.push(`!${message}`);
  });
  return {
    say: (message) => page.evaluate((base64) => {
      globalThis.own.postMessage(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
    }, pack(message).toString("base64")),
    /** Waits for a message that `wanted` makes something of. */
    async hear(what, wanted, millis) {
      const deadline = Date.now() + millis;
      while (Date.now() < deadline) {
        for (const heard of await page.evaluate(() => globalThis.heard.splice(0))) {
          if (heard.startsWith("!")) throw new Error(heard);
          const found = wanted(unpack(Uint8Array.from(Buffer.from(heard, "base64"))));
          if (found !== undefined) return found;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error(`${what}: nothing in ${millis} ms`);
    },
  };
}

/** The curves of the same frames by a scorer on `device`. */
async function inTab(page, device) {
  const { say, hear } = await worker(page);
  const kind = device === "cpu" ? "cpu" : "webgpu";
  await hear("the worker", (message) => (message === "Started" ? true : undefined), 60_000);
  await say({ Choose: kind });
  await hear(`${device} is chosen`, ({ Devices }) => {
    const own = Devices?.devices.find((known) => known.kind === kind);
    if (own?.verdict?.Refused || own?.verdict?.Unavailable) throw new Error(JSON.stringify(own.verdict));
    return Devices?.chosen === kind && Devices.chosen_by_visitor ? true : undefined;
  }, MOST_MILLIS[device]);
  await say({ LoadScorer: { url: `${studio.url}/api/scorer`, precision: "f32" } });
  const ready = await hear("the scorer", ({ Scorer }) => {
    if (Scorer?.Refused || Scorer?.Failed) throw new Error(JSON.stringify(Scorer));
    return Scorer?.Ready;
  }, MOST_MILLIS[device]);
  assert.equal(ready.computed_on, kind);
  await say({ Score: {
    job: 1, instruction, other_instruction: OTHER, fps: FPS, frames: COUNT, profile: "aligned", prefixes: "6",
  } });
  for (const [index, rgb] of frames.entries()) {
    if (index % (FPS / 2) === 0 || index === COUNT - 1) {
      await say({ ScoreFrame: { job: 1, index, width: WIDTH, height: HEIGHT, rgb } });
    }
  }
  await say({ ScoreClose: { job: 1 } });
  const outcome = await hear("the score", ({ Score }) => Score?.ended?.outcome, MOST_MILLIS[device]);
  assert.ok(outcome.scored, JSON.stringify(outcome));
  return { ready, report: outcome.scored };
}

for (const device of ["cpu", "webgpu"]) {
  test(`the scorer in the tab equals the one on the command line on ${device}`, { timeout: 3 * MOST_MILLIS[device] }, async () => {
    const page = await open(browser, `${studio.url}/healthz`);
    try {
      const { ready, report } = await inTab(page, device);
      const curves = Object.fromEntries(report.curves.map((curve) => [curve.kind, curve]));
      const pairs = [
        [curves.instruction.log_probs, expected.log_probs],
        [curves.instruction.false_log_probs, expected.false_log_probs],
        [curves.frozen.log_probs, expected.static_log_probs],
        ...expected.controls.map((control) => [curves[control.kind].log_probs, control.log_probs]),
      ];
      assert.equal(pairs.length, 5);
      let worst = 0;
      for (const [found, wanted] of pairs) {
        assert.equal(found.length, 6);
        found.forEach((value, index) => {
          worst = Math.max(worst, Math.abs(value - wanted[index]));
        });
      }
      console.log(`${device}: largest difference ${worst.toExponential(1)}, ${ready.fetched_bytes} bytes fetched, `
        + `${(ready.memory_bytes / 1e6).toFixed(0)} MB of memory, ${(report.millis / 1e3).toFixed(1)} s`);
      assert.ok(worst <= TOLERANCE, `${worst}`);
      // Numbers that do not depend on the frames would agree as well.
      assert.ok(expected.log_probs[5] > expected.log_probs[0] + 0.1, `${instruction}: ${expected.log_probs}`);
    } finally {
      await page.close();
    }
  });
}
