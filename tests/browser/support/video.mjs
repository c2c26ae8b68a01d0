// Real videos: of the simulated robot as viewers see it, and of gray images that encode their own index.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { command, eventually, exampleInstructions, launch, open, seeFrames, taskState } from "./browser.mjs";
import { unpack } from "./messagepack.mjs";

const run = promisify(execFile);
const VIEW_FRAME = 0x33;

async function ffmpeg(...args) {
  await run("ffmpeg", ["-y", "-v", "error", ...args]);
}

async function inFolder(work) {
  const folder = await mkdtemp(path.join(tmpdir(), "studio-video-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Of a scene's examples the one that takes the robot the longest: reaching is over before there are three points. */
export const longest = (instructions) =>
  instructions.find((instruction) => instruction.includes("tray")) ?? instructions.find((instruction) => !instruction.startsWith("reach")) ?? instructions[0];

/**
 * Lets the robot carry out one of its examples and records what viewers see, until it succeeds if it does. Returns the
 * instruction, the images (JPEG) and their rate by the robot's clock [1/s].
 */
export async function recordRobot(url, camera = "overview", attempts = 4) {
  const browser = await launch();
  let pictures = [];
  let instruction;
  await browser.routeWebSocket(/\/ws\/viewer$/, (page) => {
    const studio = page.connectToServer();
    studio.onMessage((message) => {
      if (typeof message !== "string" && message[3] === VIEW_FRAME) {
        const frame = unpack(Uint8Array.from(message.subarray(4)));
        if (frame.view.name === camera) pictures.push({ at: frame.captured_at_micros, jpeg: frame.view.data });
      }
      page.send(message);
    });
  });
  try {
    const page = await open(browser, url);
    await seeFrames(page);
    for (let attempt = 1; ; attempt++) {
      await page.locator('[data-testid="reset-button"]').click();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      // Every scene has different cubes.
      instruction = longest(await exampleInstructions(page));
      await command(page, instruction);
      await eventually("the robot works on it", () => taskState(page), (s) => s === "running" || s === "succeeded");
      pictures = [];
      try {
        await eventually("the task succeeds", () => taskState(page), (s) => s === "succeeded", 20_000);
        break;
      } catch (error) {
        if (attempt === attempts) throw error;
      }
    }
    const seconds = (pictures.at(-1).at - pictures[0].at) / 1e6;
    return { instruction, pictures: pictures.map((picture) => picture.jpeg), fps: Math.round((pictures.length - 1) / seconds) };
  } finally {
    await browser.close();
  }
}

/** A film of these pictures, shown `times` over. */
export const film = ({ pictures, fps }, { type = "webm", times = 1 } = {}) => inFolder(async (folder) => {
  const names = pictures.map((_, index) => path.join(folder, `${String(index).padStart(5, "0")}.jpg`));
  await Promise.all(pictures.map((jpeg, index) => writeFile(names[index], jpeg)));
  const out = path.join(folder, `film.${type}`);
  const codec = type === "webm"
    ? ["-c:v", "libvpx-vp9", "-crf", "12", "-b:v", "0", "-deadline", "realtime", "-cpu-used", "6"]
    : ["-c:v", "libx264", "-crf", "12", "-movflags", "+faststart"];
  await ffmpeg("-stream_loop", String(times - 1), "-framerate", String(fps), "-i", path.join(folder, "%05d.jpg"),
    ...codec, "-pix_fmt", "yuv420p", out);
  return readFile(out);
});

/** `count` of these pictures, evenly from the first to the last, as `[height, width, 3]` bytes. */
export const pixels = ({ pictures }, count, width, height) => inFolder(async (folder) => {
  const even = Array.from({ length: count }, (_, index) => pictures[Math.round((index * (pictures.length - 1)) / (count - 1))]);
  await Promise.all(even.map((jpeg, index) => writeFile(path.join(folder, `${String(index).padStart(5, "0")}.jpg`), jpeg)));
  const out = path.join(folder, "pixels.rgb");
  await ffmpeg("-i", path.join(folder, "%05d.jpg"), "-vf", `scale=${width}:${height}`, "-f", "rawvideo", "-pix_fmt", "rgb24", out);
  const bytes = new Uint8Array(await readFile(out));
  const size = width * height * 3;
  return Array.from({ length: count }, (_, index) => bytes.slice(index * size, (index + 1) * size));
});

/** A film of grey pictures: number `n` is as bright as `greyOf(n)`, from 0 to 255. */
export const greyOf = (index) => 20 + 4 * index;
export const greys = (count, fps) => inFolder(async (folder) => {
  const out = path.join(folder, "greys.webm");
  // Limited range: 16 is black and 235 white.
  await ffmpeg("-f", "lavfi", "-i", `color=black:size=160x120:rate=${fps}:duration=${count / fps},format=yuv420p,`
    + "geq=lum='16+(20+4*N)*219/255':cb=128:cr=128", "-c:v", "libvpx-vp9", "-crf", "4", "-b:v", "0", "-g", "25", out);
  return readFile(out);
});

/** A LeRobot data set (v2.1) of `{ task, frames, bytes }`, as much of one as its episodes can be scored by. */
export async function dataSet(folder, fps, episodes, camera = "observation.images.front") {
  const video = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4";
  const frames = episodes.reduce((sum, episode) => sum + episode.frames, 0);
  const info = {
    codebase_version: "v2.1", robot_type: "so101", fps, total_episodes: episodes.length, total_frames: frames,
    chunks_size: 1000, data_path: "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet", video_path: video,
    features: { [camera]: { dtype: "video", shape: [240, 320, 3], names: ["height", "width", "channels"] } },
  };
  const lines = episodes.map(({ task, frames }, index) => JSON.stringify({ episode_index: index, tasks: [task], length: frames }));
  await mkdir(path.join(folder, "meta"), { recursive: true });
  await mkdir(path.join(folder, "videos/chunk-000", camera), { recursive: true });
  await writeFile(path.join(folder, "meta/info.json"), JSON.stringify(info));
  await writeFile(path.join(folder, "meta/episodes.jsonl"), lines.map((line) => `${line}\n`).join(""));
  await Promise.all(episodes.map(({ bytes }, index) =>
    writeFile(path.join(folder, "videos/chunk-000", camera, `episode_${String(index).padStart(6, "0")}.mp4`), bytes)));
}

/** Drops a file on an element of the page, as a person does. */
export async function drop(page, selector, name, bytes, type) {
  const data = await page.evaluateHandle(async ({ name, base64, type }) => {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    return transfer;
  }, { name, base64: bytes.toString("base64"), type });
  for (const event of ["dragenter", "dragover", "drop"]) {
    await page.dispatchEvent(selector, event, { dataTransfer: data });
  }
}
