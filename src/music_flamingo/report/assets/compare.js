// Two of the table's songs at a time. The address `compare.html#one&other` opens with these; without a script all stand.
"use strict";

(function () {
  const table = document.getElementById("compared");
  const [one, other] = [document.getElementById("one"), document.getElementById("other")];
  const [first, second] = decodeURIComponent(location.hash.slice(1)).split("&");
  const has = (select, name) => [...select.options].some((option) => option.value === name);
  if (has(one, first)) one.value = first;
  if (has(other, second)) other.value = second;
  else other.selectedIndex = one.selectedIndex ? 0 : 1;

  function said(row, song) {
    return row.querySelector(`[data-song="${CSS.escape(song)}"]`).querySelector(".value")?.textContent ?? "";
  }

  function show() {
    const shown = [one.value, other.value];
    for (const cell of table.querySelectorAll("[data-song]")) cell.hidden = !shown.includes(cell.dataset.song);
    let differ = 0;
    for (const row of table.querySelectorAll(".fact")) {
      row.hidden = shown.every((song) => !said(row, song));
      const is = said(row, shown[0]) !== said(row, shown[1]);
      row.classList.toggle("differs", is);
      differ += is && !row.hidden;
    }
    document.getElementById("differ").textContent = `${differ} facts differ`;
    history.replaceState(null, "", `#${shown.map(encodeURIComponent).join("&")}`);
  }

  document.querySelector(".chosen").hidden = false;
  one.addEventListener("change", show);
  other.addEventListener("change", show);
  show();
})();
