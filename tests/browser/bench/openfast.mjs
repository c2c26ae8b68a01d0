// Speed of a browser that decodes and encodes action tokens, next to the Python reference in the same minute.
//
//   node bench/openfast.mjs            from tests/browser, with POLICY_STUDIO naming the binary if it is not on the PATH
//
// The page times its own worker (medians of short rounds; see wasm/src/codec_timing.rs). When POLICY_STUDIO_PYTHON names a
// Python with lerobot 0.6.1, the reference (models/openfast/benches/reference/reference.py) times the same motions
// with the same tokenizer. The two alternate for OPENFAST_TURNS turns (5). The result is the median turn of each, and the
// lowest ratio of a turn, in microseconds per chunk.
//
// The reference measures processor time, but a page sees only the clock, so other load on the machine slows only the page's
// side. OPENFAST_FIRST=1 raises the worker's priority where permitted, and reports how long it waited (priority.mjs).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { eventually, launch, open, part } from "../support/browser.mjs";
import { startStudio } from "../support/studio.mjs";
import { raiseWorker } from "./priority.mjs";

const RUNS = [[16, 6], [30, 7], [50, 14]].flatMap(([rows, dims]) => [1, 256].map((batch) => ({ rows, dims, batch })));
const TURNS = Number(process.env.OPENFAST_TURNS ?? 5);
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

/** The motions of wasm/src/codec_timing.rs, `[batch, rows, dims]`. */
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

/** The reference, asked line by line. `turn()` times all RUNS, in their order. */
async function startReference(python, folder) {
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
  const turn = async () => {
    const found = [];
    for (const run of RUNS) {
      const file = path.join(folder, `${run.rows}x${run.dims}x${run.batch}.f32`);
      await writeFile(file, motions(run));
      // On an error it falls back to zeros and writes a log line, which would be timed too.
      const before = said;
      await ask({ do: "load", path: file, horizon: run.rows, dims: run.dims });
      const question = { batch: run.batch, singles: 1, seconds: 0.5 };
      const { seconds: encode } = await ask({ do: "encode", ...question });
      const { seconds: decode } = await ask({ do: "decode", ...question });
      if (said !== before) throw new Error(`the reference could not read its own tokens:\n${said}`);
      found.push({ ...run, encode_micros: encode * 1e6, decode_micros: decode * 1e6 });
    }
    return found;
  };
  const stop = async () => {
    child.stdin.end();
    await once(child, "exit");
  };
  return { turn, stop };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Of one run: what each turn took in this direction, in microseconds. */
const each = (turns, run, what) => turns.map((turn) => turn.find((timing) => key(timing) === key(run))[what]);

function print(pageTurns, referenceTurns) {
  const micros = (value) => value.toFixed(value < 10 ? 2 : 1).padStart(10);
  const beside = referenceTurns.length > 0;
  console.log("chunk    at once  tokens |   reads    writes" + (beside ? " | reference reads, writes |  times faster  (lowest of a turn)" : ""));
  for (const run of RUNS) {
    const [tokens] = each(pageTurns, run, "tokens");
    const both = ["decode_micros", "encode_micros"].map((what) => {
      const page = each(pageTurns, run, what);
      const reference = beside ? each(referenceTurns, run, what) : page;
      const lowest = Math.min(...page.map((value, turn) => reference[turn] / value));
      return { page: median(page), reference: median(reference), lowest };
    });
    let line = `${`${run.rows}x${run.dims}`.padEnd(8)} ${String(run.batch).padStart(7)} ${tokens.toFixed(1).padStart(7)} |`;
    line += both.map(({ page }) => micros(page)).join("");
    if (beside) {
      line += ` |${both.map(({ reference }) => micros(reference)).join("")}     |`;
      line += both.map(({ page, reference, lowest }) => `${(reference / page).toFixed(0).padStart(5)}× (${lowest.toFixed(0)}×)`).join("");
    }
    console.log(line);
  }
  if (!beside) console.log("Set POLICY_STUDIO_PYTHON to a Python with lerobot 0.6.1 for the reference's times.");
}

const folder = await mkdtemp(path.join(tmpdir(), "openfast-"));
const studio = await startStudio("--no-sim");
const browser = await launch();
try {
  await download(studio.url, folder);
  const page = await open(browser, studio.url);
  // A WebGPU adapter that is still being tested would keep the cores busy.
  await eventually("every device tried", () => part(page, "compute-device").getAttribute("data-settled"), (v) => v === "true", 180_000);
  const python = process.env.POLICY_STUDIO_PYTHON;
  const reference = python ? await startReference(python, folder) : null;
  const [pageTurns, referenceTurns] = [[], []];
  const load = [loadavg()[0]];
  const worker = process.env.OPENFAST_FIRST ? raiseWorker() : null;
  for (let turn = 0; turn < TURNS; turn++) {
    pageTurns.push(await timePage(page));
    if (reference) referenceTurns.push(await reference.turn());
    load.push(loadavg()[0]);
  }
  await reference?.stop();
  print(pageTurns, referenceTurns);
  console.log(`${TURNS} turns; load of the machine ${Math.min(...load).toFixed(1)} to ${Math.max(...load).toFixed(1)} on ${cpus().length} processors`);
  if (worker) {
    const { ran, waited } = worker.waited();
    console.log(`the worker ran ${(ran / 1e3).toFixed(1)} s and waited ${(waited / 1e3).toFixed(2)} s for a processor`);
  }
  if (page.problems.length) throw new Error(page.problems.join("\n"));
} finally {
  await browser.close();
  await studio.stop();
  await rm(folder, { recursive: true });
}
