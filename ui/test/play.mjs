// Opens watch pages in a real browser and says what happened there.
//
//   node test/play.mjs < jobs.json
//
// Standard input is {"browser": "chromium" | "firefox", "executable": path, "jobs": [job …]};
// each job is answered with one line of JSON on standard output, in order. See README.md for
// the fields. The browser takes any certificate, so it is for pages of the tests alone.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import puppeteer from "puppeteer-core";
import { inspectPlayer, startPlayer, soundOf } from "./player.mjs";

const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function launch({ browser, executable }) {
  const common = { executablePath: executable, acceptInsecureCerts: true, protocolTimeout: 120_000 };
  if (browser === "firefox") {
    return puppeteer.launch({
      ...common, browser: "firefox", headless: true,
      extraPrefsFirefox: { "media.autoplay.default": 0, "media.autoplay.block-webaudio": false, "media.volume_scale": "1.0", "browser.cache.disk.enable": false },
    });
  }
  return puppeteer.launch({
    ...common, browser: "chrome", headless: false, // --headless=new is the whole browser
    args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
      "--disable-sync", "--ignore-certificate-errors", "--autoplay-policy=no-user-gesture-required", "--mute-audio", "--force-color-profile=srgb",
      "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding"],
  });
}

async function prepare(page, job, browser) {
  await page.setViewport({ width: 1280, height: 900, ...job.viewport });
  const features = [
    { name: "prefers-color-scheme", value: job.dark ? "dark" : "light" },
    { name: "prefers-reduced-motion", value: job.calm ? "reduce" : "no-preference" },
  ];
  if (browser !== "firefox") {
    await page.emulateMediaFeatures(features);
    if (job.lang) await page.setExtraHTTPHeaders({ "Accept-Language": job.lang });
    if (job.noScript) await page.setJavaScriptEnabled(false);
    if (job.throttle) await throttle(page, job.throttle);
  }
}

// throttle slows the network down: {"down": octets/s, "latency": ms, "cpu": factor}.
async function throttle(page, { down, latency = 0, cpu = 1 }) {
  const cdp = await page.createCDPSession();
  await cdp.send("Network.enable");
  await cdp.send("Network.emulateNetworkConditions", { offline: false, latency, downloadThroughput: down, uploadThroughput: down });
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: cpu });
}

// kind is the type of a request; Firefox does not tell it, so media is known by its path.
function kind(request) {
  try {
    return request.resourceType();
  } catch {
    return /\/(play|hls)\//.test(request.url()) ? "media" : "";
  }
}

// listen notes what the page asks for and what it complains about.
function listen(page) {
  const seen = { requests: [], console: [] };
  page.on("response", (r) => r.url().startsWith("data:") || seen.requests.push({ url: r.url(), status: r.status(), type: kind(r.request()) }));
  // A player drops requests as it likes.
  page.on("requestfailed", (r) => kind(r) === "media" || r.url().startsWith("data:") || seen.console.push(`request failed: ${r.url()} ${r.failure()?.errorText ?? ""}`));
  page.on("console", (m) => { if (["error", "warn"].includes(m.type())) seen.console.push(`${m.type()}: ${m.text()}`); });
  page.on("pageerror", (e) => seen.console.push(`page error: ${e.message}`));
  return seen;
}

async function audit(page) {
  await page.evaluate(axeSource);
  const report = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"],
  }));
  return report.violations.map((v) => ({ id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map((n) => n.html) }));
}

// walk presses Tab and says where the focus goes.
async function walk(page, steps) {
  const stops = [];
  for (let i = 0; i < steps; i++) {
    await page.keyboard.press("Tab");
    stops.push(await page.evaluate(() => {
      const e = document.activeElement;
      if (!e || e === document.body) return null;
      const outline = getComputedStyle(e);
      return { tag: e.tagName.toLowerCase(), id: e.id, name: (e.getAttribute("aria-label") ?? e.innerText ?? "").trim().slice(0, 80), outline: parseFloat(outline.outlineWidth) || 0 };
    }));
  }
  return stops;
}

async function run(browser, kind, job) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const seen = listen(page);
  const result = { name: job.name };
  try {
    await prepare(page, job, kind);
    const began = Date.now();
    const answer = await page.goto(job.url, { waitUntil: "load", timeout: job.timeout ?? 30_000 });
    result.status = answer?.status() ?? 0;
    result.loadMs = Date.now() - began;
    result.title = await page.title();
    if (job.settleMs) await new Promise((go) => setTimeout(go, job.settleMs));
    if (job.waitFor) await page.waitForSelector(job.waitFor, { visible: true, timeout: job.timeout ?? 30_000 });
    if (job.axe) result.axe = await audit(page);
    if (job.tabs) result.tabs = await walk(page, job.tabs);
    if (job.screenshot) await page.screenshot({ path: job.screenshot, fullPage: job.fullPage ?? true });
    if (job.play) {
      result.started = await startPlayer(page, job);
      result.player = await inspectPlayer(page, job);
      if (job.sound) result.sound = await soundOf(page);
    }
    for (const key of job.keys ?? []) await page.keyboard.press(key);
    if (job.evaluate) result.value = await page.evaluate(job.evaluate);
    if (job.after) await page.screenshot({ path: job.after, fullPage: job.fullPage ?? true });
    result.weight = await page.evaluate(() => {
      const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
      const paint = performance.getEntriesByName("first-contentful-paint")[0];
      return {
        paintMs: paint ? paint.startTime : 0,
        entries: all.map((e) => ({ url: e.name, type: e.initiatorType, transfer: e.transferSize, body: e.decodedBodySize })),
      };
    });
    result.cookies = await page.evaluate(() => document.cookie);
  } catch (e) {
    result.error = String(e?.stack ?? e);
    if (job.screenshot) await page.screenshot({ path: `${job.screenshot}.error.png` }).catch(() => {});
  }
  result.url = page.url();
  Object.assign(result, structuredClone(seen)); // before the page goes, and with it what it still asks for
  await context.close().catch(() => {});
  return result;
}

let text = "";
for await (const chunk of process.stdin) text += chunk;
const input = JSON.parse(text);
const browser = await launch(input);
try {
  for (const job of input.jobs) {
    const result = await run(browser, input.browser, job);
    process.stdout.write(`${JSON.stringify({ browser: input.browser, version: await browser.version(), ...result })}\n`);
  }
} finally {
  await browser.close();
}
