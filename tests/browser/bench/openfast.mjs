// How fast a browser reads and writes action tokens, beside the reference Python in the same minute.
//
//   node bench/openfast.mjs            from tests/browser, with POLICY_STUDIO naming the binary if it is not on the PATH
//
// The page times its own worker (medians of rounds; see wasm/src/timing.rs). When POLICY_STUDIO_PYTHON names a
// Python with lerobot 0.6.1, the reference (models/openfast/benches/reference/reference.py) times the same motions
// with the same tokenizer, between two timings of the page, whose mean counts. Microseconds per chunk.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { eventually, launch, open, part } from "../support/browser.mjs";
import { startStudio } from "../support/studio.mjs";

const RUNS = [[16, 6], [30, 7], [50, 14]].flatMap(([rows, dims]) => [1, 256].map((batch) => ({ rows, dims, batch })));
const key = ({ rows, dims, batch }) => `${rows}x${dims} ${batch}`;

/** The tokenizer's two files, as the studio serves them. */
async function download(url, folder) {
  for (const name of ["tokenizer.json", "processor_config.json"]) {
    const answer = await fetch(`${url}/api/policy/openfast/${name}`);
    await writeFile(path.join(folder, name), await answer.text());
  }
}

async function timePage(page) {
  const before = await page.evaluate(() => document.querySelector('[data-testid="codec-times"]')?.dataset.measured ?? "0");
  await part(page, "codec-measure").click();
  await eventually("the timing", () => page.evaluate(
    () => document.querySelector('[data-testid="codec-times"]')?.dataset.measured ?? "0"), (n) => n !== before, 120_000);
  return JSON.parse(await part(page, "codec-times").getAttribute("data-times"));
}

/** The motions of wasm/src/timing.rs, `[batch, rows, dims]`. */
function motions({ rows, dims, batch }) {
  const mask = (1n << 64n) - 1n;
  let state = 0x9e3779b97f4a7c15n;
  const draw = () => {
    state = (state + 0x9e3779b97f4a7c15n) & mask;
    let z = ((state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    z ^= z >> 31n;
    return Number(z >> 40n) / 2 ** 23 - 1;
  };
  const size = Math.sqrt(16 / Math.max(16, rows));
  const chunks = [];
  for (let chunk = 0; chunk < batch; chunk++) {
    const joints = Array.from({ length: dims }, () => [0.6 * draw(), 0.25 * draw(), 0.05 * draw(), 3 * draw()]);
    for (let step = 0; step < rows; step++) {
      const at = step / rows;
      const blend = at * at * (3 - 2 * at);
      for (const [from, way, sway, phase] of joints) {
        chunks.push(size * (from + way * blend + sway * Math.sin(9 * at + phase)));
      }
    }
  }
  return new Float32Array(chunks);
}

/** Asks the reference line by line: its answers in the order of RUNS. */
async function timeReference(python, folder) {
  const script = path.resolve(import.meta.dirname, "../../../models/openfast/benches/reference/reference.py");
  const child = spawn(python, [script, folder], { stdio: "pipe", env: { ...process.env, OMP_NUM_THREADS: "1" } });
  let said = "";
  child.stderr.on("data", (text) => {
    said = (said + text).slice(-2000);
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (question) => {
    child.stdin.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await answers.next();
    if (done) throw new Error(`${python} ${script} ended; is lerobot 0.6.1 with its molmoact2 policy installed?\n${said}`);
    return JSON.parse(value);
  };
  const found = [];
  for (const run of RUNS) {
    const file = path.join(folder, `${run.rows}x${run.dims}x${run.batch}.f32`);
    await writeFile(file, motions(run));
    // It falls back to zeros with a log line, which would be timed as well.
    const before = said;
    await ask({ do: "load", path: file, horizon: run.rows, dims: run.dims });
    const question = { batch: run.batch, singles: 1, seconds: 0.5 };
    const { seconds: encode } = await ask({ do: "encode", ...question });
    const { seconds: decode } = await ask({ do: "decode", ...question });
    if (said !== before) throw new Error(`the reference could not read its own tokens:\n${said}`);
    found.push({ ...run, encode_micros: encode * 1e6, decode_micros: decode * 1e6 });
  }
  child.stdin.end();
  await once(child, "exit");
  return found;
}

const folder = await mkdtemp(path.join(tmpdir(), "openfast-"));
const studio = await startStudio("--no-sim");
const browser = await launch();
try {
  await download(studio.url, folder);
  const page = await open(browser, studio.url);
  // A WebGPU adapter that is still being tried would keep the cores busy.
  await eventually("every device tried", () => part(page, "compute-device").getAttribute("data-settled"), (v) => v === "true", 180_000);
  const python = process.env.POLICY_STUDIO_PYTHON;
  const first = await timePage(page);
  const reference = python ? await timeReference(python, folder) : null;
  const second = reference ? await timePage(page) : first;
  const micros = (value) => value.toFixed(value < 10 ? 2 : 1).padStart(10);
  console.log("chunk    at once  tokens |   reads    writes" + (reference ? " | reference reads, writes |  times faster" : ""));
  for (const run of RUNS) {
    const find = (list) => list.find((timing) => key(timing) === key(run));
    const [a, b] = [find(first), find(second)];
    const reads = (a.decode_micros + b.decode_micros) / 2;
    const writes = (a.encode_micros + b.encode_micros) / 2;
    let line = `${`${run.rows}x${run.dims}`.padEnd(8)} ${String(run.batch).padStart(7)} ${a.tokens.toFixed(1).padStart(7)} |${micros(reads)}${micros(writes)}`;
    if (reference) {
      const it = find(reference);
      line += ` |${micros(it.decode_micros)}${micros(it.encode_micros)}     |${(it.decode_micros / reads).toFixed(0).padStart(5)}×${(it.encode_micros / writes).toFixed(0).padStart(5)}×`;
    }
    console.log(line);
  }
  if (!reference) console.log("Set POLICY_STUDIO_PYTHON to a Python with lerobot 0.6.1 for the reference's times.");
  if (page.problems.length) throw new Error(page.problems.join("\n"));
} finally {
  await browser.close();
  await studio.stop();
  await rm(folder, { recursive: true });
}
