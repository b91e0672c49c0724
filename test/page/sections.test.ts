import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { addReading, type TrafficHistory } from "../../src/control/rates.ts";
import { parseVnetId } from "../../src/net/vnet-id.ts";
import { writeDocument } from "../../src/page/document.ts";
import { html } from "../../src/page/markup.ts";
import { drawSections, type Sections } from "../../src/page/sections.ts";
import {
  carried,
  hostTraffic,
  traffic,
  vifTraffic,
  vnetTraffic,
} from "../control/traffic-samples.ts";

const VNET = parseVnetId("97");

function markupOf(sections: Sections): string {
  return Object.values(sections)
    .map(({ markup }) => markup)
    .join("");
}

function history(name: string): TrafficHistory {
  const reading = (atMs: number) =>
    traffic({
      atMs,
      vnets: [vnetTraffic("97", { bridge: name, vnetif: name, carried: carried(atMs) })],
      vifs: [vifTraffic(name, { state: "error", error: name, vnet: VNET, bridge: name })],
      hosts: [hostTraffic("192.0.2.2", { name, vnets: [{ vnet: VNET, state: "key mismatch" }] })],
    });
  return addReading(addReading(null, reading(1_000)), reading(2_000));
}

describe("drawSections()", () => {
  test("has what there is, with rates, and what is wrong leads to its row", () => {
    const sections = drawSections(history("vif5.0"), "host-a");
    assert.match(sections.host.markup, /<h1>host-a<\/h1>/);
    assert.match(sections.vnets.markup, /<th scope="row">97<\/th>.*<td class="number">800k<\/td>/);
    assert.match(sections.problems.markup, /<h2>2 problems<\/h2>/);
    for (const [, target = ""] of sections.problems.markup.matchAll(/href="#([^"]+)"/g)) {
      assert.ok(markupOf(sections).includes(`<tr id="${target}"`), target);
    }
    assert.match(sections.picture.markup, /<a class="box fault" href="#vifs-vif5\.0">/);
    assert.match(sections.picture.markup, /! 192\.0\.2\.2|! vif5\.0/);
  });

  test("names are text, whatever they are made of", () => {
    const HOSTILE = [
      "<script>alert(1)</script>",
      '"><img src=x onerror=alert(1)>',
      "'\u202e\0&amp;",
    ];
    const name = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: "binary" }));
    const shape = (markup: string): string =>
      markup.replaceAll(/>[^<]*</g, "><").replaceAll(/"[^"]*"/g, '""');
    const plain = shape(markupOf(drawSections(history("vif"), "host")));
    fc.assert(
      fc.property(name, (text) => {
        const markup = markupOf(drawSections(history(text), text));
        assert.equal(shape(markup), plain);
        assert.doesNotMatch(markup, /[\p{Cc}\p{Cf}\p{Cs}]/u);
      }),
    );
  });

  test("stays small on a large host, and keeps what is wrong in sight", () => {
    const ids = Array.from({ length: 5_000 }, (_, index) => (index + 2).toString(16));
    const vnets = ids.map((id, index) =>
      vnetTraffic(id, index === 4_999 ? { state: "error", error: "no device" } : {}),
    );
    const vifs = ids.map((id) => vifTraffic(`vif${id}.0`, { vnet: parseVnetId(id) }));
    const sections = drawSections(addReading(null, traffic({ vnets, vifs })), "host-a");
    assert.ok(markupOf(sections).length < 150_000, `${markupOf(sections).length}`);
    assert.match(sections.vnets.markup, /<tr id="vnets-[^"]*" class="fault"/);
    assert.match(sections.vnets.markup, /4900 vnets more/);
    assert.match(sections.picture.markup, /! vnet 1389/);
  });

  test("says that there is nothing, and that nothing is wrong", () => {
    const sections = drawSections(addReading(null, traffic()), "host-a");
    assert.match(sections.problems.markup, /Nothing is wrong/);
    assert.match(sections.vifs.markup, /No VIFs\./);
  });
});

describe("writeDocument()", () => {
  test("loads nothing and has one style and one script, as they are named", () => {
    const page = writeDocument(drawSections(history("vif5.0"), "host-a"), "<title>");
    assert.ok(page.text.includes(`<style>${page.style}</style>`));
    assert.ok(page.text.includes(`<script>${page.script}</script>`));
    assert.equal(page.text.match(/<(?:script|style|link|img|iframe)\b/g)?.length, 3);
    assert.doesNotMatch(page.text, /https?:|style="|\son[a-z]+="/);
    assert.match(page.text, /<title>&lt;title&gt;<\/title>/);
  });
});

describe("html", () => {
  test("escapes text and leaves markup alone", () => {
    const { markup } = html`<p title="${`"'<`}">${"a&b"}${[html`<b>${1}</b>`]}</p>`;
    assert.equal(markup, '<p title="&quot;&#39;&lt;">a&amp;b<b>1</b></p>');
  });
});
