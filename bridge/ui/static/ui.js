// What pages do beyond links and forms. Each page works without this file.
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const root = document.body.dataset.root;
  if (root === undefined) return countdown();
  const store = (name, value) => {
    try { return value === undefined ? localStorage.getItem(name) : localStorage.setItem(name, value); } catch { return null; }
  };
  let lastSaid = 0;
  const say = text => { // at most one sentence in five seconds
    if (Date.now() - lastSaid < 5000) return;
    lastSaid = Date.now();
    $('#told').textContent = text;
  };

  // ---- times: relative, or exact in the zone of the browser --------------------------------------------
  const units = [[172800, 86400, 'd'], [7200, 3600, 'h'], [120, 60, 'min'], [0, 1, 's']];
  const span = seconds => {
    const [, size, unit] = units.find(([least]) => seconds >= least);
    return `${Math.round(seconds / size)} ${unit}`;
  };
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  const minutes = -new Date().getTimezoneOffset();
  $('#zone').textContent = 'UTC' + (minutes ? (minutes < 0 ? '−' : '+') + Math.abs(minutes / 60) : '');
  const times = () => all('time[datetime]').forEach(each => {
    const at = new Date(each.dateTime), seconds = (Date.now() - at) / 1000;
    each.title ||= each.dateTime;
    const words = seconds < 0 ? document.body.dataset.in : document.body.dataset.ago;
    const text = store('times') === 'exact' ? exact.format(at) : words.replace('%(span)s', span(Math.abs(seconds)));
    if (each.textContent !== text) each.textContent = text;
  });
  function countdown() {
    document.querySelectorAll('[data-countdown]').forEach(each => {
      let left = Number(each.dataset.countdown);
      const clock = setInterval(() => {
        left -= 1;
        each.textContent = each.textContent.replace(/\d+/, Math.max(0, left));
        if (left <= 0) clearInterval(clock);
      }, 1000);
    });
  }

  // ---- the panel: focus goes into it, and back to its row when it closes --------------------------------
  const panel = () => { const found = $('#panel'); return found && found.firstElementChild ? found : null; };
  let from = null;
  const mark = row => {
    all('tr[aria-current]').forEach(each => each.removeAttribute('aria-current'));
    if (row) row.setAttribute('aria-current', 'true');
  };
  const close = () => {
    const open = panel();
    if (!open) return false;
    open.replaceChildren();
    const url = new URL(location.href);
    url.searchParams.delete('panel');
    history.replaceState(history.state, '', url);
    mark(null);
    if (from && from.isConnected) from.focus();
    return true;
  };
  document.addEventListener('htmx:after:swap', event => {
    times();
    if (event.detail.ctx.target !== $('#panel') || !from) return;
    mark(from.closest('tr'));
    $('#panel').focus();
  });

  // ---- rows ---------------------------------------------------------------------------------------------
  const rows = () => all('main a.row');
  const current = () => {
    const row = document.activeElement.closest('main tr') || $('main tr[aria-current]');
    return rows().findIndex(each => row && row.contains(each));
  };
  const step = by => {
    const list = rows(), next = list[Math.min(list.length - 1, Math.max(0, current() + by))];
    if (next) { next.focus(); next.closest('tr').scrollIntoView({ block: 'nearest' }); }
    return next;
  };
  const box = link => link && $('input[type=checkbox]', link.closest('tr'));
  let anchor = 0;
  const select = toHere => {
    const list = rows(), here = current();
    const [first, last] = toHere ? [anchor, here].sort((a, b) => a - b) : [here, here];
    list.slice(Math.max(0, first), last + 1).map(box).forEach(each => { if (each) each.checked = toHere || !each.checked; });
    anchor = here;
  };
  const press = key => {
    const many = all('main input[name=id]:checked').length ? $(`[data-bulk="${key}"]`) : null;
    const button = many || $(`#panel [data-key="${key}"]`) || $(`main [data-key="${key}"]`);
    if (button) button.click();
    return button;
  };

  // ---- the palette --------------------------------------------------------------------------------------
  const palette = $('#palette'), asked = $('input', palette);
  const hits = () => all('#hits [role=option]');
  const choose = by => {
    const list = hits(), at = list.findIndex(each => each.getAttribute('aria-selected') === 'true');
    list.forEach(each => each.setAttribute('aria-selected', 'false'));
    const next = list[(at + by + list.length) % list.length];
    if (!next) return;
    next.setAttribute('aria-selected', 'true');
    next.scrollIntoView({ block: 'nearest' });
    asked.setAttribute('aria-activedescendant', next.id);
  };
  asked.addEventListener('keydown', event => {
    const chosen = $('#hits [aria-selected=true]');
    if (event.key === 'ArrowDown') choose(1);
    else if (event.key === 'ArrowUp') choose(-1);
    else if (event.key === 'Enter' && chosen) location.href = chosen.href;
    else return;
    event.preventDefault();
  });
  const find = () => { palette.showModal(); asked.select(); };

  // ---- keys ---------------------------------------------------------------------------------------------
  const copy = async text => {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = document.createElement('textarea');
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
    }
    say('✓');
  };
  let went = 0;
  const keys = {
    '?': () => $('#keys').showModal(),
    '/': () => { const field = $('main form.bar input, main form.bar select'); if (field) field.focus(); return field; },
    j: () => step(1), k: () => step(-1),
    o: () => { const link = panel() ? $('#panel .go a') : rows()[current()]; if (link) location.href = link.href; return link; },
    '[': () => { const next = step(-1); if (next) next.click(); }, ']': () => { const next = step(1); if (next) next.click(); },
    x: () => select(false), X: () => select(true), a: () => press('a'),
    r: () => press('r'), c: () => press('c'), p: () => press('p'), t: () => press('t'),
    y: () => copy(location.href), l: () => $('#live').click(), g: () => { went = Date.now(); },
    Y: () => { const text = $('[data-curl]'); if (text) copy(text.textContent); },
    u: () => { store('times', store('times') === 'exact' ? '' : 'exact'); times(); },
  };
  document.addEventListener('keydown', event => {
    const off = document.body.dataset.keys === 'off', typing = event.target.closest('input:not([type=checkbox]), select, textarea, dialog');
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k' && !off) { event.preventDefault(); return find(); }
    if (event.key === 'Escape' && !typing && close()) return event.preventDefault();
    if (off || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (Date.now() - went < 1500) {
      went = 0;
      const link = $(`.side a[data-key="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); location.href = link.href; }
      return;
    }
    if (Object.hasOwn(keys, event.key) && keys[event.key]() !== null) event.preventDefault();
  });
  document.addEventListener('click', event => {
    const row = event.target.closest('a.row'), text = event.target.closest('[data-copy]');
    if (row) from = row;
    if (event.target.id === 'all') all('main input[name=id]').forEach(each => { each.checked = event.target.checked; });
    if (text && !event.target.closest('a')) copy(text.dataset.copy);
    if (event.target.closest('a.find')) { event.preventDefault(); find(); }
  });

  window.bridge = { $, all, root, say, store, times };
  times();
  countdown();
  setInterval(() => { if (!document.hidden) times(); }, 10000);
})();
