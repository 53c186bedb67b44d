const compare = (one, other) => {
  if (one === null || other === null) return (one === null) - (other === null);
  return typeof one === "number" && typeof other === "number"
    ? one - other
    : String(one).localeCompare(String(other), undefined, { numeric: true });
};

for (const place of document.querySelectorAll(".table[data-sortable]")) {
  const body = place.querySelector("tbody");
  const heads = [...place.querySelectorAll("thead th")];
  for (const [column, head] of heads.entries()) {
    if (body.rows[0]?.cells[column]?.querySelector("svg")) continue;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [valueOf(row.cells[column]), row]);
      rows.sort(([a], [b]) => (a === null || b === null || !down ? compare(a, b) : compare(b, a)));
      body.append(...rows.map(([, row]) => row));
    });
  }
  if (body.rows.length > 10) {
    const label = document.createElement("label");
    const search = document.createElement("input");
    search.type = "search";
    label.className = "search";
    label.append("Search ", search);
    search.addEventListener("input", () => {
      const wanted = search.value.toLocaleLowerCase();
      for (const row of body.rows)
        row.hidden = !row.cells[0].textContent.toLocaleLowerCase().includes(wanted);
    });
    place.before(label);
  }
}

// On paper nothing opens.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("main details")) fold.open = true;
});

(async () => {
  for (const place of document.querySelectorAll("[data-chart]")) {
    const spec = JSON.parse(document.getElementById(place.dataset.chart).textContent);
    // ast: expressions are interpreted, so that the page needs no permission to evaluate code.
    await vegaEmbed(place, spec, { actions: false, ast: true, renderer: "svg" });
    // One chart at a time: the page answers in between, and shows the pictures it came with.
    await new Promise((resolve) => setTimeout(resolve));
  }
  document.documentElement.dataset.drawn = Math.round(performance.now());
})();
