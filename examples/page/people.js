// Who there is, what they are called, and watching whether they are there.

const WATCHED = 200;

export class People {
  #told = [];
  #names = new Map();
  #asked = new Set();
  #watched = new Set();

  /**
   * `load()` asks the host for everybody (null where it does not tell), `ask` the chat server;
   * `onPresence(users)` hears who is there.
   */
  constructor({ me, load, ask, onPresence, onChange }) {
    this.me = me.user_id;
    this.#names.set(me.user_id, me.name);
    Object.assign(this, { load, ask, onPresence, onChange });
  }

  /** Everybody whom the host knows, else everybody whom one has met: `{user_id, name}`. */
  get all() {
    return this.#told ?? [...this.#asked].map((user_id) => ({ user_id, name: this.nameOf(user_id) }));
  }

  nameOf(userId) {
    return this.#names.get(userId) ?? userId;
  }

  /** Looks again who there is. After a reconnect nobody is watched any more. */
  async refresh({ reconnected = false } = {}) {
    if (reconnected) this.#watched.clear();
    this.#told = await this.load();
    for (const { user_id, name } of this.#told ?? []) this.#names.set(user_id, name);
    this.onChange();
    await this.#watch();
  }

  /** These users are seen somewhere: finds out the names that are not known yet. */
  async meet(userIds) {
    const strangers = userIds.filter((id) => id && !this.#names.has(id) && !this.#asked.has(id));
    if (!strangers.length) return;
    for (const id of strangers) this.#asked.add(id);
    try {
      await this.refresh();
      const user_ids = strangers.filter((id) => !this.#names.has(id));
      if (!user_ids.length) return;
      const { profiles } = await this.ask('get_profiles', { user_ids });
      for (const { user_id, name } of profiles) if (name) this.#names.set(user_id, name);
      this.onChange();
    } catch {
      for (const id of strangers) this.#asked.delete(id);
    }
  }

  async #watch() {
    const user_ids = this.all
      .map((person) => person.user_id)
      .filter((id) => id !== this.me && !this.#watched.has(id))
      .slice(0, WATCHED - this.#watched.size);
    if (!user_ids.length) return;
    for (const id of user_ids) this.#watched.add(id);
    try {
      const { users } = await this.ask('watch', { user_ids });
      this.onPresence(users);
    } catch {
      for (const id of user_ids) this.#watched.delete(id);
    }
  }
}
