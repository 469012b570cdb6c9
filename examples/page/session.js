// Who uses this page, and where its token is kept. What the page asks for is said by the host: a name, which
// the development login turns into a token, or a token.

const KEY = 'parlor.session';

/** Whether one comes in by a token of one's own instead of a name. */
export const byToken = document.documentElement.dataset.login === 'token';

/**
 * The session asked for by `?as=NAME` or `#token=TOKEN`, else of this tab, else of this browser; null for none.
 */
export async function find() {
  const mine = sessionStorage.getItem(KEY);
  // Behind the hash, because that is never sent to a server, whose logs would keep it.
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (byToken && token) {
    // Out of the address, which is shown and kept in the history.
    history.replaceState(null, '', location.pathname + location.search);
    return login(token, { keep: false });
  }
  const as = byToken ? null : new URLSearchParams(location.search).get('as');
  if (as) {
    const kept = mine ? JSON.parse(mine) : null;
    return kept?.name === as ? kept : login(as, { keep: false });
  }
  const found = mine ?? localStorage.getItem(KEY);
  if (!found) return null;
  sessionStorage.setItem(KEY, found);
  return JSON.parse(found);
}

/** Comes in by a name or a token. With `keep`, new tabs of this browser are the same person. */
export async function login(entered, { keep = !new URLSearchParams(location.search).has('as') } = {}) {
  const answer = byToken ? read(entered) : await ask('login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: entered }),
  });
  const session = JSON.stringify(answer);
  sessionStorage.setItem(KEY, session);
  if (keep) localStorage.setItem(KEY, session);
  return answer;
}

/** A token for somebody whose own ends. Only the development login gives one without asking. */
export function again(who) {
  if (byToken) throw new Error('The token is not accepted, or has ended. Please show another one.');
  return login(who.name);
}

/** Everybody who ever came in; null where the host does not tell. */
export async function people(token) {
  return byToken ? null : ask('people', { headers: { authorization: `Bearer ${token}` } });
}

/** Becomes nobody again, in this tab and for new ones. */
export function leave() {
  forget();
  location.assign(location.pathname);
}

/** Keeps no token any more. */
export function forget() {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
}

/** What a token says of its user. Whether it is right is the server's to judge. */
function read(token) {
  try {
    const [, payload] = token.trim().split('.');
    const text = atob(payload.replaceAll('-', '+').replaceAll('_', '/'));
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    if (claims.sub == null) throw new Error('no sub');
    const user_id = String(claims.sub);
    return { token: token.trim(), user_id, name: claims.name || user_id };
  } catch {
    throw new Error('This is no JSON Web Token.');
  }
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
