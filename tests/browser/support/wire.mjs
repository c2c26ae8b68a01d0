// Says something to the page as the studio would, between what the studio itself says.
import { pack } from "./messagepack.mjs";

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
