// Connections between a page and its studio: a link that can fail silently, and reverse proxies as labs run them.
import { once } from "node:events";
import net from "node:net";

/** Listens on a free port and hands every connection to `serve`; `url`, `port` and `close()`. */
async function listen(serve) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    sockets,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const portOf = (url) => Number(new URL(url).port);

/**
 * A link to the studio. `die()` silently holds all data in both directions, also of new connections. `revive()` delivers
 * it late, as after a network outage. `cut()` closes the connections; `target` is the destination of new ones.
 */
export async function startLink(studioUrl) {
  const link = { isDead: false, target: studioUrl };
  const ends = new Set();
  const waiting = new Set();
  const join = (page) => {
    const studio = net.connect(portOf(link.target), "127.0.0.1");
    for (const [from, to] of [[page, studio], [studio, page]]) {
      ends.add(from);
      from.on("data", (bytes) => to.write(bytes));
      from.on("error", () => {});
      from.on("close", () => {
        ends.delete(from);
        to.destroy();
      });
      if (link.isDead) from.pause();
    }
    page.resume();
  };
  const listener = await listen((page) => {
    if (!link.isDead) return join(page);
    page.pause();
    waiting.add(page);
  });
  return Object.assign(link, {
    url: listener.url,
    die: () => {
      link.isDead = true;
      for (const socket of ends) socket.pause();
    },
    revive: () => {
      link.isDead = false;
      for (const socket of ends) socket.resume();
      for (const page of waiting) join(page);
      waiting.clear();
    },
    cut: () => {
      for (const socket of ends) socket.destroy();
    },
    close: async () => {
      for (const socket of ends) socket.destroy();
      await listener.close();
    },
  });
}

/**
 * A reverse proxy. Paths under `prefix` go to the studio's root, all others get 404. With `dropsUpgrade` it drops
 * `Upgrade` and `Connection` and uses HTTP/1.0, nginx's default. `missed` lists the paths that got 404.
 */
export async function startProxy(studioUrl, { prefix = "", dropsUpgrade = false } = {}) {
  const missed = [];
  const listener = await listen((page) => {
    let head = Buffer.alloc(0);
    const onData = (bytes) => {
      head = Buffer.concat([head, bytes]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      page.off("data", onData);
      const [line, ...headers] = head.subarray(0, end).toString("latin1").split("\r\n");
      let [method, path, version] = line.split(" ");
      if (!path.startsWith(prefix)) {
        missed.push(path);
        page.end("HTTP/1.1 404 Not Found\r\nContent-Length: 11\r\nConnection: close\r\n\r\nnot proxied");
        return;
      }
      const isUpgrade = headers.some((header) => /^upgrade: *websocket/i.test(header));
      let passed = headers;
      if (dropsUpgrade || !isUpgrade) {
        passed = [...headers.filter((header) => !/^(upgrade|connection):/i.test(header)), "Connection: close"];
        if (dropsUpgrade) version = "HTTP/1.0";
      }
      const studio = net.connect(portOf(studioUrl), "127.0.0.1");
      studio.on("error", () => page.destroy());
      studio.write([`${method} ${path.slice(prefix.length) || "/"} ${version}`, ...passed, "", ""].join("\r\n"), "latin1");
      studio.write(head.subarray(end + 4));
      page.pipe(studio);
      studio.pipe(page);
      page.on("close", () => studio.destroy());
    };
    page.on("data", onData);
  });
  return { url: `${listener.url}${prefix}/`, origin: listener.url, missed, close: listener.close };
}
