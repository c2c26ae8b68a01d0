// Says something to the page as the studio would, between what the studio itself says.

/** The bytes of a value in MessagePack: maps, lists, texts and whole numbers from zero. */
function pack(value) {
  if (typeof value === "string") {
    const text = Buffer.from(value);
    return Buffer.concat([Buffer.from([0xd9, text.length]), text]);
  }
  if (typeof value === "number") {
    const number = Buffer.alloc(9);
    number[0] = 0xcf;
    number.writeBigUInt64BE(BigInt(value), 1);
    return number;
  }
  const size = (mark, length) => Buffer.from([mark, length >> 8, length & 255]);
  if (Array.isArray(value)) return Buffer.concat([size(0xdc, value.length), ...value.map(pack)]);
  const entries = Object.entries(value);
  return Buffer.concat([size(0xde, entries.length), ...entries.flat().map(pack)]);
}

/** `TokensSoFar`, as protocol/README.md describes it. */
export const tokensSoFar = (fields) => Buffer.concat([Buffer.from([0x50, 0x53, 1, 0x37]), pack(fields)]);

/**
 * Puts a listener between the pages of this browser and the studio. `say(frame)` speaks to the newest page;
 * `sent` counts what pages said.
 */
export async function listenIn(context) {
  const wire = { sent: 0, say: () => {} };
  await context.routeWebSocket(/\/ws\/viewer$/, (page) => {
    const studio = page.connectToServer();
    page.onMessage((message) => {
      wire.sent += 1;
      studio.send(message);
    });
    wire.say = (frame) => page.send(frame);
  });
  return wire;
}
