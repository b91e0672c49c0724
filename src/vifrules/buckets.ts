/** Many items as some buckets: an item that comes or goes changes the flows of its bucket only. */

const BUCKETS = 128;

/** By a hash of each item's name; a bucket's items are sorted by it. */
export function bucketsOf<Item>(
  items: Iterable<Item>,
  nameOf: (item: Item) => string,
): ReadonlyMap<number, readonly Item[]> {
  const buckets = new Map<number, Item[]>();
  for (const item of items) {
    const number = hashName(nameOf(item)) % BUCKETS;
    const bucket = buckets.get(number) ?? [];
    buckets.set(number, bucket);
    bucket.push(item);
  }
  for (const bucket of buckets.values()) {
    bucket.sort((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1));
  }
  return buckets;
}

/** FNV-1a of 32 bits; names are of ASCII. */
export function hashName(name: string): number {
  let hash = 0x811c_9dc5;
  for (let index = 0; index < name.length; index += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x0100_0193);
  }
  return hash >>> 0;
}
