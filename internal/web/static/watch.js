// The watch page works without this script; with it there are speed, picture in picture,
// keys, a strip of moments, the reader's own clock, and news without loading the page again.
const $ = (id) => document.getElementById(id);
const page = $("watch");
const player = $("player");
const lang = document.documentElement.lang;

const show = (el, on = true) => { if (el) el.hidden = !on; };
const clock = (s) => {
  s = Math.max(0, Math.round(s));
  const two = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
};

// Times on the reader's own clock.
const dates = new Intl.DateTimeFormat(lang, { dateStyle: "long", timeStyle: "short" });
const localTime = (iso) => dates.format(new Date(iso));
for (const t of document.querySelectorAll("time[data-local]")) t.textContent = localTime(t.dateTime);

// The one sentence, and how far something has come.
const sentence = $("sentence");
let said = "";
function say(text, since, after, percent = -1) {
  const key = text + (since ?? "") + (after ?? "");
  show($("status"), text !== "");
  if (key !== said) {
    said = key;
    sentence.textContent = text;
    if (since) {
      const t = document.createElement("time");
      t.dateTime = since;
      t.textContent = localTime(since);
      sentence.append(t, after ?? "");
    }
  }
  const bar = $("progress");
  show(bar, percent >= 0);
  if (percent >= 0) bar.value = percent;
}

let broken = false; // it did not play in this browser

// News: what arrives, what is made, what is taken back.
let tag = "";
async function news() {
  const fresh = new URL(page.dataset.state, location);
  const wanted = new URL(location).searchParams.get("lang");
  if (wanted) fresh.searchParams.set("lang", wanted);
  if (tag) fresh.searchParams.set("tag", tag);
  const answer = await fetch(fresh, { cache: "no-store", headers: { Accept: "application/json" } });
  if (answer.status === 410 || answer.status === 404 || answer.status === 403) {
    location.reload(); // which says why
    return false;
  }
  if (!answer.ok) throw new Error(answer.status);
  const s = await answer.json();
  tag = s.tag;
  if (s.version !== page.dataset.version && (!player || broken)) {
    location.reload();
    return false;
  }
  if (s.poster && player?.tagName === "VIDEO" && !player.poster) player.poster = s.poster;
  if (!broken || s.sentence) say(s.sentence, s.since, s.after, s.percent);
  return s.live;
}
async function watchNews() {
  for (let pause = 1000; ;) {
    await new Promise((go) => setTimeout(go, pause));
    if (document.hidden) {
      await new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }));
      continue;
    }
    try {
      if (!(await news())) return;
      pause = 1000;
    } catch {
      pause = Math.min(pause * 2, 30000);
    }
  }
}
if ("live" in page.dataset) watchNews();

