/** The one argument of `vnet-create`: a vnet id, or a file that `vn` reads and the daemon never sees. */
import { dirname, resolve } from "node:path";
import { ParseError, quoteValue } from "../net/parse-error.ts";
import { parseVnetId, type VnetId } from "../net/vnet-id.ts";
import { parseVnetFile, type VnetOptions } from "../vnet/vnet-config.ts";
import { type CliIo, UsageError } from "./context.ts";

const LIKE_A_VNET_ID = /^[0-9a-f:]+$/i;
const POSITION = /^line (\d+), column (\d+): /;

/**
 * The id that `text` is, or null when it names a file. What reads as an id is one; a file of such
 * a name is `./97`.
 * @throws ParseError for what looks like an id, is none, and is no file either
 */
export function readVnetId(text: string, io: CliIo): VnetId | null {
  try {
    return parseVnetId(text);
  } catch (error) {
    if (error instanceof ParseError && LIKE_A_VNET_ID.test(text) && !isReadable(text, io)) {
      throw error;
    }
    if (error instanceof ParseError) {
      return null;
    }
    throw error;
  }
}

/**
 * The vnets of a file. The paths of their key files count from the file's own folder.
 *
 * @throws UsageError when it cannot be read, ParseError with file, line and column
 */
export function readVnetFile(path: string, io: CliIo): readonly VnetOptions[] {
  const text = readText(path, io);
  const folder = path === "-" ? "." : dirname(path);
  try {
    return parseVnetFile(text).map((vnet) =>
      vnet.keyFile === undefined ? vnet : { ...vnet, keyFile: resolve(folder, vnet.keyFile) },
    );
  } catch (error) {
    const name = path === "-" ? "standard input" : path;
    if (error instanceof ParseError) {
      throw new ParseError(withPosition(name, error.message), { cause: error });
    }
    throw error;
  }
}

/** `file:3:5: …`, which editors and people know how to follow. */
function withPosition(name: string, message: string): string {
  const [prefix, line, column] = POSITION.exec(message) ?? [];
  return prefix === undefined
    ? `${name}: ${message}`
    : `${name}:${line}:${column}: ${message.slice(prefix.length)}`;
}

function readText(path: string, io: CliIo): string {
  let bytes: Uint8Array;
  try {
    bytes = io.readFile(path);
  } catch (error) {
    throw new UsageError(`Cannot read the vnet file: ${reasonOf(error)} (${quoteValue(path)})`, {
      cause: error,
    });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new UsageError(`Cannot read the vnet file: it is not UTF-8 (${quoteValue(path)})`, {
      cause: error,
    });
  }
}

function isReadable(path: string, io: CliIo): boolean {
  try {
    io.readFile(path);
    return true;
  } catch {
    return false;
  }
}

/** `no such file or directory` of `ENOENT: no such file or directory, open 'x'`. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/^[A-Z0-9]+: /, "").replace(/, [a-z]+( '.*')?$/s, "");
}
