import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { formatKeyRing, keyRingPath, parseKeyRing } from "../../src/daemon/key-ring-file.ts";
import { KeyFileError, KeyRingError, KeyRings, readKeyFile } from "../../src/daemon/key-rings.ts";
import { keyIdOf } from "../../src/daemon/key-text.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { formatKeyId, type KeyRing, RING_KEYS_MAX, type RingKey } from "../../src/vnet/key-ring.ts";

const VNET = parseVnetId("97");
const OTHER = parseVnetId("98");
const IS_ROOT = process.getuid?.() === 0;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vnetd-keys-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function key(): RingKey {
  const secret = new Uint8Array(randomBytes(32));
  return { id: keyIdOf(secret), secret };
}

/** What a test compares: the ring on the disk is read anew. */
async function stored(vnet = VNET): Promise<KeyRing | string | null> {
  const rings = new KeyRings(join(folder, "keys"));
  await rings.load([vnet]);
  return rings.find(vnet) ?? rings.problemOf(vnet);
}

const copyOf = ({ id, secret }: RingKey): RingKey => ({ id, secret: secret.slice() });

describe("KeyRings", () => {
  test("a ring lives through a rotation, and every step is on the disk", async () => {
    const rings = new KeyRings(join(folder, "keys"));
    const [first, second] = [key(), key()];
    await rings.create(VNET, copyOf(first));
    assert.deepEqual(await stored(), { keys: [first], activeId: first.id });
    await rings.add(VNET, copyOf(second));
    assert.deepEqual(await stored(), { keys: [first, second], activeId: first.id });
    await rings.activate(VNET, second.id);
    assert.deepEqual(await stored(), { keys: [first, second], activeId: second.id });
    await rings.delete(VNET, first.id);
    assert.deepEqual(await stored(), { keys: [second], activeId: second.id });
    await rings.wipe(VNET);
    assert.match(String(await stored()), /no such file or directory/);
    assert.deepEqual(readdirSync(join(folder, "keys")), []);
  });

  test("no ring is read from a folder that others can change", async () => {
    const first = key();
    await new KeyRings(join(folder, "keys")).create(VNET, copyOf(first));
    chmodSync(join(folder, "keys"), 0o777);
    assert.match(String(await stored()), /the folder belongs to others, or others may change it/);
    chmodSync(join(folder, "keys"), 0o755);
    assert.deepEqual(await stored(), { keys: [first], activeId: first.id });
  });

  test("a ring is its owner's alone, whatever the umask", async () => {
    const before = process.umask(0);
    try {
      await new KeyRings(join(folder, "keys")).create(VNET, key());
    } finally {
      process.umask(before);
    }
    assert.equal(statSync(join(folder, "keys")).mode & 0o777, 0o700);
    const path = keyRingPath(join(folder, "keys"), VNET);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.match(path, /0000:0000:0000:0000:0000:0000:0000:0097\.key$/);
  });

  test("what a key ring replaces, and what is wiped, is zeros on the disk", async () => {
    const directory = join(folder, "keys");
    const rings = new KeyRings(directory);
    await rings.create(VNET, key());
    const path = keyRingPath(directory, VNET);
    for (const change of [
      async () => void (await rings.add(VNET, key())),
      () => rings.wipe(VNET),
    ]) {
      // The file goes away, its octets can still be read by who has it open.
      const { size } = statSync(path);
      assert.deepEqual(await readAcross(path, change), Buffer.alloc(size));
    }
  });

  test("refused: a key twice, an unknown one, the active one, too many", async () => {
    const rings = new KeyRings(join(folder, "keys"));
    const [first, second] = [key(), key()];
    await rings.create(VNET, copyOf(first));
    const code = (expected: string) => ({ code: expected });
    await assert.rejects(rings.add(VNET, copyOf(first)), code("VNETD_KEY_EXISTS"));
    await assert.rejects(rings.activate(VNET, second.id), code("VNETD_UNKNOWN_KEY"));
    await assert.rejects(rings.delete(VNET, second.id), code("VNETD_UNKNOWN_KEY"));
    await assert.rejects(rings.delete(VNET, first.id), code("VNETD_KEY_ACTIVE"));
    await assert.rejects(rings.add(OTHER, key()), code("VNETD_KEY_RING"));
    assert.deepEqual(await stored(), { keys: [first], activeId: first.id });
    while ((rings.find(VNET)?.keys.length ?? 0) < RING_KEYS_MAX) {
      await rings.add(VNET, key());
    }
    await assert.rejects(rings.add(VNET, key()), code("VNETD_LIMIT"));
  });

  test("a damaged, open or missing ring is a problem of its vnet alone, and says what to do", async () => {
    const directory = join(folder, "keys");
    const good = new KeyRings(directory);
    await good.create(VNET, key());
    await good.create(OTHER, key());
    const path = keyRingPath(directory, VNET);
    const text = readFileSync(path, "utf8");
    const cases: readonly (readonly [damage: () => void, problem: RegExp])[] = [
      [() => rmSync(path), /no such file or directory/],
      [() => writeFileSync(path, "", { mode: 0o600 }), /it has no active key/],
      [() => writeFileSync(path, text.slice(0, 30)), /line 1: not a key id, a key and its state/],
      [() => writeFileSync(path, text.replace(/^..../, "0000")), /does not belong to its key id/],
      [() => writeFileSync(path, text.replace("active", "held")), /it has no active key/],
      [() => writeFileSync(path, text + text), /more than once/],
      [() => writeFileSync(path, text) ?? chmodSync(path, 0o640), /its mode is 0640/],
    ];
    for (const [damage, problem] of cases) {
      damage();
      const rings = new KeyRings(directory);
      await rings.load([VNET, OTHER]);
      assert.match(String(rings.problemOf(VNET)), problem);
      assert.match(String(rings.problemOf(VNET)), /restore it, or delete vnet 97 and create it/);
      assert.equal(rings.find(VNET), null);
      assert.notEqual(rings.find(OTHER), null);
      assert.equal(rings.problemOf(OTHER), null);
      // Once it is right again, the next look finds it so.
      writeFileSync(path, text, { mode: 0o600 });
      chmodSync(path, 0o600);
      await rings.load([VNET, OTHER]);
      assert.equal(rings.problemOf(VNET), null);
      assert.notEqual(rings.find(VNET), null);
    }
  });

  test("what was left by a daemon that was killed is wiped, a link is not followed", async () => {
    const directory = join(folder, "keys");
    mkdirSync(directory, { mode: 0o700 });
    const path = keyRingPath(directory, VNET);
    writeFileSync(`${path}.new`, "half a ring", { mode: 0o644 });
    writeFileSync(join(folder, "victim"), "untouched");
    symlinkSync(join(folder, "victim"), path);
    await new KeyRings(directory).create(VNET, key());
    assert.equal(readFileSync(join(folder, "victim"), "utf8"), "untouched");
    assert.deepEqual(readdirSync(directory), [`${VNET}.key`]);
    assert.equal(typeof (await stored()), "object");
  });

  test("a key directory that others may write to is refused", async () => {
    const directory = join(folder, "keys");
    mkdirSync(directory);
    chmodSync(directory, 0o777);
    await assert.rejects(new KeyRings(directory).create(VNET, key()), KeyRingError);
    assert.deepEqual(readdirSync(directory), []);
  });

  test("keys that are dropped are zeros in memory", async () => {
    const rings = new KeyRings(join(folder, "keys"));
    const [first, second, refused] = [key(), key(), key()];
    await rings.create(VNET, first);
    await rings.add(VNET, second);
    await assert.rejects(rings.add(OTHER, refused));
    await rings.delete(VNET, second.id);
    await rings.wipe(VNET);
    for (const { secret } of [first, second, refused]) {
      assert.ok(secret.every((octet) => octet === 0));
    }
  });
});

