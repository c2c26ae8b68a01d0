// A short independent implementation of the action codec, to compare with what the page shows.

/** The character of each byte in a byte-level vocabulary: printable bytes stand for themselves. */
function bytesOfCharacters() {
  const printable = [[33, 126], [161, 172], [174, 255]];
  const bytes = new Map();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const itself = printable.some(([from, to]) => from <= byte && byte <= to);
    bytes.set(String.fromCodePoint(itself ? byte : next++), byte);
  }
  return bytes;
}

/** A decoder from the two files of a tokenizer that the studio at `url` serves. */
export async function openCodec(url) {
  const read = async (name) => (await fetch(`${url}/api/policy/openfast/${name}`)).json();
  const tokenizer = await read("tokenizer.json");
  const config = await read("processor_config.json");
  const pieces = new Map(Object.entries(tokenizer.model.vocab).map(([piece, id]) => [id, piece]));
  const bytes = bytesOfCharacters();
  return {
    scale: config.scale,
    /** Quantised coefficients that the ids stand for, lowest frequency first. */
    coefficients(ids) {
      const all = ids.flatMap((id) => [...pieces.get(id)].map((character) => bytes.get(character)));
      return [...new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(all))].map(
        (character) => character.codePointAt(0) + config.min_token);
    },
    /** The chunk of these coefficients, `[rows][dims]`, normalised; what is missing counts as zero. */
    chunk(coefficients, rows, dims) {
      const at = (k, d) => (coefficients[k * dims + d] ?? 0) / config.scale;
      return Array.from({ length: rows }, (_, t) => Array.from({ length: dims }, (_, d) => {
        let sum = at(0, d) * Math.sqrt(1 / rows);
        for (let k = 1; k < rows; k++) {
          sum += at(k, d) * Math.sqrt(2 / rows) * Math.cos((Math.PI * (2 * t + 1) * k) / (2 * rows));
        }
        return sum;
      }));
    },
  };
}
