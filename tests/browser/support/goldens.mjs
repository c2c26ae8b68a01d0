// The goldens' comparison (tests/parity, built for wasm) in a Web Worker of the system's Chromium.
import { createServer } from "node:http";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";

const GOLDENS = path.resolve(import.meta.dirname, "../../goldens");
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };

/** A server of this folder's worker, the built module, and the goldens; `url` and `close()`. */
export async function serveGoldens() {
  const built = process.env.PARITY;
  if (!built) throw new Error("PARITY names no folder; `cargo xtask test browser` builds the module and sets it");
  const roots = { "/goldens/": GOLDENS, "/built/": built, "/worker/": import.meta.dirname };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://127.0.0.1");
    if (pathname === "/") return response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>goldens</title>");
    if (pathname === "/favicon.ico") return response.writeHead(204).end();
    const root = Object.keys(roots).find((prefix) => pathname.startsWith(prefix));
    const file = root && path.resolve(roots[root], `./${pathname.slice(root.length)}`);
    // Only files in the three folders are served.
    if (!file?.startsWith(roots[root] + path.sep)) return response.writeHead(404).end();
    try {
      const bytes = await readFile(file);
      response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream" }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Every file that a case may need, as paths under tests/goldens. */
export async function filesOf(name) {
  const entries = await readdir(path.join(GOLDENS, name), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return ["molmoact2/rtc.safetensors", ...files.map((file) => path.relative(GOLDENS, file).split(path.sep).join("/"))];
}

/** The folders that hold a checkpoint and its goldens. */
export async function allCases() {
  const cases = [];
  for (const family of ["molmoact2", "molmo2", "qwen3vl"]) {
    for (const entry of await readdir(path.join(GOLDENS, family), { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const inside = await readdir(path.join(GOLDENS, family, entry.name));
      if (inside.includes("checkpoint") && inside.includes("golden.safetensors")) cases.push(`${family}/${entry.name}`);
    }
  }
  return cases;
}

/**
 * Runs one case on "cpu" or "webgpu" in the page's worker for that device; returns its findings and the duration in seconds.
 * After a device error a promise of WebGPU may never settle, hence the limit.
 */
export async function compare(page, name, device, limitMillis) {
  const paths = await filesOf(name);
  return page.evaluate(({ name, device, paths, limitMillis }) => new Promise((resolve, reject) => {
    window.workers ??= {};
    const worker = (window.workers[device] ??= new Worker("/worker/golden_worker.mjs", { type: "module" }));
    const late = setTimeout(() => reject(new Error(`${name} on ${device}: no answer in ${limitMillis} ms`)), limitMillis);
    worker.onerror = (event) => reject(new Error(`${name} on ${device}: ${event.message}`));
    worker.onmessage = ({ data }) => {
      clearTimeout(late);
      if (data.failed) reject(new Error(data.failed));
      else resolve({ ...JSON.parse(data.report), seconds: data.seconds });
    };
    worker.postMessage({ name, device, paths });
  }), { name, device, paths, limitMillis });
}

/** One line per case: how much was compared, and the worst of each kind. */
export function summary({ case: name, device, all, seconds }) {
  const worst = (measure) => all.filter((f) => f.measure === measure)
    .reduce((most, f) => (f.error === null || f.error > most.error ? { ...f, error: f.error ?? Infinity } : most), { error: 0, stage: "" });
  const exact = all.filter((f) => f.measure === "exact");
  const relative = worst("relative");
  const chunk = worst("absolute");
  return [
    name.padEnd(34), device.padEnd(14),
    `exact ${exact.filter((f) => f.passed).length}/${exact.length}`.padEnd(14),
    `relative ${relative.error.toExponential(1)}`, `(${relative.stage})`.padEnd(42),
    chunk.stage ? `chunk ${chunk.error.toExponential(1)}` : "no chunk".padEnd(13), `${seconds.toFixed(1)} s`.padStart(9),
  ].join(" ");
}
