
  const state = document.getElementById("state");
  const box = document.querySelector("input");
  const url = location.origin + location.pathname; // fetch refuses one with a user and a password
  const patience = 15000; // for an answer, which comes after 10 seconds
  const sleep = time => new Promise(done => setTimeout(done, time));
  const main = document.querySelector("main");
  let etag = document.documentElement.dataset.etag;
  let ahead; // of this clock before the server's
  let filter = new AbortController(); // ends the question for another one's answer

  function ages() {
    for (const cell of main.querySelectorAll(".age")) {
      const time = cell.parentNode.querySelector("time").dateTime;
      const seconds = Math.max(0, Math.floor((Date.now() - ahead - Date.parse(time)) / 1000));
      const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
      cell.firstChild.data = (h ? h + "h" : "") + (h || m ? m + "m" : "") + s + "s";
    }
  }

  // Makes a copy of one element of another, and leaves alone what is equal: text that is selected stays so. What has a
  // key is known by it, and never changes places.
  function become(old, wanted) {
    for (const {name, value} of wanted.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const known = new Map(Array.from(old.children, child => [child.dataset.key, child]));
    let here = old.firstChild;
    for (const next of [...wanted.childNodes]) {
      const key = next.dataset?.key;
      while (key && known.has(key) && here !== known.get(key)) here = cut(here);
      if (!here || here.nodeName !== next.nodeName || here.dataset?.key !== key) {
        old.insertBefore(next, here);
        continue;
      }
      if (next.nodeType === Node.ELEMENT_NODE) become(here, next);
      else if (here.data !== next.data) here.data = next.data;
      here = here.nextSibling;
    }
    while (here) here = cut(here);
  }

  function cut(node) {
    const next = node.nextSibling;
    node.remove();
    return next;
  }

  // The server answers when there is something new. What it sends is parsed as a document, in which no script runs.
  async function update() {
    const headers = {"If-None-Match": etag};
    const signal = AbortSignal.any([filter.signal, AbortSignal.timeout(patience)]);
    const answer = await fetch(url + "?wait=10s&filter=" + encodeURIComponent(box.value), {headers, cache: "no-store", signal});
    if (answer.status === 304) return;
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    become(main, page.querySelector("main"));
    document.title = page.title;
    etag = page.documentElement.dataset.etag;
    ahead = Date.now() - Date.parse(main.dataset.now);
    ages();
  }

  async function follow() {
    state.textContent = "live";
    for (;;) {
      const mine = filter;
      try {
        await update();
        state.textContent = "live";
        state.className = "";
        await sleep(200);
      } catch {
        if (mine !== filter) continue;
        state.textContent = "the server does not answer";
        state.className = "bad";
        await sleep(1000);
      }
    }
  }

  box.form.addEventListener("submit", event => event.preventDefault());
  box.addEventListener("input", () => {
    history.replaceState(null, "", box.value ? "?filter=" + encodeURIComponent(box.value) : location.pathname);
    etag = "";
    filter.abort();
    filter = new AbortController();
  });

  ahead = Date.now() - Date.parse(main.dataset.now);
  ages();
  setInterval(ages, 1000);
  follow();
