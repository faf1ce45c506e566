// Tables of the leaderboard are sorted by the column whose heading is pressed.
"use strict";

document.querySelectorAll(".leaderboard table").forEach((table) => {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const body = table.tBodies[0];
      const falls = heading.getAttribute("aria-sort") !== "descending";
      const key = (row) => {
        const cell = row.cells[column];
        const value = cell.dataset.value;
        return value === undefined ? cell.textContent.trim() : Number(value);
      };
      const empty = (value) => value === "";
      const rows = [...body.rows].sort((one, other) => {
        const [a, b] = [key(one), key(other)];
        if (empty(a) || empty(b)) return empty(a) - empty(b); // what is not known comes last
        const order = typeof a === "number" && typeof b === "number" ? a - b
          : String(a).localeCompare(String(b));
        return falls ? -order : order;
      });
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", falls ? "descending" : "ascending");
      body.append(...rows);
    });
  });
});
