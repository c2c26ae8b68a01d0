// How fast a browser reads and writes action tokens, beside the reference Python in the same minute.
//
//   node bench/openfast.mjs            from tests/browser, with POLICY_STUDIO naming the binary if it is not on the PATH
//
// The page times its own worker (medians of rounds; see wasm/src/timing.rs). When POLICY_STUDIO_PYTHON names a
// Python with lerobot 0.6.1, the reference times the same motions with the same tokenizer, first alone and then,
// so that neither has the quieter moment, the page once more; the better of the page's two is not taken, but their
// mean. Both columns are microseconds per chunk.
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
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

function timeReference(python, folder) {
  const script = path.join(import.meta.dirname, "reference.py");
  const run = spawnSync(python, [script, folder, JSON.stringify(RUNS)], { encoding: "utf8", env: { ...process.env, OMP_NUM_THREADS: "1" } });
  if (run.status !== 0) throw new Error(`${python} ${script} failed:\n${run.stderr}`);
  return JSON.parse(run.stdout.trim().split("\n").at(-1));
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
  const reference = python ? timeReference(python, folder) : null;
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
