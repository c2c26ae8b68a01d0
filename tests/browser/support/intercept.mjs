// Sends messages to the page as the studio would, between those of the studio.
import { pack } from "./messagepack.mjs";

const message = (kind, fields) => Buffer.concat([Buffer.from([0x50, 0x53, 1, kind]), pack(fields)]);

// Messages as protocol/README.md describes them.
export const tokensSoFar = (fields) => message(0x37, fields);
export const heartbeat = (fields) => message(0x3b, fields);
export const errorMessage = (fields) => message(0x7f, fields);
/** A message of another protocol version. */
export const otherVersion = () => Buffer.from([0x50, 0x53, 2, 0x31, 0x80]);

/**
 * Intercepts the messages between the pages of this browser and the studio. `say(frame)` sends to the newest page,
 * `hangUp()` closes its socket. `sent` counts messages of pages except heartbeat echoes. `change(frame)` may change or drop a
 * message of the studio.
 */
export async function intercept(context) {
  const link = { sent: 0, say: () => {}, hangUp: () => {}, change: (frame) => frame };
  await context.routeWebSocket(/\/ws\/viewer$/, (page) => {
    const studio = page.connectToServer();
    page.onMessage((message) => {
      if (message[3] !== 0x2a) link.sent += 1;
      studio.send(message);
    });
    studio.onMessage((frame) => {
      const changed = link.change(frame);
      if (changed) page.send(changed);
    });
    link.say = (frame) => page.send(frame);
    link.hangUp = () => page.close();
  });
  return link;
}
