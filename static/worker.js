// Loads the compute module into a Web Worker and reports to the page how much of it has arrived.
// Everything else is Rust: see wasm/.
import init, { start } from "./studio-worker.js";

const response = await fetch(new URL("./studio-worker_bg.wasm", import.meta.url));
if (!response.ok) {
  throw new Error(`studio-worker_bg.wasm: the studio answered ${response.status}`);
}

let received = 0;
let reportedAt = 0;
const counted = response.body.pipeThrough(
  new TransformStream({
    transform(chunk, controller) {
      received += chunk.byteLength;
      controller.enqueue(chunk);
      if (performance.now() - reportedAt > 100) {
        reportedAt = performance.now();
        postMessage({ received });
      }
    },
  }),
);

// A new response, so that the module is compiled while it arrives.
const module = await init({
  module_or_path: new Response(counted, { headers: { "Content-Type": "application/wasm" } }),
});
// Before anything else and only once: see wasm/build.rs.
module.__wasm_call_ctors();
start();
