// Live pages: one stream for the browser, whose tab tells the others; what changed is asked for as a page.
(() => {
  if (!window.bridge) return;
  const { $, all, root, say, store, times } = window.bridge;
  const live = $('#live'), topics = ($('main').dataset.topics || '').split(' ').filter(Boolean);
  const known = {};
  let due = null, last = 0, stream = null, release = null, polling = null;
  const isOn = () => store('live') !== 'off';
  const hear = (topic, counter) => {
    const before = known[topic];
    known[topic] = counter;
    live.dataset.heard = '';
    if (before === undefined || before === counter || !topics.includes(topic) || due) return;
    due = setTimeout(refresh, Math.max(0, last + 2000 - Date.now()));
  };
  const channel = 'BroadcastChannel' in window ? new BroadcastChannel('bridge' + root) : null;
  if (channel) channel.onmessage = ({ data: [topic, counter] }) => { // a tab that opens asks what is known
    if (topic !== '?') hear(topic, counter);
    else if (stream) Object.entries(known).forEach(each => channel.postMessage(each));
  };
  const heard = (topic, counter) => { hear(topic, counter); if (channel) channel.postMessage([topic, counter]); };

  async function refresh() {
    due = null; last = Date.now();
    if (document.hidden || !isOn()) return;
    const url = new URL(location.href);
    url.searchParams.delete('panel');
    let answer;
    try { answer = await fetch(url, { headers: { 'HX-Request': 'true', 'HX-Request-Type': 'partial' } }); } catch { return stale(true); }
    if (answer.status === 401) return location.reload();
    if (!answer.ok) return stale(true);
    stale(false);
    const page = window.bridgePage(await answer.text());
    all('main [data-live]').forEach(old => {
      const made = page.getElementById(old.id);
      if (made) made.matches('[data-rows]') ? renew(old, made) : morph(old, made);
    });
    times();
  }
  const busy = each => each.contains(document.activeElement) || $('input:checked', each) ||
    (getSelection().toString() && getSelection().containsNode(each, true));
  const morph = (old, made) => {
    if (old.outerHTML !== made.outerHTML && !busy(old)) htmx.swap({ text: made.outerHTML, target: old, swap: 'outerMorph', sourceElement: old });
  };
  const renew = (old, made) => { // rows change in place; new ones wait behind a button
    const body = $('tbody', old), next = $('tbody', made);
    if (!body || !next) return morph(old, made);
    const fresh = all('tr', next).filter(row => !document.getElementById(row.id));
    all('tr', next).forEach(row => { const there = document.getElementById(row.id); if (there) morph(there, row); });
    let button = $('.new', old);
    if (!fresh.length || new URL(location.href).searchParams.has('cursor')) return;
    if (!button) {
      button = document.createElement('button');
      button.type = 'button';
      button.className = 'btn new';
      $('.wrap', old).before(button);
    }
    button.textContent = old.dataset.new.replace('#', fresh.length);
    button.onclick = () => {
      button.remove();
      htmx.swap({ text: next.outerHTML, target: body, swap: 'outerHTML', sourceElement: body });
    };
    say(button.textContent);
  };
  const stale = is => {
    let bar = $('#stale');
    if (is && !bar) {
      bar = document.createElement('p');
      bar.id = 'stale';
      bar.className = 'card alarm r';
      bar.textContent = $('main').dataset.stale.replace('#', new Date(last).toLocaleTimeString());
      $('main').prepend(bar);
    } else if (!is && bar) bar.remove();
    if (is && !due) due = setTimeout(refresh, 5000);
  };

  const listen = () => new Promise(done => {
    stream = new EventSource(`${root}/live`);
    stream.onmessage = ({ data }) => { const [topic, counter] = data.split(' '); heard(topic, counter); };
    stream.onopen = () => stale(false);
    stream.onerror = () => { stale(true); if (stream.readyState === EventSource.CLOSED) { stop(); setTimeout(start, 5000); } };
    release = done;
  });
  const poll = async () => {
    try {
      const answer = await fetch(`${root}/live/now`, { headers: { 'HX-Request': 'true' } });
      if (answer.status === 401) return location.reload();
      Object.entries(await answer.json()).forEach(([topic, counter]) => hear(topic, String(counter)));
    } catch { stale(true); }
  };
  const stop = () => {
    if (stream) stream.close();
    if (release) release();
    if (waits) waits.abort();
    clearInterval(polling);
    stream = release = polling = waits = null;
  };
  let waits = null;
  const start = () => {
    if (document.hidden || !isOn() || !topics.length || waits || polling) return;
    if (!navigator.locks || !channel) { poll(); polling = setInterval(poll, 5000); return; }
    channel.postMessage(['?']);
    waits = new AbortController();
    navigator.locks.request('bridge' + root, { signal: waits.signal }, listen).catch(() => {});
  };
  const show = () => {
    live.classList.toggle('hidden', !topics.length);
    live.textContent = isOn() ? live.dataset.on : live.dataset.off;
    live.setAttribute('aria-pressed', String(isOn()));
  };
  live.addEventListener('click', () => { store('live', isOn() ? 'off' : 'on'); show(); stop(); start(); });
  document.addEventListener('visibilitychange', () => { stop(); if (!document.hidden) { start(); if (topics.length && Object.keys(known).length) refresh(); } });

  show();
  start();
})();
