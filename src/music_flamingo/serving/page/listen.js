// One song at a time: measure it, draw it, ask about it. Everything comes from this server, and goes to it alone.
"use strict";

const $ = (id) => document.getElementById(id);
const MAX_BYTES = 18 * 2 ** 20; // base64 grows by a third, the server takes 25 MiB
const TIME = /\b(\d{1,2}):([0-5]\d)\b|\b(\d+(?:\.\d+)?)\s?(?:s|sec|seconds)\b/g;

const FACT_NAMES = {
  content: "What it is", tempo: "Tempo", key: "Key", beats: "Meter", chords: "Chords", sections: "Sections", instruments: "Instruments",
  voice: "Voice", genre: "Genre", dynamics: "Loudness", lyrics: "Lyrics",
};

let song = null; // {file, base64, format, peaks, facts, duration}
let model = null;
let running = null; // AbortController of the answer that streams

function headers(more) {
  const key = $("key").value.trim();
  return key ? { ...more, Authorization: `Bearer ${key}` } : { ...more };
}

async function call(path, options) {
  const response = await fetch(path, { ...options, headers: headers(options?.headers) });
  if (response.ok) return response;
  let message = `the server answered ${response.status}`;
  try { message = (await response.json()).error.message; } catch { /* no JSON: the status says it */ }
  if (response.status === 401) $("key-box").open = true;
  throw new Error(message);
}

function tell(text) { $("status").textContent = text; }
function complain(error) { $("problem").textContent = error.name === "AbortError" ? "" : `It did not work: ${error.message}`; }

// --- a recording -----------------------------------------------------------------------------------------------------

async function open(file) {
  $("problem").textContent = "";
  if (file.size > MAX_BYTES) return complain(new Error(`${file.name} has ${Math.round(file.size / 2 ** 20)} MB; the most is 18.`));
  running?.abort();
  $("answers").replaceChildren();
  tell("Reading …");
  const suffix = file.name.split(".").pop().toLowerCase();
  song = { file, format: suffix, peaks: null, facts: null, duration: 0, base64: await toBase64(file) };
  const opened = song;
  $("song-title").textContent = file.name;
  URL.revokeObjectURL($("player").src);
  $("player").src = URL.createObjectURL(file);
  $("song").hidden = $("ask").hidden = false;
  $("facts").replaceChildren();
  $("sections").replaceChildren();
  $("take").hidden = true;
  draw();
  await Promise.all([measure(opened), outline(opened), questions()]).catch(complain);
}

function toBase64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

async function measure(opened) {
  tell("Measuring beats, key, chords and sections …");
  try {
    const sent = { method: "POST", body: opened.file, headers: { "content-type": "application/octet-stream" } };
    const facts = await (await call("/v1/music/facts", sent)).json();
    if (song !== opened) return;
    opened.facts = facts;
    opened.duration = facts.duration_s;
    list(facts);
    tell("Measured.");
  } catch (error) { tell(""); throw error; } finally { draw(); }
}

async function outline(opened) {
  const context = new (window.AudioContext || window.webkitAudioContext)();
  try {
    const decoded = await context.decodeAudioData(await opened.file.arrayBuffer());
    opened.duration ||= decoded.duration;
    opened.peaks = peaksOf(decoded.getChannelData(0), 1200);
  } catch { /* a format this browser cannot decode has no outline; everything else works */ } finally { context.close(); }
  draw();
}

function peaksOf(samples, number) {
  const step = Math.max(1, Math.floor(samples.length / number));
  const peaks = [];
  for (let start = 0; start < samples.length; start += step) {
    let peak = 0;
    for (let i = start; i < Math.min(start + step, samples.length); i++) peak = Math.max(peak, Math.abs(samples[i]));
    peaks.push(peak);
  }
  return peaks;
}

