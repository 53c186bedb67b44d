// The same in the forms of the page's locale, which the page tells.
const { decimal, group } = document.documentElement.dataset;
const valueOf = (cell) => {
  const text = cell.textContent
    .trim()
    .replaceAll(group, "")
    .replaceAll(decimal, ".")
    .replaceAll("\u2212", "-");
  const found = /^%?(-?[\d.]+)(?: × 10(-?\d+))?\s*%?$/.exec(text);
  if (found) return Number(found[1]) * 10 ** Number(found[2] ?? 0);
  return text === "-" || text === "" ? null : text;
};
