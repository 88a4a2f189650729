// What pages do beyond links and forms. Each page works without this file.
(() => {
  const panel = () => document.getElementById('panel');
  let from = null;

  // The panel: focus goes into it, and back to its row when it closes.
  const close = () => {
    const open = panel();
    if (!open || !open.firstElementChild) return false;
    open.replaceChildren();
    const url = new URL(location.href);
    url.searchParams.delete('panel');
    history.replaceState(history.state, '', url);
    document.querySelectorAll('tr[aria-current]').forEach(row => row.removeAttribute('aria-current'));
    if (from && from.isConnected) from.focus();
    return true;
  };
  document.addEventListener('click', event => {
    const row = event.target.closest('a.row');
    if (row) from = row;
  });
  document.addEventListener('htmx:after:swap', () => {
    const open = panel();
    if (open && open.firstElementChild && from) {
      document.querySelectorAll('tr[aria-current]').forEach(row => row.removeAttribute('aria-current'));
      const row = from.closest('tr');
      if (row) row.setAttribute('aria-current', 'true');
      open.focus();
    }
  });
  document.addEventListener('keydown', event => {
    if (event.key === 'Escape' && close()) event.preventDefault();
  });
})();
