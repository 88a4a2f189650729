// Trusted Types without nonces: HTML comes from answers of this origin only, and nothing is ever evaluated.
(() => {
  const policy = window.trustedTypes ? trustedTypes.createPolicy('htmx', { createHTML: text => text }) : null;
  const never = () => { throw new Error('evaluation is off'); };
  htmx.registerExtension('deny', { init: api => api.initSecurity(policy, never, never) });
  window.bridgePage = text => new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, 'text/html');
})();
