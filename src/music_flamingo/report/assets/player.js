// The listening page: one audio element, a playhead over waveform and lanes, and places that seek.
// The address `page.html#t=2.5` opens at 2.5 s; `#t=2.5&play` also starts.
"use strict";

(function () {
  const player = document.querySelector(".player");
  const audio = player.querySelector("audio");
  const timeline = player.querySelector(".timeline");
  const strip = player.querySelector(".strip");
  const glow = player.querySelector(".glow");
  const duration = Number(timeline.dataset.duration);
  const stretches = [...timeline.querySelectorAll(".block")].map((el) => [Number(el.dataset.start), Number(el.dataset.end), el]);
  const beats = [...timeline.querySelectorAll(".lanes.measured .beats line")].map((el) => [Number(el.dataset.start), el.dataset.bar, el.dataset.beat]);
  const now = { at: player.querySelector(".at"), bar: player.querySelector(".now-bar"), chord: player.querySelector(".now-chord") };
  let stopAt = null;

  function clock(seconds) {
    const tenths = Math.max(0, Math.round(seconds * 10));
    return `${Math.floor(tenths / 600)}:${String(((tenths % 600) / 10).toFixed(1)).padStart(4, "0")}`;
  }

  function draw() {
    const t = audio.currentTime;
    timeline.style.setProperty("--p", Math.min(1, t / duration).toFixed(5));
    timeline.setAttribute("aria-valuenow", t.toFixed(1));
    timeline.setAttribute("aria-valuetext", `${clock(t)} of ${clock(duration)}`);
    now.at.textContent = clock(t);
    for (const [start, end, el] of stretches) el.classList.toggle("is-now", start <= t && t < end);
    const beat = beats.filter(([start]) => start <= t + 0.02).pop();
    if (now.bar) now.bar.textContent = beat && beat[1] !== "0" ? `${beat[1]}.${beat[2]}` : "–";
    const chord = timeline.querySelector(".lanes.measured .block.toned.is-now");
    if (now.chord) now.chord.textContent = chord ? chord.textContent : "–";
    follow(t);
  }

  function follow(t) {
    const hidden = strip.scrollWidth - strip.clientWidth;
    const place = (t / duration) * timeline.clientWidth;
    const inView = strip.scrollLeft <= place && place <= strip.scrollLeft + strip.clientWidth;
    if (hidden <= 0 || (audio.paused && inView)) return;
    strip.scrollLeft = Math.min(hidden, Math.max(0, place - strip.clientWidth / 2));
  }

  function tick() {
    draw();
    if (stopAt !== null && audio.currentTime >= stopAt) {
      stopAt = null;
      audio.pause();
    }
    if (!audio.paused) requestAnimationFrame(tick);
  }

  function seek(seconds, end) {
    stopAt = end ?? null;
    audio.currentTime = Math.min(Math.max(0, seconds), duration);
    draw();
  }

  function mark(start, end) {
    glow.style.display = "block";
    glow.style.left = `${(100 * start) / duration}%`;
    glow.style.width = `${(100 * (end - start)) / duration}%`;
  }

  function toggle() {
    if (audio.paused) audio.play();
    else audio.pause();
  }

  audio.addEventListener("play", () => { player.classList.add("is-playing"); requestAnimationFrame(tick); });
  audio.addEventListener("pause", () => { player.classList.remove("is-playing"); draw(); });
  audio.addEventListener("ended", () => { player.classList.remove("is-playing"); draw(); });
  audio.addEventListener("seeked", draw);
  audio.addEventListener("timeupdate", draw);
  player.querySelector(".play").addEventListener("click", toggle);
  timeline.addEventListener("click", (event) => {
    const box = timeline.getBoundingClientRect();
    glow.style.display = "none";
    seek((duration * (event.clientX - box.left)) / box.width);
  });
  timeline.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, PageUp: 5, PageDown: -5 };
    if (event.key in steps) seek(audio.currentTime + steps[event.key]);
    else if (event.key === "Home") seek(0);
    else if (event.key === " " || event.key === "Enter") toggle();
    else return;
    event.preventDefault();
  });
  document.querySelectorAll(".seek").forEach((button) =>
    button.addEventListener("click", () => {
      const [start, end] = [Number(button.dataset.start), Number(button.dataset.end)];
      mark(start, end);
      seek(start, end);
      audio.play();
      player.scrollIntoView({ block: "nearest" });
    })
  );

  audio.removeAttribute("controls");
  player.classList.add("is-live");
  const asked = new URLSearchParams(location.hash.slice(1));
  const open = () => {
    if (asked.has("t")) seek(Number(asked.get("t")));
    if (asked.has("play")) audio.play();
    draw();
  };
  if (audio.readyState >= 1) open();
  else audio.addEventListener("loadedmetadata", open, { once: true });
})();
