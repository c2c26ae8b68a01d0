// Fetches the files of a case and runs the module's comparison. Messages are answered one after the other.
import init, { compare_case } from "/built/parity.js";

// Constructors once, as static/worker.js does.
const ready = init().then((module) => module.__wasm_call_ctors());
let last = Promise.resolve();

async function run({ name, device, paths }) {
  await ready;
  const contents = await Promise.all(paths.map(async (path) => {
    const answer = await fetch(`/goldens/${path}`);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  }));
  const started = performance.now();
  const report = await compare_case(name, device, paths, contents);
  return { report, seconds: (performance.now() - started) / 1e3 };
}

self.onmessage = ({ data }) => {
  last = last
    .then(() => run(data))
    .then((answer) => self.postMessage(answer), (error) => self.postMessage({ failed: String(error?.message ?? error) }));
};