describe("readKeyFile", () => {
  const path = (): string => join(folder, "key");
  const write = (text: string): void => writeFileSync(path(), text, { mode: 0o600 });

  test("reads what `vn key-generate` writes", async () => {
    const { id, secret } = key();
    write(`# a key of vnetd\n${Buffer.from(secret).toString("base64")}\n`);
    const read = await readKeyFile(path());
    assert.deepEqual([read.id, Buffer.from(read.secret)], [id, Buffer.from(secret)]);
  });

  const text = Buffer.from(randomBytes(32)).toString("base64");
  const cases: readonly (readonly [what: string, make: () => void, message: RegExp])[] = [
    ["a missing file", () => {}, /no such file or directory$/],
    ["one that the group can read", () => write(text) ?? chmodSync(path(), 0o640), /mode is 0640/],
    ["one that others can run", () => write(text) ?? chmodSync(path(), 0o601), /mode is 0601/],
    ["a folder", () => mkdirSync(path()), /it is not a regular file$/],
    ["a device", () => symlinkSync("/dev/zero", path()), /it is not a regular file$/],
    ["a short key", () => write(text.slice(0, 20)), /its 20 characters are no key/],
    ["a large file", () => write("#".repeat(20_000)), /it has 20000 octets/],
    ["a pipe", () => execFileSync("mkfifo", [path()]), /it is not a regular file$/],
  ];
  for (const [what, make, message] of cases) {
    test(`refuses ${what}`, async () => {
      make();
      await assert.rejects(readKeyFile(path()), (error: unknown) => {
        assert.ok(error instanceof KeyFileError);
        assert.match(error.message, message);
        assert.ok(error.message.startsWith(`Cannot use key file ${JSON.stringify(path())}: `));
        return true;
      });
    });
  }

  test("refuses one that belongs to somebody else", {
    skip: IS_ROOT ? false : "only root can give a file away",
  }, async () => {
    write(text);
    chownSync(path(), 65_534, 65_534);
    await assert.rejects(readKeyFile(path()), /it belongs to user 65534/);
  });

  test("refuses a path that is not absolute", async () => {
    await assert.rejects(readKeyFile("key"), /must be absolute: "key"$/);
  });
});

describe("parseKeyRing", () => {
  test("reads what formatKeyRing wrote, and never throws", () => {
    const secret = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const secrets = fc.uniqueArray(secret, {
      ...{ minLength: 1, maxLength: RING_KEYS_MAX },
      selector: (octets) => formatKeyId(keyIdOf(octets)),
    });
    fc.assert(
      fc.property(secrets, fc.nat(), fc.nat(), (all, index, cut) => {
        const keys = all.map((octets) => ({ id: keyIdOf(octets), secret: octets }));
        const ring = { keys, activeId: keys[index % keys.length]?.id ?? 0 };
        const text = formatKeyRing(ring);
        assert.deepEqual(parseKeyRing(text), ring);
        // A torn ring is never taken for a whole one with another active key.
        const torn = parseKeyRing(text.subarray(0, cut % (text.length - 1)));
        assert.ok(typeof torn === "string" || torn.activeId === ring.activeId);
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (text) => void parseKeyRing(text)));
  });
});

/** What a reader who opened `path` before `change` finds there after it. */
async function readAcross(path: string, change: () => Promise<void>): Promise<Buffer> {
  const fd = openSync(path, "r");
  try {
    await change();
    const octets = Buffer.alloc(fstatSync(fd).size);
    readSync(fd, octets, 0, octets.length, 0);
    return octets;
  } finally {
    closeSync(fd);
  }
}
