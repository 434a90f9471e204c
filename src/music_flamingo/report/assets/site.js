// Small helps on every page: reading values off charts, and filtering the catalogue. No library, no network.
"use strict";

function nearest(xs, x) {
  let best = 0;
  for (let i = 1; i < xs.length; i++) if (Math.abs(xs[i] - x) < Math.abs(xs[best] - x)) best = i;
  return best;
}

function readChart(figure) {
  const readings = JSON.parse(figure.dataset.readings);
  const [low, high] = JSON.parse(figure.dataset.range);
  const frame = figure.querySelector(".plot > svg");
  const rule = figure.querySelector(".rule");
  const output = figure.querySelector("output");
  figure.querySelector(".plot").addEventListener("pointermove", (event) => {
    const box = frame.getBoundingClientRect();
    const x = low + (high - low) * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const parts = readings.map((r) => r.y[nearest(r.x, x)]);
    const at = readings[0].x[nearest(readings[0].x, x)];
    const place = (100 * (at - low)) / (high - low) + "%";
    rule.setAttribute("x1", place);
    rule.setAttribute("x2", place);
    rule.style.visibility = "visible";
    output.textContent = `${figure.dataset.x} ${at}: ${parts.join(" · ")}`;
  });
  figure.querySelector(".plot").addEventListener("pointerleave", () => {
    rule.style.visibility = "hidden";
    output.textContent = output.dataset.rest;
  });
}

function filterRows(input) {
  const table = document.getElementById(input.getAttribute("aria-controls"));
  const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent.replaceAll("♭", "b").replaceAll("♯", "#").toLowerCase()]);
  const told = document.getElementById("found");
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    told.textContent = shown === rows.length ? told.dataset.all : `${shown} of ${rows.length}`;
  };
  input.addEventListener("input", show);
  if (location.hash.length > 1) {
    input.value = decodeURIComponent(location.hash.slice(1));
    show();
  }
}

document.querySelectorAll("[data-readings]").forEach(readChart);
document.querySelectorAll("input[data-filter]").forEach(filterRows);
