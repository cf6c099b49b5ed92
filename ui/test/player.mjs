// What is done with the player of a watch page, and how it is judged that it really plays.

// startPlayer presses the large sign, as a person would, or plays by the element itself. It
// says how long it took until the first frame, or the first sound, was there.
export async function startPlayer(page, job) {
  const limit = job.timeout ?? 30_000;
  await page.waitForSelector("#player", { timeout: limit });
  const sign = await page.$("#start:not([hidden])");
  const began = Date.now();
  if (sign) await sign.click();
  else if (job.noScript) await page.click("#player"); // the browser's own controls take it
  else await page.evaluate(() => document.getElementById("player").play().catch(() => {}));
  const ready = await poll(limit, () => page.evaluate(() => {
    const p = document.getElementById("player");
    return p.error ? "error" : p.currentTime > 0 && p.readyState >= 2 ? "plays" : "";
  }));
  return { by: sign ? "sign" : job.noScript ? "click" : "script", firstMs: Date.now() - began, ready };
}

const pause = (ms) => new Promise((go) => setTimeout(go, ms));

// poll asks again and again until there is an answer; timers of a page without script do not
// run.
async function poll(limit, ask) {
  for (const end = Date.now() + limit; Date.now() < end; await pause(15)) {
    const answer = await ask();
    if (answer) return answer;
  }
  return `nothing happened within ${limit} ms`;
}

// inspectPlain is inspectPlayer for a page without script: a few looks from outside.
async function inspectPlain(page, { playMs = 2000 }) {
  const look = () => page.evaluate(() => {
    const player = document.getElementById("player");
    const canvas = document.createElement("canvas");
    canvas.width = 64;
    canvas.height = 36;
    const c = canvas.getContext("2d");
    c.drawImage(player, 0, 0, 64, 36);
    const data = c.getImageData(0, 0, 64, 36).data;
    let hash = 0, light = 0;
    for (const v of data) {
      hash = (hash * 31 + v) | 0;
      light += v / data.length;
    }
    return {
      hash, light, at: player.currentTime, ended: player.ended, paused: player.paused, src: player.currentSrc, duration: player.duration,
      width: player.videoWidth, height: player.videoHeight, audioBytes: player.webkitAudioDecodedByteCount ?? -1, frames: player.getVideoPlaybackQuality().totalVideoFrames,
      error: player.error ? `${player.error.code} ${player.error.message}` : "",
    };
  });
  const looks = [await look()];
  for (const end = Date.now() + playMs; Date.now() < end; await pause(100)) looks.push(await look());
  const last = looks.at(-1);
  return { ...last, first: looks[0].at, reached: last.at, pictures: new Set(looks.map((l) => l.hash)).size, light: Math.max(...looks.map((l) => l.light)) };
}

// inspectPlayer watches it play for job.playMs (or to its end) and reports facts.
export async function inspectPlayer(page, job) {
  if (job.noScript) return inspectPlain(page, job);
  return page.evaluate(async ({ playMs, seek }) => {
    const player = document.getElementById("player");
    const video = player.tagName === "VIDEO";
    const pause = (ms) => new Promise((go) => setTimeout(go, ms));
    const canvas = document.createElement("canvas");
    canvas.width = 64;
    canvas.height = 36;
    const picture = () => {
      if (!video || !player.videoWidth) return "";
      const c = canvas.getContext("2d", { willReadFrequently: true });
      c.drawImage(player, 0, 0, canvas.width, canvas.height);
      const data = c.getImageData(0, 0, canvas.width, canvas.height).data;
      let hash = 0, light = 0;
      for (let i = 0; i < data.length; i += 4) {
        hash = (hash * 31 + data[i] * 3 + data[i + 1] * 5 + data[i + 2] * 7) | 0;
        light += data[i] + data[i + 1] + data[i + 2];
      }
      return { hash, light: light / (data.length / 4 * 3) };
    };
    // The corners and the middle of the picture, for the orientation and the colours.
    const samples = () => {
      if (!video || !player.videoWidth) return [];
      const c = canvas.getContext("2d", { willReadFrequently: true });
      c.drawImage(player, 0, 0, canvas.width, canvas.height);
      return [[4, 3], [59, 3], [4, 32], [59, 32], [32, 18]].map(([x, y]) => [...c.getImageData(x, y, 1, 1).data].slice(0, 3));
    };
    const first = player.currentTime;
    const pictures = new Set();
    let light = 0, colours = [];
    const until = performance.now() + (playMs ?? 2000);
    let stalls = 0;
    player.addEventListener("waiting", () => { stalls++; });
    while (performance.now() < until && !player.ended && !player.error) {
      const p = picture();
      if (p) { pictures.add(p.hash); light = Math.max(light, p.light); }
      if (colours.length === 0 && p) colours = samples();
      await pause(40);
    }
    const reached = player.currentTime;
    let sought;
    if (seek !== undefined && !player.error) {
      player.currentTime = seek;
      await Promise.race([new Promise((go) => player.addEventListener("seeked", go, { once: true })), pause(10_000)]);
      sought = player.currentTime;
    }
    const quality = player.getVideoPlaybackQuality?.();
    return {
      src: player.currentSrc, first, reached, ended: player.ended, paused: player.paused, sought, stalls,
      duration: Number.isFinite(player.duration) ? player.duration : -1,
      width: player.videoWidth ?? 0, height: player.videoHeight ?? 0,
      frames: quality?.totalVideoFrames ?? 0, dropped: quality?.droppedVideoFrames ?? 0,
      pictures: pictures.size, light, colours,
      audioBytes: player.webkitAudioDecodedByteCount ?? -1, hasAudio: player.mozHasAudio ?? null,
      seekableEnd: player.seekable.length ? player.seekable.end(player.seekable.length - 1) : 0,
      error: player.error ? `${player.error.code} ${player.error.message}` : "",
    };
  }, { playMs: job.playMs, seek: job.seek });
}

// soundOf decodes the sound of what plays, apart from the player: whether there is any, how
// long it is and how loud. Not for large files: all of it is in memory.
export async function soundOf(page) {
  return page.evaluate(async () => {
    const src = document.getElementById("player").currentSrc;
    try {
      const data = await (await fetch(src)).arrayBuffer();
      const sound = await new OfflineAudioContext(1, 48000, 48000).decodeAudioData(data);
      let peak = 0;
      for (let c = 0; c < sound.numberOfChannels; c++) for (const s of sound.getChannelData(c)) peak = Math.max(peak, Math.abs(s));
      return { seconds: sound.duration, channels: sound.numberOfChannels, rate: sound.sampleRate, peak };
    } catch (e) {
      return { error: String(e) };
    }
  });
}
