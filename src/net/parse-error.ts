/**
 * Text from outside that is not what it should be. The command line turns it into exit status 2,
 * the control server into 400; nothing has been changed when it is thrown.
 */
export class ParseError extends Error {
  readonly code = "VNETD_PARSE";

  /** @param message what was read, what is wrong with it, and the value */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ParseError";
  }
}

const QUOTED_VALUE_CHARACTERS = 80;

/** The offending value as an error message shows it: printable, one line, of bounded length. */
export function quoteValue(value: string): string {
  const shown =
    value.length > QUOTED_VALUE_CHARACTERS ? `${value.slice(0, QUOTED_VALUE_CHARACTERS)}…` : value;
  return JSON.stringify(shown);
}
