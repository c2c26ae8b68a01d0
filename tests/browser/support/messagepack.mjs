// The part of MessagePack that page, worker and studio use.

/** The bytes of a value: nothing, truth values, maps, lists, texts, byte strings and numbers. */
export function pack(value) {
  if (value === null) return Buffer.from([0xc0]);
  if (typeof value === "boolean") return Buffer.from([value ? 0xc3 : 0xc2]);
  if (value instanceof Uint8Array) {
    const length = Buffer.alloc(5);
    length[0] = 0xc6;
    length.writeUInt32BE(value.length, 1);
    return Buffer.concat([length, value]);
  }
  if (typeof value === "string") {
    const text = Buffer.from(value);
    return Buffer.concat([Buffer.from([0xda, text.length >> 8, text.length & 255]), text]);
  }
  if (typeof value === "number") {
    const number = Buffer.alloc(9);
    if (!Number.isSafeInteger(value) || value < 0) {
      number[0] = 0xcb;
      number.writeDoubleBE(value, 1);
      return number;
    }
    number[0] = 0xcf;
    number.writeBigUInt64BE(BigInt(value), 1);
    return number;
  }
  const size = (mark, length) => Buffer.from([mark, length >> 8, length & 255]);
  if (Array.isArray(value)) return Buffer.concat([size(0xdc, value.length), ...value.map(pack)]);
  const entries = Object.entries(value);
  return Buffer.concat([size(0xde, entries.length), ...entries.flat().map(pack)]);
}

/** The value of these bytes; byte strings come as `Uint8Array`. */
export function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (count) => {
    at += count;
    return at - count;
  };
  const uint = (size) => {
    const from = take(size);
    if (size === 8) return Number(view.getBigUint64(from));
    return size === 4 ? view.getUint32(from) : size === 2 ? view.getUint16(from) : view.getUint8(from);
  };
  const int = (size) => {
    const from = take(size);
    if (size === 8) return Number(view.getBigInt64(from));
    return size === 4 ? view.getInt32(from) : size === 2 ? view.getInt16(from) : view.getInt8(from);
  };
  const raw = (count) => {
    const from = take(count);
    return bytes.slice(from, from + count);
  };
  const text = (count) => new TextDecoder().decode(raw(count));
  const list = (count) => Array.from({ length: count }, read);
  const map = (count) => Object.fromEntries(Array.from({ length: count }, () => [read(), read()]));
  function read() {
    const mark = uint(1);
    if (mark < 0x80) return mark;
    if (mark < 0x90) return map(mark & 15);
    if (mark < 0xa0) return list(mark & 15);
    if (mark < 0xc0) return text(mark & 31);
    if (mark >= 0xe0) return mark - 256;
    switch (mark) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return raw(uint(1));
      case 0xc5: return raw(uint(2));
      case 0xc6: return raw(uint(4));
      case 0xca: return view.getFloat32(take(4));
      case 0xcb: return view.getFloat64(take(8));
      case 0xcc: return uint(1);
      case 0xcd: return uint(2);
      case 0xce: return uint(4);
      case 0xcf: return uint(8);
      case 0xd0: return int(1);
      case 0xd1: return int(2);
      case 0xd2: return int(4);
      case 0xd3: return int(8);
      case 0xd9: return text(uint(1));
      case 0xda: return text(uint(2));
      case 0xdb: return text(uint(4));
      case 0xdc: return list(uint(2));
      case 0xdd: return list(uint(4));
      case 0xde: return map(uint(2));
      case 0xdf: return map(uint(4));
      default: throw new Error(`byte ${mark} at ${at - 1} is no MessagePack`);
    }
  }
  return read();
}
