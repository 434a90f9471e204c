// The song's picture: waveform, beats, and a lane each for what is heard over time; and its card as a PNG.
"use strict";

const WAVE_TALL = 130, LANE_TALL = 24, INSTRUMENTS = 4;

function lanesOf(facts) {
  const withheld = new Set((facts?.withheld ?? []).map((entry) => entry.fact));
  const of = (name) => (facts?.[name] && !withheld.has(name) ? facts[name] : null);
  const lanes = [
    ["music", of("content")?.heard.filter((s) => s.label === "music")],
    ["voice", of("voice")?.heard],
    ...(of("instruments")?.labels ?? []).slice(0, INSTRUMENTS).map((l) => [l.name, l.heard.map((s) => ({ ...s, label: l.name }))]),
    ["chords", of("chords")?.segments],
    ["sections", of("sections")?.segments],
    ["lyrics", of("lyrics")?.lines],
  ];
  return lanes.filter(([, segments]) => segments?.length);
}

function colors() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(name).trim();
}

function drawSong(canvas, song, player) {
  const lanes = lanesOf(song.facts), ratio = window.devicePixelRatio || 1, height = WAVE_TALL + Math.max(2, lanes.length) * (LANE_TALL + 2) + 6;
  canvas.style.height = `${height}px`;
  const width = canvas.clientWidth;
  if (!width) return;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d"), color = colors();
  pen.scale(ratio, ratio);
  const length = song.duration || player.duration || 1;
  drawLines(pen, song, lanes, { left: 0, top: 0, width, length }, color);
  pen.fillStyle = color("--ink");
  pen.fillRect((player.currentTime / length) * width, 0, 2, height);
  canvas.setAttribute("aria-label", `Waveform and beats; over time: ${lanes.map(([name]) => name).join(", ") || "nothing measured yet"}`);
}

function drawLines(pen, song, lanes, { left, top, width, length }, color) {
  const x = (t) => left + (t / length) * width;
  pen.fillStyle = color("--wave");
  song.peaks?.forEach((peak, i) => {
    const tall = Math.max(1, peak * 100);
    pen.fillRect(left + (i / song.peaks.length) * width, top + 65 - tall / 2, Math.max(1, width / song.peaks.length - 0.3), tall);
  });
  const beats = song.facts?.withheld.some((entry) => entry.fact === "beats") ? null : song.facts?.beats;
  const downbeats = new Set(beats?.downbeats_s ?? []);
  for (const t of beats?.beats_s ?? []) {
    pen.fillStyle = color("--accent");
    pen.globalAlpha = downbeats.has(t) ? 0.9 : 0.35;
    pen.fillRect(x(t), top + (downbeats.has(t) ? 8 : 104), 1, downbeats.has(t) ? 116 : 20);
  }
  pen.globalAlpha = 1;
  pen.font = "12px sans-serif";
  pen.textBaseline = "middle";
  lanes.forEach(([, segments], row) => drawLane(pen, segments, x, top + WAVE_TALL + row * (LANE_TALL + 2), color));
}

function drawLane(pen, segments, x, top, color) {
  segments.forEach((segment, i) => {
    const left = x(segment.start_s), wide = x(segment.end_s) - left;
    if (segment.label === "N") return;
    pen.fillStyle = color(i % 2 ? "--wash" : "--line");
    pen.fillRect(left, top, Math.max(1, wide - 1), LANE_TALL);
    pen.fillStyle = color("--ink");
    if (pen.measureText(segment.label).width < wide - 4) pen.fillText(segment.label, left + 3, top + LANE_TALL / 2);
  });
}

function cardOf(song, title, listed) {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d"), color = colors(), margin = 64;
  canvas.width = 1200;
  canvas.height = 630;
  pen.fillStyle = color("--paper");
  pen.fillRect(0, 0, 1200, 630);
  pen.fillStyle = color("--ink");
  pen.font = "600 44px serif";
  pen.fillText(title, margin, 90, 1200 - 2 * margin);
  drawLines(pen, song, lanesOf(song.facts).slice(0, 5), { left: margin, top: 120, width: 1200 - 2 * margin, length: song.duration || 1 }, color);
  pen.textBaseline = "alphabetic";
  const names = listed.filter((e) => e.tagName === "DT"), values = listed.filter((e) => e.tagName === "DD");
  names.slice(0, 8).forEach((name, place) => {
    const left = margin + (place % 2) * 536, top = 450 + Math.floor(place / 2) * 36;
    pen.font = "18px sans-serif";
    pen.fillStyle = color("--soft");
    pen.fillText(name.textContent, left, top);
    pen.fillStyle = color("--ink");
    pen.fillText(values[place].firstChild.textContent, left + 110, top, 410);
  });
  pen.font = "600 18px serif";
  pen.fillStyle = color("--accent");
  pen.fillText("Music Flamingo", margin, 606);
  return canvas;
}
