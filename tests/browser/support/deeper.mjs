// A slow checkpoint made from a quick one by repeating its layers.
import { cp, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

const LAYER = /^(.*transformer\.blocks\.)(\d+)(\..*)$/;

/** Copies the folder `from` with its language model `times` as deep; gives the new folder. */
export async function deeper(from, times) {
  const folder = path.join(await mkdtemp(path.join(tmpdir(), "studio-deep-")), `deep-${times}`);
  await cp(from, folder, { recursive: true });

  const file = path.join(folder, "config.json");
  const config = JSON.parse(await readFile(file, "utf8"));
  const layers = config.text_config.num_hidden_layers;
  config.text_config.num_hidden_layers = layers * times;
  await writeFile(file, JSON.stringify(config));

  const weights = path.join(folder, "model.safetensors");
  const bytes = await readFile(weights);
  const begin = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, begin).toString());
  const parts = [];
  let end = 0;
  const deep = {};
  const add = (name, tensor) => {
    const [from, to] = tensor.data_offsets;
    parts.push(bytes.subarray(begin + from, begin + to));
    deep[name] = { ...tensor, data_offsets: [end, end + to - from] };
    end += to - from;
  };
  for (const [name, tensor] of Object.entries(header)) {
    const layer = name.match(LAYER);
    if (name === "__metadata__") deep[name] = tensor;
    else if (layer) {
      for (let copy = 0; copy < times; copy++) add(`${layer[1]}${copy * layers + Number(layer[2])}${layer[3]}`, tensor);
    } else add(name, tensor);
  }
  const text = Buffer.from(JSON.stringify(deep));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  await writeFile(weights, Buffer.concat([size, text, ...parts]));
  return folder;
}
