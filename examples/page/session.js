// Who uses this page: the development login of the example, and where its token is kept.

const KEY = 'parlor.session';

/** The session of this tab, else of this browser, else the one asked for by `?as=NAME`; null for none. */
export async function find() {
  const as = new URLSearchParams(location.search).get('as');
  const mine = sessionStorage.getItem(KEY);
  if (as) {
    const kept = mine ? JSON.parse(mine) : null;
    return kept?.name === as ? kept : login(as, { keep: false });
  }
  const found = mine ?? localStorage.getItem(KEY);
  if (!found) return null;
  sessionStorage.setItem(KEY, found);
  return JSON.parse(found);
}

/** Asks the host for a token. With `keep`, new tabs of this browser are the same person. */
export async function login(name, { keep = !new URLSearchParams(location.search).has('as') } = {}) {
  const answer = await ask('login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name }),
  });
  const session = JSON.stringify(answer);
  sessionStorage.setItem(KEY, session);
  if (keep) localStorage.setItem(KEY, session);
  return answer;
}

/** Everybody who ever came in. */
export function people(token) {
  return ask('people', { headers: { authorization: `Bearer ${token}` } });
}

/** Becomes nobody again, in this tab and for new ones. */
export function leave() {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
  location.assign(location.pathname);
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error('The server cannot be reached.');
  }
  if (response.ok) return response.json();
  if (response.status === 403) throw new Error('The development login works only from this computer.');
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail ?? problem.title ?? `The server answered ${response.status}.`);
}
