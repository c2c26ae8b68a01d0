// Puts the page's worker before whatever else a busy Linux machine does, and tells how long it had to wait all the
// same. Needs the right to raise priorities (root). Elsewhere nothing is raised and nothing is told.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";

const read = (file) => readFileSync(file, "utf8").trim();
const threads = (pid) => readdirSync(`/proc/${pid}/task`).map((tid) => `/proc/${pid}/task/${tid}`);

/** A process and all below it. Some may end meanwhile. */
function family(pid) {
  try {
    const children = threads(pid).flatMap((thread) => read(`${thread}/children`).split(" ").filter(Boolean));
    return [pid, ...children.flatMap((child) => family(Number(child)))];
  } catch {
    return [];
  }
}

/** Raises our own browser's process that has the worker. `waited()` then says how long the worker has run and waited. */
export function raiseWorker() {
  const isWorker = (thread) => read(`${thread}/comm`).startsWith("DedicatedWorker");
  const pid = process.platform === "linux" ? family(process.pid).find((one) => threads(one).some(isWorker)) : undefined;
  if (!pid) return null;
  try {
    // Linux weighs sessions first and threads within them, and Chromium's processes are sessions of their own.
    writeFileSync(`/proc/${pid}/autogroup`, "-20");
    for (const thread of threads(pid)) setPriority(Number(thread.split("/").at(-1)), -20);
  } catch (error) {
    console.log(`priorities stay as they are: ${error.message}`);
  }
  const worker = threads(pid).find(isWorker);
  const millis = () => read(`${worker}/schedstat`).split(" ").map((nanos) => Number(nanos) / 1e6);
  const [ranBefore, waitedBefore] = millis();
  return {
    waited() {
      const [ran, waited] = millis();
      return { ran: ran - ranBefore, waited: waited - waitedBefore };
    },
  };
}
