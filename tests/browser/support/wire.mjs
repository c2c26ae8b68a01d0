// Says something to the page as the studio would, between what the studio itself says.
import { pack } from "./messagepack.mjs";

const message = (kind, fields) => Buffer.concat([Buffer.from([0x50, 0x53, 1, kind]), pack(fields)]);

// Messages as protocol/README.md describes them.
export const tokensSoFar = (fields) => message(0x37, fields);
export const heartbeat = (fields) => message(0x3b, fields);
export const errorMessage = (fields) => message(0x7f, fields);
/** Of a studio that speaks another version. */
export const otherVersion = () => Buffer.from([0x50, 0x53, 2, 0x31, 0x80]);

/**
 * Puts a listener between the pages of this browser and the studio. `say(frame)` speaks to the newest page, `hangUp()`
 * closes its socket; `sent` counts what pages said, echoes of heartbeats apart; `change(frame)` may change what the studio says or keep it back.
 */
export async function listenIn(context) {
  const wire = { sent: 0, say: () => {}, hangUp: () => {}, change: (frame) => frame };
  await context.routeWebSocket(/\/ws\/viewer$/, (page) => {
    const studio = page.connectToServer();
    page.onMessage((message) => {
      if (message[3] !== 0x2a) wire.sent += 1;
      studio.send(message);
    });
    studio.onMessage((frame) => {
      const changed = wire.change(frame);
      if (changed) page.send(changed);
    });
    wire.say = (frame) => page.send(frame);
    wire.hangUp = () => page.close();
  });
  return wire;
}
