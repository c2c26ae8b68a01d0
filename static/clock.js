// Ticks for the page: a worker's timers go on while the tab is hidden, where the page's own are slowed down.
setInterval(() => postMessage(null), 250);
