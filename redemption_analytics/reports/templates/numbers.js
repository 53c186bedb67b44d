// What a cell holds, to be ordered by: a number where it is one, else its text; nothing comes last.
const valueOf = (cell) => {
  const text = cell.textContent.trim().replaceAll(",", "").replaceAll("\u2212", "-");
  const found = /^(-?[\d.]+)(?: × 10(-?\d+))?%?$/.exec(text);
  if (found) return Number(found[1]) * 10 ** Number(found[2] ?? 0);
  return text === "-" || text === "" ? null : text;
};
