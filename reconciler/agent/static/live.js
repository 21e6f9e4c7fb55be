// Keeps the page as the server has it: one stream says that something changed, then the page is fetched again
// and each section that differs is replaced. Without this script the page reloads itself now and then.
"use strict";
(() => {
  const light = document.getElementById("live");
  const CALM = 20000; // relative times go stale even when nothing happens
  let busy = false, again = false, timer = 0, wait = 1000;

  const show = (state, words) => {
    if (!light) return;
    light.hidden = false;
    light.dataset.state = state;
    light.textContent = words;
  };

  const typing = () => {
    const at = document.activeElement;
    return at && at.matches("input, textarea, select") ? at.closest("section[id]") : null;
  };

  const keep = (from, to) => {
    for (const opened of from.querySelectorAll("details[id]")) {
      const same = to.querySelector(`#${CSS.escape(opened.id)}`);
      if (same) same.open = opened.open;
    }
    const froms = from.querySelectorAll("pre.output"), tos = to.querySelectorAll("pre.output");
    return () => froms.forEach((pre, n) => {
      if (!tos[n]) return;
      const end = pre.dataset.end !== "no";
      tos[n].scrollTop = end ? tos[n].scrollHeight : Number(pre.dataset.at || 0);
    });
  };

  const title = () => document.getElementById("state-title")?.textContent ?? "";

  const put = (fresh) => {
    const held = typing(), before = title();
    for (const section of document.querySelectorAll("section[id]")) {
      const next = fresh.getElementById(section.id);
      if (!next || section === held || section.innerHTML === next.innerHTML && section.className === next.className
          && section.hidden === next.hidden) continue;
      const focused = document.activeElement && section.contains(document.activeElement)
        ? document.activeElement.getAttribute("href") || document.activeElement.id : "";
      const scroll = keep(section, next);
      section.replaceWith(document.adoptNode(next));
      scroll();
      if (focused) {
        const back = [...next.querySelectorAll("a, button, summary, pre")]
          .find((node) => node.getAttribute("href") === focused || node.id === focused);
        if (back) back.focus({ preventScroll: true });
      }
    }
    // Read aloud only from a place that stays: what is put in anew is not heard.
    if (title() !== before) document.getElementById("heard").textContent = title();
  };

  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.ok) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch (error) {
      show("off", "not reachable");
    }
    busy = false;
    if (again) { again = false; refresh(); }
  };

  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => { if (!document.hidden) refresh(); soon(); }, CALM);
  };

  const listen = () => {
    const stream = new EventSource("/live");
    stream.addEventListener("open", () => { wait = 1000; show("on", "live"); });
    stream.addEventListener("status", () => { if (!document.hidden) refresh(); soon(); });
    stream.addEventListener("error", () => {
      show("off", "reconnecting");
      if (stream.readyState === EventSource.CLOSED) {
        setTimeout(listen, wait);
        wait = Math.min(wait * 2, 60000);
      }
    });
    addEventListener("pagehide", () => stream.close(), { once: true });
  };

  document.addEventListener("scroll", (event) => {
    const pre = event.target;
    if (!(pre instanceof HTMLElement) || !pre.matches("pre.output")) return;
    pre.dataset.at = pre.scrollTop;
    pre.dataset.end = pre.scrollTop + pre.clientHeight >= pre.scrollHeight - 8 ? "yes" : "no";
  }, true);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  for (const pre of document.querySelectorAll("pre.output")) pre.scrollTop = pre.scrollHeight;
  listen();
  soon();
})();
