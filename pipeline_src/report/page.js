"use strict";

// Tables of class sortable: a click on a column's head sorts, another turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const key = (row) => {
        const cell = row.cells[column];
        const text = cell.textContent.trim();
        return cell.classList.contains("n") ? parseFloat(text.replace("−", "-")) : text;
      };
      const order = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));
      // Rows without a number, whether failed or not evaluated, stay at the end, whichever the order.
      const rows = [...body.rows].sort((one, two) => {
        const a = key(one), b = key(two);
        const missing = Number(Number.isNaN(a)) - Number(Number.isNaN(b));
        return missing || (down ? order(b, a) : order(a, b)) || 0;
      });
      body.append(...rows);
    });
  });
}

// The population explorer: a point for every individual; pointing at one, or moving on with the arrow keys, shows it.
const explorer = document.getElementById("explorer");
if (explorer) {
  const { terms, individuals } = JSON.parse(document.getElementById("population").textContent);
  const space = "http://www.w3.org/2000/svg";
  const element = (name, attributes) => {
    const made = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  explorer.hidden = false;
  // As wide as there is room for, so that its letters are of the page's size.
  const width = Math.max(300, Math.min(760, explorer.querySelector(".picture").clientWidth));
  const [height, left, bottom] = [300, 56, 34];
  const picture = element("svg", {
    viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "application",
    "aria-label": "Individuals by generation and fitness; arrow keys move from one to the next",
  });
  const fitness = individuals.map((one) => one.f);
  const generations = individuals.map((one) => one.g);
  const low = Math.min(...fitness), high = Math.max(...fitness), last = Math.max(...generations, 1);
  const x = (one) => left + 10 + (one.g / last) * (width - left - 30) + ((one.i * 0.618) % 1 - 0.5) * Math.min(14, 400 / (last + 1));
  const y = (one) => 30 + (1 - (one.f - low) / (high - low || 1)) * (height - bottom - 44);
  const label = (text, place) => {
    const made = element("text", { ...place, fill: "currentColor", "font-size": 12 });
    made.textContent = text;
    picture.append(made);
  };
  for (const value of new Set([low, (low + high) / 2, high])) {
    label(value.toPrecision(3), { x: left - 6, y: y({ f: value }) + 4, "text-anchor": "end" });
    picture.append(element("line", { x1: left, x2: width - 8, y1: y({ f: value }), y2: y({ f: value }), class: "rule" }));
  }
  const named = new Set([0, Math.round(last / 2), last].filter((g) => generations.includes(g)));
  for (const g of named) label(g, { x: x({ g, i: 0 }), y: height - 16, "text-anchor": "middle" });
  label("generation", { x: width / 2, y: height - 2, "text-anchor": "middle" });
  label("fitness", { x: 4, y: 12 });
  const points = individuals.map((one) => {
    const point = element("circle", { cx: x(one), cy: y(one), r: 4.5 });
    picture.append(point);
    return point;
  });
  const choice = explorer.querySelector("select");
  for (const name of terms) choice.append(new Option(name, name));
  const colour = () => {
    const term = terms.indexOf(choice.value);
    points.forEach((point, number) => {
      point.style.fillOpacity = term < 0 ? 0.55 : 0.12 + 0.88 * individuals[number].w[term];
    });
  };
  choice.addEventListener("change", colour);
  colour();
  const shown = explorer.querySelector("output");
  let current = -1;
  const show = (number) => {
    if (number < 0 || number >= individuals.length) return;
    points[current]?.classList.remove("shown");
    current = number;
    points[current].classList.add("shown");
    picture.append(points[current]);
    const one = individuals[number];
    const title = document.createElement("p");
    title.textContent = `generation ${one.g}, individual ${one.i}: fitness ${one.f.toPrecision(4)}`;
    const list = document.createElement("ol");
    terms.map((name, place) => [name, one.w[place]]).sort((a, b) => b[1] - a[1]).forEach(([name, weight]) => {
      const line = document.createElement("li");
      line.style.setProperty("--share", `${100 * weight}%`);
      line.textContent = `${name} ${weight.toFixed(2)}`;
      list.append(line);
    });
    shown.replaceChildren(title, list);
  };
  points.forEach((point, number) => {
    point.addEventListener("pointerenter", () => show(number));
    point.addEventListener("click", () => show(number));
  });
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      show(current + step);
    }
  });
  explorer.querySelector(".picture").append(picture);
  show(individuals.indexOf(individuals.reduce((best, one) => (one.f > best.f ? one : best))));
}
