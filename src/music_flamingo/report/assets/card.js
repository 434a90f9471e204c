// A song's card as a PNG of 1200 x 630: what the page shows, drawn on a canvas in this browser.
"use strict";

(function () {
  const WIDTH = 1200, HEIGHT = 630, MARGIN = 64;
  const button = document.querySelector(".to-png");

  function fitted(pen, text, width) {
    if (pen.measureText(text).width <= width) return text;
    let end = text.length;
    while (end && pen.measureText(text.slice(0, end) + "…").width > width) end--;
    return text.slice(0, end) + "…";
  }

  function drawWave(pen, color, top, tall) {
    const svg = document.querySelector(".timeline .wave");
    const [, , bins] = svg.getAttribute("viewBox").split(" ").map(Number);
    pen.save();
    pen.translate(MARGIN, top);
    pen.scale((WIDTH - 2 * MARGIN) / bins, tall / 2);
    pen.fillStyle = color("--faint");
    pen.globalAlpha = 0.5;
    pen.fill(new Path2D(document.getElementById("peak").getAttribute("d")));
    pen.globalAlpha = 1;
    pen.fill(new Path2D(document.getElementById("rms").getAttribute("d")));
    pen.restore();
  }

  function drawLanes(pen, top, bottom) {
    const wide = WIDTH - 2 * MARGIN, tall = 22;
    for (const lane of document.querySelectorAll(".lanes.measured .lane")) {
      if (top + tall > bottom) return;
      for (const block of lane.querySelectorAll(".block")) {
        const left = MARGIN + (parseFloat(block.style.left) / 100) * wide, width = (parseFloat(block.style.width) / 100) * wide;
        const style = getComputedStyle(block);
        pen.fillStyle = style.backgroundColor;
        pen.fillRect(left, top, Math.max(1, width - 1), tall);
        pen.fillStyle = style.color;
        pen.font = "14px sans-serif";
        if (pen.measureText(block.textContent).width < width - 8) pen.fillText(block.textContent, left + 5, top + 16);
      }
      top += tall + 4;
    }
  }

  function drawFacts(pen, color, top) {
    const rows = [...document.querySelectorAll("tr[data-fact]")].slice(0, 8);
    rows.forEach((row, place) => {
      const x = MARGIN + (place % 2) * ((WIDTH - 2 * MARGIN) / 2), y = top + Math.floor(place / 2) * 34;
      pen.font = "18px sans-serif";
      pen.fillStyle = color("--soft");
      pen.fillText(row.dataset.fact, x, y);
      pen.fillStyle = color("--ink");
      pen.fillText(fitted(pen, row.dataset.value, WIDTH / 2 - MARGIN - 150), x + 120, y);
    });
  }

  function card() {
    const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement), color = (name) => style.getPropertyValue(name).trim();
    canvas.width = WIDTH;
    canvas.height = HEIGHT;
    pen.fillStyle = color("--paper");
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    pen.fillStyle = color("--ink");
    pen.font = "600 46px serif";
    pen.fillText(fitted(pen, document.querySelector("h1").textContent, WIDTH - 2 * MARGIN), MARGIN, 92);
    pen.fillStyle = color("--soft");
    pen.font = "19px sans-serif";
    pen.fillText(fitted(pen, document.querySelector(".title .soft").textContent.trim(), WIDTH - 2 * MARGIN), MARGIN, 128);
    drawWave(pen, color, 150, 120);
    drawLanes(pen, 284, 420);
    drawFacts(pen, color, 458);
    pen.fillStyle = color("--accent");
    pen.font = "600 18px serif";
    pen.fillText("Music Flamingo", MARGIN, HEIGHT - 22);
    return canvas;
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = card().toDataURL("image/png");
    link.download = `${document.querySelector("h1").textContent.trim().replace(/[^\p{L}\p{N}]+/gu, "-") || "song"}.png`;
    link.click();
  });
})();
