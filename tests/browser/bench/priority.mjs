// Raises the priority of the page's worker on a busy Linux machine, and reports how long it still had to wait. It needs the
// right to raise priorities (root); without it, it does nothing.
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
    // Linux schedules sessions first and threads within them, and each Chromium process has its own session.
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
