// Says how soon pages play in Chromium: one job a line on standard input, one answer a
// line on standard output, until the input ends. The first line is {"executable": path,
// "hosts": "MAP …"}; hosts is Chromium's --host-resolver-rules, "" for none. A job is
//
//   {"url": …, "cpu": how many times slower the processor shall seem}
//
// Play is pressed as soon as the page is there. The answer has times in ms after the
// navigation began, "frameMs" until the first picture was shown, and what went over the
// network before that. Every job has a browser context of its own: no cache, no connection,
// no ticket of another one. (The browser's own throttle of the network lets video pass: slow
// lines are made outside of it.)
import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => {
  const { value, done } = await lines.next();
  return done ? null : JSON.parse(value);
};
const write = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

const { executable, hosts } = await read();
const browser = await puppeteer.launch({
  executablePath: executable, acceptInsecureCerts: true, protocolTimeout: 120_000, browser: "chrome", headless: false, // --headless=new is the whole browser
  args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--ignore-certificate-errors", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
    "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
    ...(hosts ? [`--host-resolver-rules=${hosts}`] : [])],
});

// In the page, before anything of it: waits for the player, presses play, notes the
// first picture.
function watch() {
  const seen = { playerMs: 0, pressedMs: 0, frameMs: 0, error: "" };
  globalThis.__seen = seen;
  let player;
  const found = () => {
    if (player) return;
    player = document.querySelector("video");
    if (!player) return;
    seen.playerMs = performance.now();
    player.requestVideoFrameCallback((now) => { seen.frameMs = now; });
    player.addEventListener("error", () => { seen.error = player.error?.message ?? "error"; });
  };
  const begin = () => {
    found();
    if (!player || seen.pressedMs) return;
    seen.pressedMs = performance.now();
    const sign = document.querySelector("#start:not([hidden])");
    if (sign) sign.click();
    else player.play().catch((e) => { seen.error = String(e); });
  };
  new MutationObserver(found).observe(document, { childList: true, subtree: true });
  document.addEventListener("DOMContentLoaded", () => setTimeout(begin, 0));
}

// count notes what comes over the network. The answer's sum is of what came until then:
// headers and bodies as they were sent, or, of what is still on its way, bodies as they
// are read.
async function count(cdp) {
  const seen = new Map();
  cdp.on("Network.requestWillBeSent", (e) => { if (!e.request.url.startsWith("data:")) seen.set(e.requestId, { type: e.type, octets: 0 }); });
  const on = (event, f) => cdp.on(event, (e) => { if (seen.has(e.requestId)) f(seen.get(e.requestId), e); });
  on("Network.responseReceived", (r, e) => { r.octets += Math.max(0, e.response.encodedDataLength); });
  on("Network.dataReceived", (r, e) => { r.octets += e.dataLength; });
  on("Network.loadingFinished", (r, e) => { r.octets = e.encodedDataLength; });
  await cdp.send("Network.enable");
  return () => {
    const total = { requests: seen.size, octets: 0, imageOctets: 0, mediaOctets: 0 };
    for (const { type, octets } of seen.values()) total[{ Media: "mediaOctets", Image: "imageOctets" }[type] ?? "octets"] += octets;
    return total;
  };
}

async function run({ url, cpu = 1, timeout = 60_000 }) {
  const context = await browser.createBrowserContext();
  try {
    const page = await context.newPage();
    const cdp = await page.createCDPSession();
    const total = await count(cdp);
    await page.evaluateOnNewDocument(watch);
    if (cpu > 1) await cdp.send("Emulation.setCPUThrottlingRate", { rate: cpu });
    await page.goto(url, { waitUntil: "domcontentloaded", timeout });
    await page.waitForFunction(() => globalThis.__seen.frameMs || globalThis.__seen.error, { timeout, polling: 10 });
    const before = total();
    const seen = await page.evaluate(() => ({
      ...globalThis.__seen, source: document.querySelector("video").currentSrc,
      paintMs: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0,
    }));
    return { ...seen, ...before };
  } catch (e) {
    return { error: String(e?.stack ?? e) };
  } finally {
    await context.close().catch(() => {});
  }
}

write({ version: await browser.version() });
try {
  for (let job = await read(); job; job = await read()) write(await run(job));
} finally {
  await browser.close();
}
