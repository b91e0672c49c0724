import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { JsonStreamSplitter } from "../../src/host/json-stream.ts";

const BYTES_MAX = 1_000;

function splitAll(splitter: JsonStreamSplitter, chunks: readonly Buffer[]): string[] | null {
  const texts: string[] = [];
  for (const chunk of chunks) {
    const some = splitter.split(chunk);
    if (some === null) {
      return null;
    }
    texts.push(...some);
    // The buffer is the socket's: what is still needed must have been copied.
    chunk.fill(0x7d);
  }
  return texts;
}

describe("JsonStreamSplitter", () => {
  test("gives back each object, wherever the stream is cut", () => {
    const objects = fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 5 });
    const separators = fc.constantFrom("", " ", "\n");
    fc.assert(
      fc.property(objects, separators, fc.infiniteStream(fc.nat(20)), (values, between, sizes) => {
        const stream = Buffer.from(values.map((value) => JSON.stringify(value)).join(between));
        const chunks: Buffer[] = [];
        for (let at = 0; at < stream.length; ) {
          const size = 1 + (sizes.next().value ?? 0);
          chunks.push(Buffer.from(stream.subarray(at, at + size)));
          at += size;
        }
        const texts = splitAll(new JsonStreamSplitter(1 << 20), chunks);
        const expected = values.map((value) => JSON.stringify(value));
        assert.deepEqual(texts, expected);
      }),
    );
  });

  const cases: readonly (readonly [name: string, text: string, texts: string[] | null])[] = [
    [
      "braces and quotes in strings",
      String.raw`{"a":"}\"}{\\"}{}`,
      [String.raw`{"a":"}\"}{\\"}`, "{}"],
    ],
    ["text outside of objects", '{"a":1}null', null],
    ["an object that is closed twice", '{"a":1}}', null],
    ["an unfinished one", '{"a":{"b":1}', []],
    ["one that is too long", `{"a":"${"x".repeat(BYTES_MAX)}`, null],
  ];
  for (const [name, text, texts] of cases) {
    test(name, () => {
      assert.deepEqual(splitAll(new JsonStreamSplitter(BYTES_MAX), [Buffer.from(text)]), texts);
    });
  }
});
