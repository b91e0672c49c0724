/** Where on the page a box of the picture, or a problem, leads to. */

/** The same for the same thing, whatever is in its name: an id has no blanks. */
export function rowId(part: string, key: string): string {
  return `${part}-${encodeURIComponent(key)}`;
}
