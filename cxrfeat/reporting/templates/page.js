const all = (what, within = document) => [...within.querySelectorAll(what)];

// Tables: a click or Enter on a heading sorts by it, largest first for numbers; what is not there comes last.
for (const table of all("table.sortable")) {
  const body = table.tBodies[0], said = table.closest(".scroll").querySelector("[role=status]");
  all("thead th", table).forEach((head, place) => head.querySelector("button")?.addEventListener("click", () => {
    const rows = [...body.rows], told = rows.map((row) => row.cells[place].dataset.value ?? row.cells[place].textContent.trim());
    const numeric = told.every((value) => value === "" || !Number.isNaN(Number(value)));
    const before = head.getAttribute("aria-sort");
    const down = before === "none" ? numeric : before === "ascending";
    const order = rows.map((row, at) => [told[at], row]).sort(([a], [b]) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      return (numeric ? a - b : a.localeCompare(b)) * (down ? -1 : 1);
    });
    body.append(...order.map(([, row]) => row));
    all("thead th[aria-sort]", table).forEach((one) => one.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    said.textContent = `Sorted by ${head.textContent.trim()}, ${down ? "descending" : "ascending"}.`;
  }));
}

// Heat maps: the slider goes from the image to the image under its heat map.
for (const slider of all(".heat input[type=range]")) {
  const over = slider.closest(".heat").querySelector(".over"), output = slider.parentElement.querySelector("output");
  const show = () => {
    over.style.opacity = slider.value / 100;
    output.textContent = `${slider.value} %`;
    slider.setAttribute("aria-valuetext", `${slider.value} % heat`);
  };
  slider.addEventListener("input", show);
  show();
}

// Runs: all at once, and the one that a link leads to.
const runs = all("details.run");
document.getElementById("open-runs")?.addEventListener("click", () => runs.forEach((run) => { run.open = true; }));
document.getElementById("close-runs")?.addEventListener("click", () => runs.forEach((run) => { run.open = false; }));
const named = (hash) => {
  try { return decodeURIComponent(hash.slice(1)); } catch { return ""; } // a lone % is no code
};
const reveal = () => {
  const aim = document.getElementById(named(location.hash));
  if (aim instanceof HTMLDetailsElement) aim.open = true;
};
addEventListener("hashchange", reveal);
reveal();

// Feature maps: one dot is in the tab order; the arrows go to the nearest dot in their direction.
for (const map of all(".map")) {
  const plane = map.querySelector(".plane"), dots = all(".dot", plane), told = map.querySelector(".told");
  const places = dots.map((dot) => dot.getAttribute("transform").match(/-?[\d.]+/g).map(Number));
  const tile = told.querySelector(".tile"), words = told.querySelector("p"), side = Number(map.dataset.side), wide = Number(map.dataset.columns);
  let chosen = null;
  const choose = (dot) => {
    chosen?.classList.remove("chosen");
    chosen = dot;
    dot.classList.add("chosen");
    words.textContent = dot.getAttribute("aria-label");
    if (!tile) return;
    const at = Number(dot.dataset.tile);
    tile.setAttribute("viewBox", `${(at % wide) * side} ${Math.floor(at / wide) * side} ${side} ${side}`);
    tile.removeAttribute("hidden");
  };
  const go = (dot) => {
    dots.forEach((one) => one.setAttribute("tabindex", one === dot ? "0" : "-1"));
    dot.focus();
  };
  plane.addEventListener("pointerover", (event) => event.target.matches(".dot") && choose(event.target));
  plane.addEventListener("focusin", (event) => event.target.matches(".dot") && choose(event.target));
  plane.addEventListener("keydown", (event) => {
    const turn = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    const here = dots.indexOf(event.target);
    if (here < 0 || !(turn || event.key === "Home" || event.key === "End")) return;
    event.preventDefault();
    if (!turn) return go(dots[event.key === "Home" ? 0 : dots.length - 1]);
    let best = -1, least = Infinity;
    places.forEach(([x, y], at) => {
      const dx = x - places[here][0], dy = y - places[here][1];
      const along = dx * turn[0] + dy * turn[1], aside = Math.abs(dx * turn[1]) + Math.abs(dy * turn[0]);
      if (at !== here && along > 0 && along >= aside && along + 2 * aside < least) [best, least] = [at, along + 2 * aside];
    });
    if (best >= 0) go(dots[best]);
  });
  const shapes = JSON.parse(map.dataset.shapes);
  for (const choice of all("input[type=radio]", map)) {
    choice.addEventListener("change", () => {
      for (const dot of dots) {
        const kind = Number(dot.dataset[choice.value]);
        dot.setAttribute("d", shapes[kind % shapes.length]);
        dot.classList.remove("c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7");
        dot.classList.add(`c${kind % 8}`);
      }
      all(".legend[data-by]", map).forEach((legend) => { legend.hidden = legend.dataset.by !== choice.value; });
    });
  }
}
