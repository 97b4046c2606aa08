"use strict";
(() => {
  const table = document.getElementById("rows");
  if (!table) return;
  document.body.classList.add("script");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const input = document.getElementById("search");
  const found = document.getElementById("found");
  const search = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      const fits = words.every((word) => texts[index].includes(word));
      row.classList.toggle("hidden", !fits);
      if (fits) shown += 1;
    });
    found.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  };
  input.addEventListener("input", search);
  const heads = Array.from(table.tHead.rows[0].cells);
  const sort = (head, column) => {
    const descending = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const text = (row) => row.cells[column].textContent;
    const compare = head.classList.contains("number")
      ? (one, other) => Number(text(one)) - Number(text(other))
      : (one, other) => text(one).localeCompare(text(other), "en", { numeric: true });
    const sorted = rows.slice().sort((one, other) => (descending ? -compare(one, other) : compare(one, other)));
    body.append(...sorted);
  };
  heads.forEach((head, column) => {
    head.classList.add("sortable");
    head.tabIndex = 0;
    head.addEventListener("click", () => sort(head, column));
    head.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sort(head, column);
      }
    });
  });
  // A link to the page may end with what to search for: #timeout
  const start = () => {
    const hash = location.hash.slice(1);
    try {
      input.value = decodeURIComponent(hash);
    } catch {
      input.value = hash;
    }
    search();
  };
  addEventListener("hashchange", start);
  start();
})();
