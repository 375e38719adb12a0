"use strict";
(() => {
  const form = document.getElementById("filter");
  const output = form.querySelector("output");
  const nothing = document.querySelector(".nothing");
  const items = Array.from(document.querySelectorAll("main [data-a]"), element => ({
    element,
    area: element.dataset.a,
    verdict: element.dataset.v,
    requirement: "r" in element.dataset,
    group: element.closest("[data-group]"),
    section: element.closest("[data-section]"),
    text: null,
  }));
  const groups = Array.from(document.querySelectorAll("[data-group]"));
  const folds = Array.from(document.querySelectorAll("[data-fold]"), element => ({
    element, cards: Array.from(element.querySelectorAll("[data-a]")),
  }));
  const sections = Array.from(document.querySelectorAll("[data-section]"));
  const cases = items.filter(item => !item.requirement).length;
  const opened = new Set();
  // More rows than this are not opened at once: the reader narrows the filter first.
  const OPEN_ROWS = 300;

  function textOf(item) {
    if (item.text === null) {
      const heading = item.element.matches(".case") ? item.group.querySelector(".promise").textContent : "";
      item.text = (heading + " " + item.element.textContent).toLowerCase();
    }
    return item.text;
  }

  function apply() {
    const words = form.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const area = form.area.value;
    const verdicts = new Set(Array.from(form.querySelectorAll("[name=verdict]:checked"), box => box.value));
    const active = Boolean(words.length || area || verdicts.size);
    const inGroup = new Map(), inSection = new Map();
    let shown = 0;
    for (const item of items) {
      const keep = (!area || item.area === area)
        && (!verdicts.size || (!item.requirement && verdicts.has(item.verdict)))
        && words.every(word => textOf(item).includes(word));
      item.element.hidden = !keep;
      if (keep) {
        inGroup.set(item.group, (inGroup.get(item.group) || 0) + 1);
        inSection.set(item.section, (inSection.get(item.section) || 0) + 1);
        if (!item.requirement) shown += 1;
      }
    }
    for (const group of groups) {
      group.hidden = active && !inGroup.has(group);
      if (!group.matches("details")) continue;
      if (active && shown <= OPEN_ROWS && !group.hidden && !group.open) {
        group.open = true;
        opened.add(group);
      } else if (!active && opened.delete(group)) {
        group.open = false;
      }
    }
    for (const fold of folds) {
      fold.element.hidden = active && fold.cards.every(card => card.hidden);
      if (active && shown <= OPEN_ROWS && !fold.element.hidden && !fold.element.open) {
        fold.element.open = true;
        opened.add(fold.element);
      } else if (!active && opened.delete(fold.element)) {
        fold.element.open = false;
      }
    }
    for (const section of sections) section.hidden = active && !inSection.has(section);
    output.textContent = active ? `${shown.toLocaleString("en")} of ${cases.toLocaleString("en")} cases` : "";
    form.querySelector("[type=reset]").hidden = !active;
    nothing.hidden = !active || inSection.size > 0;
  }

  let timer = 0;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, 120);
  });
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", event => event.preventDefault());
  document.addEventListener("keydown", event => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.target.closest("input, select, textarea")) {
      event.preventDefault();
      form.text.focus();
    }
  });

  document.addEventListener("click", async event => {
    const link = event.target.closest("a[data-area]");
    if (link) {
      event.preventDefault();
      form.area.value = form.area.value === link.dataset.area ? "" : link.dataset.area;
      apply();
      const first = sections.find(section => !section.hidden);
      if (first) first.scrollIntoView();
      return;
    }
    const button = event.target.closest(".copy");
    if (!button) return;
    const command = button.parentElement.querySelector("pre");
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(command);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  function reveal() {
    let id = "";
    try { id = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const target = id && document.getElementById(id);
    if (!target) return;
    if (target.hidden) form.reset();
    for (let box = target; box; box = box.parentElement) if (box.matches("details")) box.open = true;
    setTimeout(() => target.scrollIntoView());
  }
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => {
    for (const element of document.querySelectorAll(".case, .members")) element.open = true;
  });

  form.hidden = false;
  for (const button of document.querySelectorAll(".copy")) button.hidden = false;
  if (matchMedia("(max-width: 40rem)").matches) document.querySelector(".about").open = false;
  reveal();
})();
