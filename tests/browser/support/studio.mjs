// Starts the real binary on a free port and returns its URL.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

const BINARY = process.env.POLICY_STUDIO ?? "policy-studio";
const START_TIMEOUT_MILLIS = 120_000;

/** Runs `policy-studio` with these arguments; its output is kept for the failure message. */
function run(args) {
  const child = spawn(BINARY, args, { stdio: ["ignore", "pipe", "pipe"] });
  child.log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      child.log = (child.log + chunk).slice(-20_000);
    });
  }
  return child;
}

async function waitFor(child, pattern) {
  const deadline = Date.now() + START_TIMEOUT_MILLIS;
  while (Date.now() < deadline) {
    const found = child.log.match(pattern);
    if (found) return found;
    if (child.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${BINARY} did not say ${pattern}:\n${child.log}`);
}

async function end(child, signal = "SIGINT") {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  const late = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await once(child, "exit");
  clearTimeout(late);
}

/** A running studio with a data folder of its own, so that no journey meets the latches of another. */
export async function startStudio(...args) {
  const data = await newDataFolder();
  const studio = await startStudioIn(data, ...args);
  const stop = async () => {
    await studio.stop();
    await rm(data, { recursive: true, force: true });
  };
  return { ...studio, stop };
}

export const newDataFolder = () => mkdtemp(path.join(tmpdir(), "studio-data-"));

/** A running studio that keeps its data there: `url`, `stop()`, `kill()` without a goodbye, and `log()` for diagnosis. */
export async function startStudioIn(data, ...args) {
  const child = run(["serve", "--listen", "127.0.0.1:0", "--data", data, "--device", "cpu", ...args]);
  const [url] = await waitFor(child, /http:\/\/127\.0\.0\.1:\d+/);
  return { url, log: () => child.log, stop: () => end(child), kill: () => end(child, "SIGKILL") };
}

/** A simulated robot as a process of its own; `kill()` gives it no chance to say goodbye. */
export async function startSim(studioUrl, ...args) {
  const child = run(["sim", "--connect", studioUrl, ...args]);
  return { log: () => child.log, kill: () => end(child, "SIGKILL"), stop: () => end(child) };
}
