// Shows the rows of the tables page by page, sorted and filtered. The page contains this script and
// its data; texts come from images, and only textContent receives them.
(() => {
  "use strict";
  document.documentElement.classList.remove("loading"); // the rows are replaced before they are shown
  const PAGE = matchMedia("(max-width: 44rem)").matches ? 10 : 25; // rows of a table at a time
  const PRINTED = 1000; // the most rows of a table on paper
  const DETAILS = 500; // the most images that the details of a row list
  const SEVERE = ["critical", "error", "high", "warning", "medium", "note", "low", "none", "unknown"];
  const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"];
  const data = JSON.parse(document.getElementById("data").textContent);
  const texts = data.texts;

  const isText = (kind) => !["count", "size", "score"].includes(kind);
  const formatCount = (number) => number.toLocaleString("en-US");

  function formatSize(bytes) {
    if (bytes < 0) return "unknown";
    if (bytes < 1024) return `${bytes} B`;
    let unit = -1;
    do {
      bytes /= 1024;
      unit += 1;
    } while (bytes >= 1023.95 && unit < UNITS.length - 1);
    return `${bytes.toFixed(1)} ${UNITS[unit]}`;
  }

  function formatValue(kind, value) {
    if (kind === "size") return formatSize(value);
    if (kind === "count") return formatCount(value);
    if (kind === "score") return value < 0 ? "" : (value / 10).toFixed(1);
    return texts[value];
  }

  function create(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  // Appends a text that may break after slashes.
  function fill(element, text) {
    text.split(/(?<=\/)/).forEach((part, number) => {
      if (number) element.append(document.createElement("wbr"));
      element.append(part);
    });
    return element;
  }

  // Restores ascending numbers from their differences.
  function restore(differences) {
    let number = 0;
    return differences.map((difference) => (number += difference));
  }

  // Lists the texts of the images that contain a layer or a package.
  const relations = {
    layers: (row) => restore(data.layerImages[row]).map((image) => data.images[image]),
    packages: (row) => {
      const sets = new Set();
      data.setPackages.forEach((differences, number) => {
        if (restore(differences).includes(row)) sets.add(number);
      });
      return data.images.filter((_, image) => data.imageSets[image].some((one) => sets.has(one)));
    },
  };

  class Table {
    constructor(element) {
      this.element = element;
      this.id = element.dataset.table;
      Object.assign(this, data.tables[this.id]); // kinds, columns, facts, relation
      this.body = element.tBodies[0];
      this.labels = [...element.tHead.rows[0].cells].map((cell) => cell.textContent);
      this.length = this.columns[0].length;
      this.sorted = null; // the column and the direction, 1 or -1
      this.choices = new Map(); // columns and the positions of the selected texts
      this.page = 0;
      this.expanded = new Set();
      this.prepareHead();
      this.createTools();
      this.update();
    }

    prepareHead() {
      // Styles for narrow screens change the display of these elements, which removes their roles.
      const roles = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", th: "columnheader" };
      for (const element of [this.element, ...this.element.querySelectorAll("thead, tbody, tr, th")]) {
        const role = roles[element.localName];
        if (role) element.setAttribute("role", role);
      }
      [...this.element.tHead.rows[0].cells].forEach((cell, column) => {
        const button = create("button", { type: "button" }, cell.textContent);
        button.addEventListener("click", () => this.sort(column));
        cell.replaceChildren(button);
      });
    }

    createTools() {
      const title = document.getElementById(`${this.id}-title`).textContent;
      this.input = create("input", { type: "search", autocomplete: "off", spellcheck: "false" });
      this.input.addEventListener("input", () => this.restart());
      const find = create("label", { class: "find" }, `Filter ${title.toLowerCase()}`, this.input);
      this.status = create("p", { class: "status", role: "status" });
      const tools = create("div", { class: "tools" }, find);
      this.kinds.forEach((kind, column) => {
        const select = kind === "choice" ? this.createChoice(column) : null;
        if (select) tools.append(create("label", {}, this.labels[column], select));
      });
      tools.append(this.status);
      this.before = create("button", { type: "button" }, "Previous");
      this.after = create("button", { type: "button" }, "Next");
      this.before.addEventListener("click", () => this.turn(-1));
      this.after.addEventListener("click", () => this.turn(1));
      this.position = create("span");
      this.pager = create("div", { class: "pager", role: "group", "aria-label": `Pages of ${title.toLowerCase()}` });
      this.pager.append(this.before, this.position, this.after);
      this.element.parentElement.before(tools);
      this.element.parentElement.after(this.pager);
    }

    createChoice(column) {
      const found = [...new Set(this.columns[column])];
      if (found.length < 2 || found.length > 100) return null;
      found.sort((a, b) => (texts[a] < texts[b] ? -1 : 1));
      const select = create("select", {}, create("option", { value: "" }, "All"));
      for (const text of found) {
        select.append(create("option", { value: String(text) }, texts[text] || "(none)"));
      }
      select.addEventListener("change", () => {
        if (select.value) this.choices.set(column, Number(select.value));
        else this.choices.delete(column);
        this.restart();
      });
      return select;
    }

    sort(column) {
      const first = isText(this.kinds[column]) ? 1 : -1;
      const again = this.sorted && this.sorted.column === column;
      this.sorted = { column, direction: again ? -this.sorted.direction : first };
      [...this.element.tHead.rows[0].cells].forEach((cell, position) => {
        if (position !== column) cell.removeAttribute("aria-sort");
        else cell.setAttribute("aria-sort", this.sorted.direction > 0 ? "ascending" : "descending");
      });
      this.restart();
    }

    restart() {
      this.page = 0;
      this.expanded.clear();
      this.update();
    }

    turn(pages) {
      this.page += pages;
      this.update();
      this.element.parentElement.scrollIntoView({ block: "nearest" });
    }

    // Computes which rows match, and their order.
    select() {
      let rows = Array.from({ length: this.length }, (_, row) => row);
      for (const [column, text] of this.choices) {
        rows = rows.filter((row) => this.columns[column][row] === text);
      }
      const columns = this.columns.filter((_, column) => isText(this.kinds[column]));
      for (const word of this.input.value.toLowerCase().split(/\s+/).filter(Boolean)) {
        const hits = new Uint8Array(texts.length);
        texts.forEach((text, number) => {
          if (text.toLowerCase().includes(word)) hits[number] = 1;
        });
        const inFacts = (row) => this.facts && this.facts[row].some((number) => hits[number]);
        rows = rows.filter((row) => columns.some((column) => hits[column[row]]) || inFacts(row));
      }
      if (this.sorted) {
        const { column, direction } = this.sorted;
        const values = this.columns[column];
        let value = (row) => values[row];
        if (this.labels[column] === "Severity") value = (row) => SEVERE.indexOf(texts[values[row]]);
        else if (isText(this.kinds[column])) value = (row) => texts[values[row]].toLowerCase();
        const keyed = rows.map((row) => [value(row), row]);
        keyed.sort((a, b) => (a[0] < b[0] ? -direction : a[0] > b[0] ? direction : a[1] - b[1]));
        rows = keyed.map((pair) => pair[1]);
      }
      return rows;
    }

    update() {
      this.rows = this.select();
      const pages = Math.max(Math.ceil(this.rows.length / PAGE), 1);
      this.page = Math.min(Math.max(this.page, 0), pages - 1);
      const start = this.page * PAGE;
      this.show(this.rows.slice(start, start + PAGE));
      const number = formatCount(this.length);
      const matching = this.rows.length === this.length ? number : `${formatCount(this.rows.length)} of ${number}`;
      this.status.textContent = `${matching} ${this.length === 1 ? "row" : "rows"}`;
      this.position.textContent = `Page ${formatCount(this.page + 1)} of ${formatCount(pages)}`;
      this.before.disabled = this.page === 0;
      this.after.disabled = this.page === pages - 1;
      this.pager.hidden = pages === 1;
    }

    show(rows) {
      this.body.replaceChildren();
      for (const row of rows) {
        this.body.append(this.createRow(row));
        if (this.expanded.has(row)) this.body.append(this.createDetails(row));
      }
    }

    createRow(row) {
      const line = create("tr", { role: "row" });
      this.kinds.forEach((kind, column) => {
        const value = this.columns[column][row];
        const text = formatValue(kind, value);
        const cell = create("td", { role: "cell", class: kind, "data-label": this.labels[column] });
        if (column === 0 && (this.facts || this.relation)) cell.append(this.createToggle(row, text, line));
        else if (this.labels[column] === "Severity") cell.append(create("span", { class: `severity ${text}` }, text));
        else if (kind === "choice") cell.textContent = text;
        else fill(cell, text);
        line.append(cell);
      });
      return line;
    }

    createToggle(row, text, line) {
      const button = fill(create("button", { type: "button", class: "more" }), text);
      button.setAttribute("aria-expanded", String(this.expanded.has(row)));
      button.addEventListener("click", () => {
        if (this.expanded.delete(row)) line.nextElementSibling.remove();
        else {
          this.expanded.add(row);
          line.after(this.createDetails(row));
        }
        button.setAttribute("aria-expanded", String(this.expanded.has(row)));
      });
      return button;
    }

    createDetails(row) {
      const list = create("dl");
      const add = (label, text) => {
        const code = text.startsWith("sha256:") ? create("code", {}, text) : text;
        list.append(create("dt", {}, label), create("dd", {}, code));
      };
      if (this.relation) {
        const images = relations[this.relation](row);
        add(`In ${images.length === 1 ? "1 image" : `${formatCount(images.length)} images`}`, "");
        const entry = list.lastElementChild;
        for (const image of images.slice(0, DETAILS)) entry.append(create("div", {}, texts[image]));
        if (images.length > DETAILS) entry.append(create("div", {}, `and ${formatCount(images.length - DETAILS)} more`));
      } else {
        const facts = this.facts[row];
        for (let place = 0; place < facts.length; place += 2) add(texts[facts[place]], texts[facts[place + 1]]);
      }
      const cell = create("td", { role: "cell", colspan: String(this.kinds.length) }, list);
      return create("tr", { role: "row", class: "details" }, cell);
    }
  }

  const tables = [...document.querySelectorAll("table[data-table]")].map((element) => new Table(element));
  const images = tables.find((table) => table.id === "images");

  // The treemap selects an image with a pointer; the filter of the table does the same.
  for (const tile of document.querySelectorAll("svg[data-image]")) {
    tile.addEventListener("click", () => {
      images.input.value = texts[data.images[Number(tile.dataset.image)]];
      images.restart();
      document.getElementById("images").scrollIntoView();
      images.input.focus({ preventScroll: true });
    });
  }
  window.addEventListener("beforeprint", () => {
    for (const table of tables) {
      table.show(table.rows.slice(0, PRINTED));
      const number = Math.min(table.rows.length, PRINTED);
      table.status.textContent = `${formatCount(number)} of ${formatCount(table.length)} rows are printed`;
    }
  });
  window.addEventListener("afterprint", () => {
    for (const table of tables) table.update();
  });
})();
