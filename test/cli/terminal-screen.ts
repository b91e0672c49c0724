/** What a terminal shows after what `vn top` wrote to it: the few sequences that it uses. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a terminal reads.
const SEQUENCE = /\x1b\[(\??[0-9;]*)([A-Za-z])/y;

export class TerminalScreen {
  readonly #lines: string[][] = [];
  #row = 0;
  #column = 0;
  /** The alternate screen is shown and the cursor is hidden. */
  isTaken = false;
  /** Any colour was set. */
  sawColor = false;

  get text(): string {
    return this.#lines.map((line) => line.join("").trimEnd()).join("\n");
  }

  /** @throws Error at a sequence that is not ours, or at a control character */
  write(text: string): void {
    let at = 0;
    while (at < text.length) {
      SEQUENCE.lastIndex = at;
      const match = SEQUENCE.exec(text);
      if (match !== null) {
        this.#obey(match[1] ?? "", match[2] ?? "");
        at = SEQUENCE.lastIndex;
        continue;
      }
      const character = text[at] ?? "";
      if (character < " ") {
        throw new Error(`A control character: ${JSON.stringify(text.slice(at, at + 20))}`);
      }
      this.#line(this.#row)[this.#column] = character;
      this.#column += 1;
      at += 1;
    }
  }

  #obey(parameters: string, command: string): void {
    switch (command) {
      case "H": {
        const [row = 1, column = 1] = parameters.split(";").map(Number);
        [this.#row, this.#column] = [row - 1, column - 1];
        return;
      }
      case "K":
        this.#line(this.#row).length = Math.min(this.#line(this.#row).length, this.#column);
        return;
      case "J":
        this.#lines.length = parameters === "2" ? 0 : Math.min(this.#lines.length, this.#row);
        return;
      case "m":
        this.sawColor ||= parameters.split(";").some((code) => /^[34]\d$/.test(code));
        return;
      case "h":
      case "l":
        if (parameters === "?1049") {
          this.isTaken = command === "h";
        }
        return;
      default:
        throw new Error(`An unknown sequence: ${parameters}${command}`);
    }
  }

  #line(row: number): string[] {
    for (let index = this.#lines.length; index <= row; index += 1) {
      this.#lines.push([]);
    }
    const line = this.#lines[row] ?? [];
    while (line.length < this.#column) {
      line.push(" ");
    }
    return line;
  }
}
