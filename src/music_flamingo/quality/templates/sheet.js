"use strict";
(() => {
  const { name, items } = JSON.parse(document.getElementById("data").textContent);
  const key = "mf-review-" + name;
  const $ = (id) => document.getElementById(id);
  const audio = $("audio");
  let ratings = {};
  let at = 0;
  let stopAt = null;
  try { ratings = JSON.parse(localStorage.getItem(key)) || {}; } catch { ratings = {}; }
  const save = () => { try { localStorage.setItem(key, JSON.stringify(ratings)); } catch { /* a private window */ } };
  const of = (item) => ratings[item.id] || { rating: "", note: "" };

  function show(index) {
    at = Math.max(0, Math.min(items.length - 1, index));
    const item = items[at];
    stopAt = null;
    audio.src = item.clip;
    $("where").textContent = `${at + 1} of ${items.length}`;
    for (const part of ["question", "answer", "rationale", "teacher", "id"]) $(part).textContent = item[part] || "(none)";
    $("kind").textContent = [item.skill, item.type, item.family].join(" / ");
    fill($("options"), item.options, (node, option) => node.classList.toggle("right", option === item.answer));
    list($("facts"), item.facts);
    const time = (s) => (s + item.clip_start_s).toFixed(1);
    list($("references"), item.cited.map((c) => `${time(c.start_s)} to ${time(c.end_s)} s ${c.label}`));
    $("cited").disabled = !item.cited.length;
    $("note").value = of(item).note;
    drawLine(item);
    mark();
  }

  function fill(node, texts, each) {
    node.replaceChildren(...texts.map((text) => {
      const entry = document.createElement("li");
      entry.textContent = text;
      if (each) each(entry, text);
      return entry;
    }));
  }

  function list(node, texts) {
    const ul = document.createElement("ul");
    fill(ul, texts);
    node.replaceChildren(ul);
  }

  function drawLine(item) {
    const place = (s) => `${Math.max(0, Math.min(100, (100 * s) / item.clip_s))}%`;
    const marks = item.cited.map((c) => {
      const ref = document.createElement("div");
      ref.className = "ref";
      ref.style.left = place(c.start_s);
      ref.style.width = `calc(${place(c.end_s)} - ${place(c.start_s)})`;
      ref.title = c.label;
      return ref;
    });
    const head = document.createElement("div");
    head.className = "head";
    $("line").replaceChildren(...marks, head);
  }

  function mark() {
    const item = items[at];
    const { rating } = of(item);
    for (const button of document.querySelectorAll("[data-rate]")) {
      button.setAttribute("aria-pressed", String(button.dataset.rate === rating));
    }
    $("fate").textContent = rating ? item.fate : "(shown once rated)";
    const count = (name) => items.filter((i) => of(i).rating === name).length;
    $("counts").textContent = `${count("right")} right, ${count("wrong")} wrong, ${count("unsure")} unsure`;
  }

  function rate(rating) {
    const item = items[at];
    ratings[item.id] = { ...of(item), rating: of(item).rating === rating ? "" : rating };
    save();
    mark();
  }

  function playCited() {
    const item = items[at];
    if (!item.cited.length) return;
    const start = Math.max(0, Math.min(...item.cited.map((c) => c.start_s)));
    stopAt = Math.max(start + 1, ...item.cited.map((c) => c.end_s));
    audio.currentTime = start;
    audio.play();
  }

  function quoted(text) {
    // a leading =, +, - or @ would be a formula to a spreadsheet
    const safe = /^[=+\-@\t\r]/.test(text) ? "'" + text : text;
    return '"' + safe.replaceAll('"', '""') + '"';
  }

  const rows = () => items.map((i) => ({ id: i.id, stratum: i.stratum, rating: of(i).rating, note: of(i).note }))
    .filter((row) => row.rating || row.note);
  const asCsv = () => ["id,stratum,rating,note", ...rows().map((r) => Object.values(r).map(quoted).join(","))].join("\r\n") + "\r\n";
  const asJsonl = () => rows().map((row) => JSON.stringify(row)).join("\n") + "\n";

  function download(text, fileName, type) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = fileName;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  for (const button of document.querySelectorAll("[data-rate]")) button.onclick = () => rate(button.dataset.rate);
  $("back").onclick = () => show(at - 1);
  $("next").onclick = () => show(at + 1);
  $("cited").onclick = playCited;
  $("csv").onclick = () => download(asCsv(), "ratings.csv", "text/csv");
  $("jsonl").onclick = () => download(asJsonl(), "ratings.jsonl", "application/x-ndjson");
  $("clear").onclick = () => { if (confirm("Forget all ratings of this sheet?")) { ratings = {}; save(); show(at); } };
  $("note").oninput = () => { ratings[items[at].id] = { ...of(items[at]), note: $("note").value }; save(); };
  $("line").onclick = (event) => {
    const box = $("line").getBoundingClientRect();
    audio.currentTime = ((event.clientX - box.left) / box.width) * items[at].clip_s;
  };
  audio.ontimeupdate = () => {
    const head = $("line").querySelector(".head");
    if (head) head.style.left = `${(100 * audio.currentTime) / items[at].clip_s}%`;
    if (stopAt !== null && audio.currentTime >= stopAt) { audio.pause(); stopAt = null; }
  };
  const keys = {
    1: () => rate("right"), 2: () => rate("wrong"), 3: () => rate("unsure"), r: playCited,
    ArrowLeft: () => show(at - 1), ArrowRight: () => show(at + 1), n: () => $("note").focus(),
    " ": () => (audio.paused ? audio.play() : audio.pause()),
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { document.activeElement.blur(); return; }
    if (event.target.closest("textarea, audio") || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key];
    if (act && items.length) { event.preventDefault(); act(); }
  });
  window.mfReview = { asCsv, asJsonl };
  if (items.length) {
    $("card").hidden = false;
    const first = items.findIndex((i) => !of(i).rating);
    show(first < 0 ? 0 : first);
  }
})();
