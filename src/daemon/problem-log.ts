/** Lines about what is wrong: one when it begins or its words change, one when it is over. */
import type { Log } from "./log.ts";

export class ProblemLog {
  readonly #log: Log;
  readonly #messages = new Map<string, string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * @param what whose problem, so that two of different things are told apart
   * @param message null: there is none
   */
  note(what: string, message: string | null, fields: object): void {
    const former = this.#messages.get(what);
    if (message === null) {
      if (former !== undefined) {
        this.#messages.delete(what);
        this.#log.info({ ...fields, was: former }, "recovered");
      }
    } else if (message !== former) {
      this.#messages.set(what, message);
      this.#log.error(fields, message);
    }
  }
}