// Every statement plays where it is heard first; what is not trusted is named and says why.
function list(facts) {
  const withheld = new Map(facts.withheld.map((entry) => [entry.fact, entry.reason.replaceAll("_", " ")]));
  const rows = [];
  const add = (name, fact, value, at) => {
    const said = element("dd", "");
    const why = withheld.get(name) ?? (name === "beats" ? withheld.get("beats.beats_per_bar") : undefined);
    said.append(why ? `withheld: ${why}` : value, element("span", ` (${fact.tool}, confidence ${fact.confidence.toFixed(2)}) `, "soft tiny"));
    if (!why) said.append(jump(at ?? 0, `\u25b8 ${clock(at ?? 0)}`, "time"));
    said.dataset.fact = name;
    said.dataset.said = why ? `withheld, ${why}` : `${value} (${fact.tool}, confidence ${fact.confidence.toFixed(2)})`;
    rows.push(element("dt", FACT_NAMES[name]), said);
  };
  const { content, tempo, key, beats, chords, sections, instruments, voice, genre, dynamics, lyrics } = facts;
  if (content) add("content", content, content.kind, content.heard[0]?.start_s);
  if (tempo) add("tempo", tempo, `${tempo.bpm.toFixed(1)}${tempo.also_bpm ? `, or ${tempo.also_bpm.toFixed(1)}` : ""} BPM`);
  if (key) add("key", key, `${key.tonic} ${key.mode}`, key.changes[0]?.start_s);
  if (beats?.beats_per_bar) add("beats", beats, `${beats.beats_per_bar} beats in a bar`, beats.downbeats_s[0]);
  if (chords) add("chords", chords, `${chords.segments.length} segments`, chords.segments.find((s) => s.label !== "N")?.start_s);
  if (sections) add("sections", sections, sections.segments.map((s) => s.label).join(" "), sections.segments[0]?.start_s);
  if (instruments?.labels.length) add("instruments", instruments, instruments.labels.map((l) => l.name).join(", "), instruments.labels[0].heard[0]?.start_s);
  if (voice) add("voice", voice, voice.present ? `${voice.register_heard ?? "a"} voice` : "none", voice.heard[0]?.start_s);
  if (genre?.labels.length) add("genre", genre, genre.labels.map((l) => l.name).join(", "));
  if (dynamics) add("dynamics", dynamics, `${dynamics.range_db.toFixed(0)} dB between loud and soft, ${dynamics.trend}`);
  if (lyrics?.available) add("lyrics", lyrics, `${lyrics.lines.length} lines`, lyrics.lines[0]?.start_s);
  for (const problem of facts.problems) rows.push(element("dt", "Not measured"), element("dd", problem));
  $("facts").replaceChildren(...rows);
  const parts = withheld.has("sections") ? [] : (sections?.segments ?? []);
  $("sections").replaceChildren(...parts.map((part) => jump(part.start_s, `${part.label} ${clock(part.start_s)}`)));
  $("take").hidden = false;
}

function save(name, address) {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

function stem() { return song.file.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}]+/gu, "-") || "song"; }

// --- the picture: picture.js draws ---------------------------------------------------------------------------------

function draw() { if (song) drawSong($("picture"), song, $("player")); }

function seek(time) {
  const player = $("player");
  player.currentTime = Math.max(0, Math.min(time, song.duration || time));
  player.play().catch(() => {}); // a browser may want a click on the player first
  draw();
}

// --- questions and answers ---------------------------------------------------------------------------------------------

async function questions() {
  model ??= (await (await call("/openai/v1/models")).json()).data[0];
  const known = model.music_flamingo.questions.filter((q) => q.question);
  $("trained").replaceChildren(...known.map((q) => {
    const button = element("button", q.question);
    button.type = "button";
    button.onclick = () => { $("question").value = q.question; $("form").requestSubmit(); };
    return button;
  }));
}

async function ask(question) {
  const item = document.createElement("li");
  const thinking = element("p", "", "thinking"), said = element("p", "", "said busy"), heard = element("p", "", "soft tiny");
  item.append(element("p", question, "asked"));
  const measured = measuredOf(question);
  if (measured) {
    const guess = document.createElement("details");
    guess.append(element("summary", "The model was not trained on this; its guess"), thinking, said);
    item.append(element("p", `Measured: ${measured}`, "said measured"), guess, heard);
  } else item.append(thinking, said, heard);
  $("answers").prepend(item);
  running = new AbortController();
  busy(true);
  try {
    const content = [{ type: "text", text: question }, { type: "input_audio", input_audio: { data: song.base64, format: song.format } }];
    const body = JSON.stringify({ model: model.id, stream: true, messages: [{ role: "user", content }] });
    const sent = { method: "POST", body, signal: running.signal, headers: { "content-type": "application/json" } };
    const response = await call("/openai/v1/chat/completions", sent);
    for await (const event of events(response.body)) {
      const delta = event.choices[0]?.delta ?? {};
      thinking.textContent += delta.reasoning_content ?? "";
      said.textContent += delta.content ?? "";
      if (event.music_flamingo) {
        const [start, end] = event.music_flamingo.listened_s;
        heard.textContent = `Heard ${start.toFixed(1)} to ${end.toFixed(1)} s of ${event.music_flamingo.duration_s.toFixed(1)} s.`;
      }
    }
    for (const part of [thinking, said]) linkTimes(part);
  } catch (error) {
    if (error.name === "AbortError") heard.textContent = "Stopped.";
    else { item.remove(); complain(error); }
  } finally { said.classList.remove("busy"); busy(false); }
}

