// A random policy for the simulated robot that reasons about depth, made by the binary itself.
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const BINARY = process.env.POLICY_STUDIO ?? "policy-studio";
const ROOT = path.resolve(import.meta.dirname, "../../..");
const NANO = path.join(ROOT, "models/nano/molmoact2");
const run = promisify(execFile);

/** `folder` holds the checkpoint, `remove()` takes it away. */
export async function makeThink() {
  const parent = await mkdtemp(path.join(tmpdir(), "studio-think-"));
  const folder = path.join(parent, "random-think");
  await run(BINARY, [
    "synthesise", folder, "--stored", "f32", "--seed", "6",
    "--config", path.join(ROOT, "tests/checkpoints/think.json"),
    "--stats", path.join(NANO, "norm_stats.json"),
  ]);
  await cp(path.join(NANO, "openfast"), path.join(folder, "openfast"), { recursive: true });
  return { folder, remove: () => rm(parent, { recursive: true, force: true }) };
}

/** A `.npy` file of int64. */
async function npy(file, values) {
  const header = `{'descr': '<i8', 'fortran_order': False, 'shape': (${values.length},), }\n`;
  const head = Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), Buffer.alloc(2), Buffer.from(header)]);
  head.writeUInt16LE(header.length, 8);
  const body = Buffer.alloc(values.length * 8);
  values.forEach((value, i) => body.writeBigInt64LE(BigInt(value), i * 8));
  await writeFile(file, Buffer.concat([head, body]));
}

/** A tensor of a safetensors file as 32-bit floats. */
async function floats(file, name) {
  const bytes = await readFile(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const { data_offsets: [from, to] } = JSON.parse(bytes.subarray(8, 8 + length).toString())[name];
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset + 8 + length + from, bytes.byteOffset + 8 + length + to));
}

/**
 * What `act` draws of these codes. It is given them as those of the call before with the same picture, so that all of them are
 * replayed.
 */
export async function drawNatively(folder, codes) {
  const parent = await mkdtemp(path.join(tmpdir(), "studio-draw-"));
  const at = (name) => path.join(parent, name);
  // A grey pixel.
  const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNoaGgAAAMEAYFL09IQAAAAAElFTkSuQmCC";
  await writeFile(at("grey.png"), Buffer.from(png, "base64"));
  await npy(at("codes.npy"), codes);
  await run(BINARY, [
    "act", "--device", "cpu", "--policy", folder, "--image", at("grey.png"), "--image", at("grey.png"),
    "--state", "0 0 0 0 0 0", "--task", "look", "--depth", "adaptive", "--previous-image", at("grey.png"),
    "--previous-depth", at("codes.npy"), "--dump", at("dump.safetensors"), "--depth-image", at("depth.png"),
  ]);
  const picture = await floats(at("dump.safetensors"), "depth_picture");
  await rm(parent, { recursive: true, force: true });
  return picture;
}
