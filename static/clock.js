// Ticks for the page: a worker's timers keep their rate while the tab is hidden; the page's own timers slow down.
setInterval(() => postMessage(null), 250);