if (player) {
  const stage = $("stage");
  const tools = $("tools");
  const start = $("start");
  const speed = $("speed");
  const video = player.tagName === "VIDEO";
  show(tools);

  // The large sign alone stands over the picture until the first play.
  const begun = () => { show(start, false); player.controls = true; };
  if (start && player.paused) {
    show(start);
    player.controls = false;
    stage.addEventListener("click", () => {
      if (start.hidden) return;
      begun();
      player.play().catch(() => {});
      player.focus({ preventScroll: true });
    });
    player.addEventListener("play", begun, { once: true });
  }

  // #t=83 begins there.
  const at = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
  if (at) player.addEventListener("loadedmetadata", () => { player.currentTime = Number(at[1]); }, { once: true });

  const skip = (by) => {
    const end = Number.isFinite(player.duration) ? player.duration : Infinity;
    player.currentTime = Math.min(end, Math.max(0, player.currentTime + by));
  };
  const toggle = () => { if (player.paused) player.play().catch(() => {}); else player.pause(); };
  const setSpeed = (step) => {
    speed.selectedIndex = Math.min(speed.length - 1, Math.max(0, speed.selectedIndex + step));
    player.playbackRate = Number(speed.value);
  };
  $("back").addEventListener("click", () => skip(-10));
  $("ahead").addEventListener("click", () => skip(10));
  speed.addEventListener("change", () => setSpeed(0));
  if (speed.selectedIndex >= 0) player.addEventListener("loadedmetadata", () => setSpeed(0));

  const pip = $("pip");
  if (pip && document.pictureInPictureEnabled && player.requestPictureInPicture) {
    show(pip);
    pip.addEventListener("click", () => {
      (document.pictureInPictureElement ? document.exitPictureInPicture() : player.requestPictureInPicture()).catch(() => {});
    });
  }

  const captions = $("captions");
  const tracks = () => [...(player.textTracks ?? [])].filter((t) => t.kind === "captions");
  const showing = () => tracks().some((t) => t.mode === "showing");
  const setCaptions = (on) => {
    tracks().forEach((t, i) => { t.mode = on && i === 0 ? "showing" : "disabled"; });
    captions?.setAttribute("aria-pressed", on);
  };
  if (captions) {
    show(captions);
    captions.setAttribute("aria-pressed", showing());
    captions.addEventListener("click", () => setCaptions(!showing()));
    player.textTracks.addEventListener("change", () => captions.setAttribute("aria-pressed", showing()));
    for (const t of player.querySelectorAll("track[srclang]")) {
      try { t.label = new Intl.DisplayNames(lang, { type: "language" }).of(t.srclang); } catch { /* keeps its number */ }
    }
  }
  const fill = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (player.requestFullscreen) player.requestFullscreen().catch(() => {});
    else player.webkitEnterFullscreen?.();
  };

  // Keys, while the player has the focus.
  const keys = {
    k: toggle, j: () => skip(-10), l: () => skip(10), m: () => { player.muted = !player.muted; },
    c: () => { if (captions) setCaptions(!showing()); }, f: () => { if (video) fill(); },
    "<": () => setSpeed(-1), ">": () => setSpeed(1), " ": toggle, arrowleft: () => skip(-5), arrowright: () => skip(5),
  };
  const pressed = (e) => {
    const key = e.key.toLowerCase();
    const own = e.target === player;
    if (e.ctrlKey || e.metaKey || e.altKey || !(key in keys) || (!own && (key === " " || key.startsWith("arrow") || e.target === speed))) return;
    e.preventDefault();
    keys[key]();
  };
  stage.addEventListener("keydown", pressed);
  tools.addEventListener("keydown", pressed);

  // The form of a wave shows how much was heard.
  const needle = $("needle");
  if (needle) {
    const wave = $("wave");
    const width = wave.viewBox.baseVal.width;
    player.addEventListener("timeupdate", () => needle.setAttribute("width", width * (player.currentTime / player.duration || 0)));
    wave.addEventListener("click", (e) => {
      const box = wave.getBoundingClientRect();
      if (player.duration) player.currentTime = player.duration * ((e.clientX - box.left) / box.width);
    });
  }

  // One sentence when it does not play.
  const failed = () => {
    if (player.error?.code === MediaError.MEDIA_ERR_NETWORK) {
      say(page.dataset.lost);
      const from = player.currentTime;
      setTimeout(() => {
        player.load();
        player.addEventListener("loadedmetadata", () => { player.currentTime = from; player.play().catch(() => {}); }, { once: true });
      }, 3000);
      return;
    }
    begun();
    broken = true;
    say(page.dataset.broken);
    news().catch(() => {}); // it may have been taken back
  };
  player.addEventListener("error", failed);
  player.querySelector("source:last-of-type")?.addEventListener("error", failed);
  player.addEventListener("playing", () => { if (said === page.dataset.lost) say(""); });

  // A view is a play: it is told once a second of it was played, now and then, and at the end.
  const session = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
  let played = 0, last = 0, furthest = 0, told = -1;
  const tell = (leaving = false) => {
    const upTo = player.duration > 0 && Number.isFinite(player.duration) ? Math.min(1, furthest / player.duration) : 0;
    if (!page.dataset.played || played < Math.min(1, (player.duration || 1) / 2) || upTo === told) return;
    told = upTo;
    fetch(page.dataset.played, { method: "POST", keepalive: leaving, headers: { "Content-Type": "application/json" }, body: JSON.stringify({ session, upTo }) }).then((r) => r.text()).catch(() => {});
  };
  player.addEventListener("timeupdate", () => {
    const step = player.currentTime - last;
    last = player.currentTime;
    if (player.seeking || step <= 0 || step > 2) return;
    played += step;
    furthest = Math.max(furthest, player.currentTime);
    if (told < 0 || furthest / player.duration - told >= 0.25) tell();
  });
  for (const e of ["pause", "ended"]) player.addEventListener(e, () => tell());
  addEventListener("pagehide", () => tell(true));

  // The line is the first picture's; where a browser loads none before it is told to play,
  // the strip does not wait for ever.
  const first = new Promise((done) => {
    if (player.readyState >= 2) return done();
    player.addEventListener("loadeddata", done, { once: true });
    setTimeout(done, 3000);
  });
  first.then(moments);
}

// A strip of moments from the storyboard: a table in WebVTT of pieces of one picture.
async function moments() {
  const strip = $("moments");
  if (!strip) return;
  const table = new URL(strip.dataset.table, location);
  const answer = await fetch(table);
  if (!answer.ok) return;
  const cue = /([\d:.]+) --> [\d:.]+[^\n]*\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)/g;
  const cells = [...(await answer.text()).replaceAll("\r", "").matchAll(cue)];
  const most = 12;
  const picked = cells.length <= most ? cells : Array.from({ length: most }, (_, i) => cells[Math.floor(i * cells.length / most)]);
  if (picked.length < 3) return;
  const seconds = (t) => t.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  const buttons = [];
  for (const [, from, file, x, y, w, h] of picked) {
    const scale = 84 / h;
    const cell = document.createElement("span");
    cell.className = "cell";
    Object.assign(cell.style, {
      width: `${Math.round(w * scale)}px`, height: "84px", backgroundImage: `url("${new URL(file, table)}")`,
      backgroundPosition: `${-x * scale}px ${-y * scale}px`,
    });
    sheet(new URL(file, table)).then((img) => { cell.style.backgroundSize = `${img.naturalWidth * scale}px ${img.naturalHeight * scale}px`; }, () => {});
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.time = clock(seconds(from));
    button.setAttribute("aria-label", page.dataset.goto.replace("{time}", clock(seconds(from))));
    button.append(cell);
    button.addEventListener("click", () => { player.currentTime = seconds(from); player.play().catch(() => {}); });
    const item = document.createElement("li");
    item.append(button);
    strip.append(item);
    buttons.push([seconds(from), button]);
  }
  show(strip);
  player.addEventListener("timeupdate", () => {
    let now = 0;
    buttons.forEach(([from], i) => { if (player.currentTime >= from) now = i; });
    buttons.forEach(([, b], i) => { if (i === now) b.setAttribute("aria-current", "true"); else b.removeAttribute("aria-current"); });
  });
}
let sheets;
function sheet(url) {
  sheets ??= new Promise((ok, bad) => {
    const img = new Image();
    img.onload = () => ok(img);
    img.onerror = bad;
    img.src = url;
  });
  return sheets;
}