// What tools measured of what is asked, for a question on which the model was never trained; marked as that.
const TOPICS = {
  key: /\b(key|mode|tonic|major|minor)\b/i, tempo: /\b(tempo|bpm|fast|slow|speed)\b/i, beats: /\b(met(er|re)|time signature|beats? (in|per) (a|the)? ?bar)\b/i,
  chords: /\bchords?\b/i, sections: /\b(form|sections?|structure|chorus|verse)\b/i, instruments: /\b(instruments?|plays)\b/i,
  voice: /\b(voice|vocals?|sings?|singer)\b/i, genre: /\b(genre|style)\b/i, lyrics: /\b(lyrics|words)\b/i,
};

function measuredOf(question) {
  const known = model.music_flamingo.questions.some((q) => q.question === question);
  const name = known ? null : Object.keys(TOPICS).find((topic) => TOPICS[topic].test(question));
  return (name && [...$("facts").children].find((e) => e.dataset.fact === name)?.dataset.said) ?? null;
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) if (part.startsWith("data: {")) yield JSON.parse(part.slice(6));
  }
}

function linkTimes(paragraph) {
  const text = paragraph.textContent, nodes = [];
  let last = 0;
  for (const match of text.matchAll(TIME)) {
    const time = match[1] !== undefined ? 60 * match[1] + +match[2] : +match[3];
    if (song.duration && time > song.duration) continue;
    nodes.push(text.slice(last, match.index), jump(time, match[0], "time"));
    last = match.index + match[0].length;
  }
  paragraph.replaceChildren(...nodes, text.slice(last));
}

// --- small things ------------------------------------------------------------------------------------------------------

function busy(on) { $("send").disabled = on; $("stop").hidden = !on; }
function clock(t) { return `${Math.floor(t / 60)}:${String(Math.floor(t % 60)).padStart(2, "0")}`; }
function element(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text; // never as HTML: file names and a model's words are strangers' text
  if (kind) made.className = kind;
  return made;
}
function jump(time, text, kind) {
  const button = element("button", text, kind);
  button.type = "button";
  button.setAttribute("aria-label", `Go to ${clock(time)}: ${text}`);
  button.onclick = () => seek(time);
  return button;
}

$("file").onchange = (event) => event.target.files[0] && open(event.target.files[0]).catch(complain);
$("form").onsubmit = (event) => { event.preventDefault(); $("problem").textContent = ""; ask($("question").value.trim()); };
$("as-json").onclick = () => {
  const address = URL.createObjectURL(new Blob([JSON.stringify(song.facts, null, 1)], { type: "application/json" }));
  save(`${stem()}.json`, address);
  URL.revokeObjectURL(address);
};
$("as-png").onclick = () => save(`${stem()}.png`, cardOf(song, $("song-title").textContent, [...$("facts").children]).toDataURL("image/png"));
$("stop").onclick = () => running?.abort();
$("picture").onclick = (event) => seek((event.offsetX / $("picture").clientWidth) * (song.duration || 0));
$("picture").onkeydown = (event) => {
  const by = { ArrowLeft: -5, ArrowRight: 5 }[event.key];
  if (by) { event.preventDefault(); seek($("player").currentTime + by); }
};
$("player").ontimeupdate = draw;
window.addEventListener("resize", draw);
const drop = $("drop");
for (const name of ["dragover", "dragenter"]) document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const file = event.dataTransfer.files[0];
  if (file) open(file).catch(complain);
});
